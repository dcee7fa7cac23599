"""Reading a frame takes the bytes it needs and no others."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError, FormatError
from mersey.engine.dicom.frame_index import Frame, Span
from mersey.engine.runtime.frame_read import (
    plan_prefix,
    read_codestream,
    read_frame,
    read_layout,
)
from phantom import Thorax


@dataclass
class Source:
    """Bytes that remember which of them were read."""

    data: bytes
    reads: list[Span] = field(default_factory=list)

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        found = self.data[offset_bytes : offset_bytes + length_bytes]
        self.reads.append(Span(offset_bytes, len(found)))
        return found

    @property
    def bytes_read(self) -> int:
        return sum(span.length_bytes for span in self.reads)


@pytest.fixture(scope="module")
def codestream() -> bytes:
    """A .202 frame: RPCL, TLM, a tile-part per resolution."""
    image = Thorax(size=512, slices=10, seed=0).frame(4)
    data: bytes = imagecodecs.htj2k_encode(
        image, reversible=True, tlm=True, tilepart=1, resolutions=5, bitspersample=12
    )
    return data


def _in_file(data: bytes, fragments: Sequence[int] = ()) -> tuple[Source, Frame]:
    """`data` in a file, cut into fragments at the given places, 8 bytes of item tags between."""
    cuts = [0, *sorted(fragments), len(data)]
    file = b"H" * 100
    spans = []
    for start, end in itertools.pairwise(cuts):
        file += b"item tag"
        spans.append(Span(len(file), end - start))
        file += data[start:end]
    return Source(file + b"T" * 100), Frame(0, tuple(spans))


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(0, 60), st.integers(0, 60))
def test_a_stretch_of_a_frame_is_found_in_any_fragments(
    cuts: list[int], start: int, end: int
) -> None:
    data = bytes(range(50))
    source, frame = _in_file(data, cuts)
    spans = plan_prefix(frame, start_bytes=start, end_bytes=end)
    assert all(span.length_bytes > 0 for span in spans)
    found = b"".join(source.read_at(span.offset_bytes, span.length_bytes) for span in spans)
    assert found == data[start:end]


@pytest.mark.parametrize("reduce", [1, 2, 3, 4, 5])
def test_a_reduction_reads_exactly_the_bytes_up_to_its_cut_point(
    codestream: bytes, reduce: int
) -> None:
    cut = (scan_codestream(codestream).cut_points or ())[reduce]
    source, frame = _in_file(codestream)
    found = read_codestream(source.read_at, frame, reduce=reduce)
    assert found.data == codestream[:cut]
    assert found.is_prefix
    assert source.bytes_read == cut
    last = max(span.offset_bytes + span.length_bytes for span in source.reads)
    assert last == frame.spans[0].offset_bytes + cut


def test_no_byte_is_read_twice(codestream: bytes) -> None:
    source, frame = _in_file(codestream, [10, 5000, 9000])
    read_codestream(source.read_at, frame, reduce=1)
    spans = sorted(source.reads, key=lambda span: span.offset_bytes)
    for first, second in itertools.pairwise(spans):
        assert first.offset_bytes + first.length_bytes <= second.offset_bytes


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_fragments_may_be_cut_anywhere(codestream: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(codestream)), max_size=5))
    reduce = data.draw(st.integers(0, 5))
    cut = (scan_codestream(codestream).cut_points or ())[reduce]
    source, frame = _in_file(codestream, cuts)
    assert read_codestream(source.read_at, frame, reduce=reduce).data == codestream[:cut]


def test_item_padding_is_no_part_of_the_codestream(codestream: bytes) -> None:
    source, frame = _in_file(codestream + b"\0")
    assert read_codestream(source.read_at, frame).data == codestream
    assert read_frame(source.read_at, frame).data == codestream + b"\0"


def test_more_halvings_than_there_are_give_the_smallest_resolution(codestream: bytes) -> None:
    source, frame = _in_file(codestream)
    found = read_codestream(source.read_at, frame, reduce=9)
    assert found.data == codestream[: (scan_codestream(codestream).cut_points or ())[5]]


def test_a_codestream_without_cut_points_is_read_whole() -> None:
    image = np.arange(128 * 128, dtype=np.uint16).reshape(128, 128)
    data = imagecodecs.jpeg2k_encode(image, level=0, reversible=True, codecformat="J2K")
    layout = scan_codestream(data)
    source, frame = _in_file(data)
    found = read_codestream(source.read_at, frame, reduce=2)
    if layout.cut_points is None:
        assert found.data == data
        assert not found.is_prefix
    else:
        assert found.data == data[: layout.cut_points[2]]


def test_the_layout_of_a_frame_with_tlm_takes_its_head_only(codestream: bytes) -> None:
    source, frame = _in_file(codestream)
    found = read_layout(source.read_at, frame)
    assert found.layout is not None
    assert found.layout.main_header_bytes <= source.bytes_read <= 512
    assert found.layout.cut_points == scan_codestream(codestream).cut_points


def test_a_frame_cut_short_is_an_error_and_not_a_smaller_image(codestream: bytes) -> None:
    cut = (scan_codestream(codestream).cut_points or ())[1]
    source, frame = _in_file(codestream[: cut - 1])
    with pytest.raises(CodestreamError):
        read_codestream(source.read_at, frame, reduce=1)


def test_a_file_that_ends_within_the_frame_says_where(codestream: bytes) -> None:
    source, frame = _in_file(codestream)
    source.data = source.data[:20_000]
    with pytest.raises(FormatError, match="frame 1: the file ends at byte 20000") as caught:
        read_codestream(source.read_at, frame)
    assert caught.value.offset_bytes == 20_000


@pytest.mark.parametrize("data", [b"", b"no codestream at all", b"\xff\x4f\xff\x51"])
def test_what_is_no_codestream_is_an_error(data: bytes) -> None:
    source, frame = _in_file(data)
    with pytest.raises(CodestreamError):
        read_codestream(source.read_at, frame, reduce=1)
