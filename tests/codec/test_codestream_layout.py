"""What `scan_codestream` says of codestreams made here by OpenJPH and OpenJPEG."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import imagecodecs
import numpy as np
import pytest
from codestreams import image, progressive
from mersey.codecs.codestream import (
    CodestreamLayout,
    TilePart,
    prefix_length,
    reduced_size,
    scan_codestream,
    smallest_cover,
)
from mersey.codecs.errors import CodestreamError, UnsupportedError, UsageError

EOC = b"\xff\xd9"


@pytest.fixture(scope="module")
def grey() -> bytes:
    return progressive(image(300, 211))


@pytest.fixture(scope="module")
def colour() -> bytes:
    return progressive(image(130, 157, 3), levels=4)


def test_a_progressive_htj2k_stream_is_described_in_full(grey: bytes) -> None:
    layout = scan_codestream(grey)
    assert (layout.width, layout.height, layout.image_area) == (211, 300, (0, 0, 211, 300))
    assert (layout.components, layout.precision, layout.signed) == (1, (12,), (False,))
    assert (layout.decompositions, layout.layers, layout.progression) == (5, 1, "RPCL")
    assert (layout.reversible, layout.ht, layout.colour_transform) == (True, True, False)
    assert (layout.has_tlm, layout.has_eoc, layout.jp2_offset) == (True, True, 0)
    assert layout.length_bytes == len(grey)
    assert [(part.tile, part.part) for part in layout.tile_parts] == [(0, i) for i in range(6)]
    assert grey.index(b"\xff\x90") == layout.main_header_bytes
    ends = [part.offset_bytes + part.length_bytes for part in layout.tile_parts]
    assert layout.cut_points == (len(grey), *reversed(ends[:-1]))
    assert (layout.cut_evidence, layout.complete_reduce) == ("packets", 0)


def test_colour_and_signed_samples_are_told(colour: bytes) -> None:
    layout = scan_codestream(colour)
    assert (layout.components, layout.colour_transform) == (3, True)
    assert layout.precision == (12, 12, 12)
    assert layout.subsampling == ((1, 1),) * 3
    signed = progressive(image(64, 64).astype("i2") - 2048, levels=2)
    assert scan_codestream(signed).signed == (True,)


def test_a_lossy_part_1_stream_in_a_jp2_file_is_found_behind_its_wrapper() -> None:
    samples = image(90, 70).astype("u1")
    jp2 = imagecodecs.jpeg2k_encode(samples, level=35, codecformat="jp2", resolutions=4)
    j2k = imagecodecs.jpeg2k_encode(samples, level=35, codecformat="j2k", resolutions=4)
    wrapped, bare = scan_codestream(jp2), scan_codestream(j2k)
    assert jp2[wrapped.jp2_offset :][:4] == b"\xff\x4f\xff\x51"
    assert (wrapped.ht, wrapped.reversible, wrapped.has_tlm) == (False, False, False)
    assert wrapped.cut_points == bare.cut_points
    assert prefix_length(wrapped, 2) == wrapped.jp2_offset + prefix_length(bare, 2)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, np.frombuffer])
def test_any_contiguous_buffer_will_do(grey: bytes, kind) -> None:
    data = kind(grey, "u1") if kind is np.frombuffer else kind(grey)
    assert scan_codestream(data) == scan_codestream(grey)


def test_a_buffer_that_is_not_contiguous_is_refused(grey: bytes) -> None:
    with pytest.raises((BufferError, ValueError), match="contiguous"):
        scan_codestream(np.frombuffer(grey, "u1")[::2])


def test_a_layout_cannot_be_changed(grey: bytes) -> None:
    with pytest.raises(FrozenInstanceError):
        scan_codestream(grey).layers = 2  # type: ignore[misc]


@pytest.mark.parametrize("padding", [b"\0", b"\0\0\0", b"\x12\x34"])
def test_what_follows_eoc_is_not_part_of_the_codestream(grey: bytes, padding: bytes) -> None:
    assert scan_codestream(grey + padding) == scan_codestream(grey)


@pytest.mark.parametrize("padding", [b"", b"\0", b"\0\0"])
def test_a_missing_eoc_is_accepted_where_the_tile_parts_are_whole(
    grey: bytes, padding: bytes
) -> None:
    layout = scan_codestream(grey.removesuffix(EOC) + padding)
    assert not layout.has_eoc
    assert layout.length_bytes == len(grey) - 2
    assert layout.cut_points is not None
    assert layout.cut_points[1:] == scan_codestream(grey).cut_points[1:]  # type: ignore[index]


@pytest.mark.parametrize("ending", [EOC, EOC + b"\0", b""])
def test_the_last_tile_part_may_reach_to_the_end(grey: bytes, ending: bytes) -> None:
    last = scan_codestream(grey).tile_parts[-1]
    data = bytearray(grey.removesuffix(EOC) + ending)
    data[last.offset_bytes + 6 : last.offset_bytes + 10] = bytes(4)  # Psot
    layout = scan_codestream(data)
    assert layout.tile_parts[-1] == last
    assert layout.cut_evidence == "packets"
    assert layout.has_eoc == bool(ending)


def test_a_main_header_with_tlm_gives_every_cut_point(grey: bytes, colour: bytes) -> None:
    for data in (grey, colour):
        whole = scan_codestream(data)
        head = scan_codestream(data[: whole.main_header_bytes + 2], complete=False)
        assert head.cut_points == whole.cut_points
        assert (head.cut_evidence, head.complete_reduce) == ("tile-parts", None)
        assert head.tile_parts == whole.tile_parts
        assert (head.length_bytes, head.has_eoc) == (None, False)


def test_a_prefix_says_which_resolution_it_completes(grey: bytes, colour: bytes) -> None:
    for data in (grey, colour):
        points = scan_codestream(data).cut_points
        assert points is not None
        for reduce in range(1, len(points)):
            at, short = points[reduce], points[reduce] - 1
            assert scan_codestream(data[:at], complete=False).complete_reduce == reduce
            less = scan_codestream(data[:short], complete=False).complete_reduce
            assert less == (reduce + 1 if reduce + 1 < len(points) else None)


def test_a_prefix_without_tlm_tells_what_it_holds_and_no_more() -> None:
    data = progressive(image(128, 128), levels=3, tlm=False)
    points = scan_codestream(data).cut_points
    assert points is not None
    layout = scan_codestream(data[: points[2] + 5], complete=False)
    assert (layout.cut_points, layout.complete_reduce) == (None, 2)
    assert layout.why_no_cut_points == "this prefix has no TLM"
    with pytest.raises(UnsupportedError, match="no TLM"):
        prefix_length(layout, 1)


def test_a_tlm_that_lies_is_not_believed(grey: bytes) -> None:
    data = bytearray(grey)
    tlm = data.index(b"\xff\x55")
    data[tlm + 10] ^= 1  # the low byte of the first length
    start = scan_codestream(grey).main_header_bytes
    prefix = scan_codestream(data[: start + 600], complete=False)
    assert prefix.cut_points is None
    assert prefix.why_no_cut_points == "TLM does not fit the tile-parts"
    assert scan_codestream(data).cut_points == scan_codestream(grey).cut_points


@pytest.mark.parametrize("wrong", [b"\0\7", b"\xff\xff"])
def test_a_tlm_that_names_tiles_that_are_not_there_is_not_believed(
    grey: bytes, wrong: bytes
) -> None:
    data = bytearray(grey[: scan_codestream(grey).main_header_bytes + 2])
    first = data.index(b"\xff\x55") + 6
    for entry in range(first, first + 6 * 6, 6):
        data[entry : entry + 2] = wrong
    assert scan_codestream(data, complete=False).cut_points is None


def test_sizes_of_reduced_images_round_up(grey: bytes) -> None:
    layout = scan_codestream(grey)
    assert [reduced_size(layout, r) for r in (0, 1, 2, 5)] == [
        (211, 300), (106, 150), (53, 75), (7, 10),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "reduce"),
    [((1, 1), 5), ((7, 10), 5), ((8, 10), 4), ((106, 150), 1), ((106, 151), 0), ((9999, 1), 0)],
)
def test_the_smallest_cover_is_the_smallest_image_not_less_than_asked(
    grey: bytes, asked: tuple[int, int], reduce: int
) -> None:
    assert smallest_cover(scan_codestream(grey), *asked) == reduce


def test_without_cut_points_a_prefix_is_the_whole_codestream() -> None:
    data = progressive(image(64, 64, 3), levels=3, prog_order="CPRL", tilepart=0)
    layout = scan_codestream(data)
    assert (layout.cut_points, layout.cut_evidence) == (None, None)
    assert "not in the order of their resolutions (CPRL" in layout.why_no_cut_points
    assert prefix_length(layout, 2) == layout.length_bytes == len(data)


def test_a_reduction_that_is_not_there_is_a_usage_error(grey: bytes) -> None:
    with pytest.raises(UsageError, match="reduce is 6, this codestream has 0–5"):
        prefix_length(scan_codestream(grey), 6)


def test_tile_parts_are_values() -> None:
    assert TilePart(0, 1, 2, 3) == TilePart(tile=0, part=1, offset_bytes=2, length_bytes=3)
    assert CodestreamLayout.__slots__


def test_an_error_names_marker_and_place(grey: bytes) -> None:
    with pytest.raises(CodestreamError) as caught:
        scan_codestream(grey[:-3])
    assert caught.value.marker == 0xFF90
    assert caught.value.offset_bytes == scan_codestream(grey).tile_parts[-1].offset_bytes
    assert "Psot" in str(caught.value)
