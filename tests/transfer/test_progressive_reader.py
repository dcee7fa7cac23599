"""Reading a progressive answer: any split of the bytes, and heads that lie."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import FormatError
from mersey.codecs.pixels import PixelFormat
from mersey.engine.transfer.progressive_body import ProgressiveFrame, progressive_body
from mersey.engine.transfer.progressive_reader import ProgressiveReader
from mersey.engine.transfer.resolution_order import FrameOrder
from mersey.engine.transfer.series_description import DescribedInstance, SeriesDescription

RPCL = "1.2.840.10008.1.2.4.202"
PIXELS = PixelFormat(8, 8)


def answer(frames: list[tuple[bytes, tuple[int, ...]]], *, until: int = 0) -> tuple[str, bytes]:
    description = SeriesDescription((DescribedInstance("1.2", len(frames), PIXELS, RPCL),))
    content_type, body = progressive_body(
        description,
        [
            ProgressiveFrame(f"frames/{at + 1}", "image/jphc", (data,), cuts)
            for at, (data, cuts) in enumerate(frames)
        ],
        order=FrameOrder.MIDDLE_OUT,
        until=until,
        etag='"x"',
    )
    data = b"".join(segment for segment in body.segments() if isinstance(segment, bytes))
    assert len(data) == body.length_bytes
    return content_type, data


FRAMES = [(bytes(range(90)), (90, 40, 10)), (bytes(range(60, 130)), (70, 20, 5)), (b"xy", (2,))]


def read(content_type: str, pieces) -> tuple[ProgressiveReader, list]:
    reader = ProgressiveReader(content_type)
    return reader, [arrived for piece in pieces for arrived in reader.feed(piece)]


@given(st.lists(st.integers(0, 2000), max_size=12))
def test_any_split_gives_the_same(cuts) -> None:
    content_type, data = answer(FRAMES)
    _, expected = read(content_type, [data])
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[first:last] for first, last in itertools.pairwise(edges)]
    reader, arrived = read(content_type, pieces)
    assert arrived == expected
    assert reader.is_finished
    assert [reader.prefix(at) for at in range(3)] == [frame for frame, _ in FRAMES]


def test_a_byte_at_a_time_gives_the_same() -> None:
    content_type, data = answer(FRAMES)
    _, expected = read(content_type, [data])
    assert read(content_type, [bytes([byte]) for byte in data])[1] == expected


def test_only_whole_parts_count() -> None:
    content_type, data = answer(FRAMES)
    at = data.index(b"Content-Range: bytes 10-39/90")
    reader, _ = read(content_type, [data[: at + 60]])
    assert reader.prefix(0) == FRAMES[0][0][:10]
    assert reader.missing(until=0) == [0, 1, 2]


def test_what_is_missing_depends_on_where_it_ends() -> None:
    content_type, data = answer(FRAMES, until=1)
    reader, _ = read(content_type, [data])
    assert reader.missing(until=1) == []
    assert reader.missing(until=0) == [0, 1]


def test_released_frames_take_no_memory() -> None:
    content_type, data = answer(FRAMES)
    reader = ProgressiveReader(content_type)
    for arrived in reader.feed(data):
        if arrived.is_whole:
            reader.release(arrived.frame)
    assert reader._held == {}
    assert reader.missing(until=0) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"bytes 10-39/90", b"bytes 11-39/90"),
        (b"bytes 10-39/90", b"bytes 10-39/91"),
        (b"bytes 10-39/90", b"bytes 39-10/90"),
        (b"bytes 10-39/90", b"bytes 10-38/90"),
        (b"bytes 10-39/90", b"bytes 10-95/90"),
        (b"bytes 10-39/90", b"bytes 10-39/*"),
        (b"bytes 0-1/2", b"bytes 0-1/999999999"),
        (b"frames/2\r\nContent-Range: bytes 0-4", b"frames/4\r\nContent-Range: bytes 0-4"),
        (b"frames/2\r\nContent-Range: bytes 0-4", b"frames/0\r\nContent-Range: bytes 0-4"),
        (b"frames/2\r\nContent-Range: bytes 0-4", b"fames/22\r\nContent-Range: bytes 0-4"),
        (b"Mersey-Reduction: 2", b"Mersey-Reduction: x"),
        (b'"rows":8', b'"rows":0'),
        (b'"rows":8', b'"rows":"8"'),
        (b'"frames":3', b'"frames":-3'),
        (b'"uid":"1.2"', b'"uid":"../2"'),
        (b'"instances":[{', b'"instances":[[{'),
    ],
)
def test_heads_that_lie_are_refused(old, new) -> None:
    content_type, data = answer(FRAMES)
    assert old in data
    broken = data.replace(old, new, 1)
    # The length of the description goes with it.
    shift = len(new) - len(old) if b'"' in old else 0
    length = int(data.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
    broken = broken.replace(
        b"Content-Length: %d" % length, b"Content-Length: %d" % (length + shift)
    )
    with pytest.raises(FormatError):
        read(content_type, [broken])


def test_an_answer_of_another_kind_is_refused() -> None:
    for content_type in ("application/json", "multipart/related", "multipart/mixed; boundary=a"):
        with pytest.raises(FormatError):
            ProgressiveReader(content_type)


def test_a_description_says_the_same_after_a_round_trip() -> None:
    colour = PixelFormat(4, 5, samples=3, bits_allocated=8, bits_stored=8, high_bit=7)
    description = SeriesDescription(
        (
            DescribedInstance("1.2", 3, PIXELS.with_(signed=True), RPCL),
            DescribedInstance("1.3", 1, colour.with_(photometric="YBR_RCT"), RPCL),
            DescribedInstance("1.4", 1, PIXELS.with_(signed=True), RPCL),
        ),
        (("1.5", "the instance has no frames"),),
    )
    assert SeriesDescription.parse(description.to_json()) == description
