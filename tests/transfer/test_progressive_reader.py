"""Reading a progressive answer: any split of the bytes, and heads that lie."""

from __future__ import annotations

import base64
import hashlib
import itertools
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import FormatError, IntegrityError
from mersey.codecs.pixels import PixelFormat
from mersey.engine.transfer.frame_pieces import FramePieces
from mersey.engine.transfer.progressive_body import (
    ProgressiveFrame,
    ProgressiveWriter,
    progressive_body,
)
from mersey.engine.transfer.progressive_reader import ProgressiveReader
from mersey.engine.transfer.resolution_order import FrameOrder, plan_pieces
from mersey.engine.transfer.series_description import DescribedInstance, SeriesDescription

RPCL = "1.2.840.10008.1.2.4.202"
PIXELS = PixelFormat(8, 8)


def answer(frames: list[tuple[bytes, tuple[int, ...]]], *, until: int = 0) -> tuple[str, bytes]:
    description = SeriesDescription((DescribedInstance("1.2", len(frames), PIXELS, RPCL),))
    content_type, body = progressive_body(
        description,
        [
            ProgressiveFrame(f"frames/{at + 1}", "image/jphc", (data,), FramePieces.of(data, cuts))
            for at, (data, cuts) in enumerate(frames)
        ],
        order=FrameOrder.MIDDLE_OUT,
        until=until,
        etag='"x"',
    )
    data = b"".join(segment for segment in body.segments() if isinstance(segment, bytes))
    assert len(data) == body.length_bytes
    return content_type, data


def signed(data: bytes) -> bytes:
    """`data` with the digests and checks that its parts should have, as a sender that lies has."""
    mark = data.partition(b"\r\n")[0]
    parts = []
    for part in (b"\r\n" + data).split(b"\r\n" + mark + b"\r\n")[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        content, end, _ = content.partition(b"\r\n" + mark + b"--\r\n")
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        fields = dict(line.split(": ", 1) for line in head.decode("latin-1").split("\r\n"))
        fields["Content-Digest"] = f"sha-256=:{digest}:"
        if "Content-Length" in fields:
            fields["Content-Length"] = str(len(content))
        names = ("Content-Type", "Content-Location", "Content-Range", "Mersey-Reduction")
        text = "".join(f"{fields.get(name, '')}\n" for name in (*names, "Content-Digest"))
        fields["Mersey-Check"] = f"{zlib.crc32(text.encode()):08x}"
        lines = "\r\n".join(f"{name}: {value}" for name, value in fields.items())
        parts.append(mark + b"\r\n" + lines.encode() + b"\r\n\r\n" + content)
        if end:
            parts.append(mark + b"--\r\n")
    return b"\r\n".join(parts)


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
    assert signed(data) == data
    with pytest.raises(IntegrityError):
        read(content_type, [data.replace(old, new, 1)])
    with pytest.raises((FormatError, IntegrityError)):
        read(content_type, [signed(data.replace(old, new, 1))])


@given(st.data())
def test_what_was_damaged_on_the_way_is_read_again_from_the_last_part_that_was_right(draws) -> None:
    content_type, data = answer(FRAMES)
    _, expected = read(content_type, [data])
    at, bit = draws.draw(st.integers(0, len(data) - 1)), draws.draw(st.integers(0, 7))
    step = draws.draw(st.integers(1, len(data)))
    damaged = bytearray(data)
    damaged[at] ^= 1 << bit
    reader, arrived, source = ProgressiveReader(content_type), [], bytes(damaged)
    for source in (bytes(damaged), data):
        position = reader.verified_bytes
        try:
            while position < len(source):
                arrived += reader.feed(source[position : position + step])
                position += step
        except IntegrityError:
            assert source != data
        if reader.is_finished:
            break
        reader.rewind()
        assert reader.verified_bytes <= at
    assert arrived == expected
    assert reader.verified_bytes == len(data) - len(data.rpartition(b"\r\n--")[2]) - 4
    assert [reader.prefix(at) for at in range(3)] == [frame for frame, _ in FRAMES]


def test_a_part_without_a_digest_does_not_count() -> None:
    content_type, data = answer(FRAMES)
    with pytest.raises(IntegrityError):
        read(content_type, [data.replace(b"Content-Digest", b"Content-Digits")])


def left_out(rows: list[tuple[str, str]]) -> tuple[str, bytes]:
    instances = tuple(
        DescribedInstance(uid, count, PIXELS, RPCL) for uid, count in (("1.2", 2), ("1.3", 3))
    )
    writer = ProgressiveWriter('"x"')
    frames = [
        ProgressiveFrame(
            f"instances/1.2/frames/{number}", "image/jphc", (b"ab",), FramePieces.of(b"ab", (2,))
        )
        for number in (1, 2)
    ]
    segments = [writer.root(SeriesDescription(instances)), writer.left_out(rows)]
    for piece in plan_pieces([(2,), (2,)], order=FrameOrder.IN_ORDER):
        segments += writer.piece(frames[piece.frame], piece)
    return writer.content_type, b"".join((*segments, writer.tail()))


def test_instances_that_turn_out_not_to_come_are_not_missed() -> None:
    content_type, data = left_out([("1.3", "no form")])
    reader, arrived = read(content_type, [data])
    assert reader.is_finished
    assert [one.frame for one in arrived] == [0, 1]
    assert reader.left_out == {"1.3": "no form"}
    assert reader.frames_left_out == {2, 3, 4}
    assert reader.missing(until=0) == []


def test_what_was_not_described_cannot_be_left_out() -> None:
    content_type, data = left_out([("1.4", "no form")])
    with pytest.raises(FormatError):
        read(content_type, [data])


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


def test_what_does_not_begin_with_a_part_is_told_before_any_place_is_counted() -> None:
    """As where HTTP's own head was damaged, and its chunks come as they are."""
    content_type, data = answer(FRAMES)
    for before in (b"46b\r\n", b"\r\n", b"x"):
        reader = ProgressiveReader(content_type)
        with pytest.raises(IntegrityError):
            list(reader.feed(before + data))
        assert reader.verified_bytes == 0
    reader = ProgressiveReader(content_type)
    half = data.index(b"Mersey-Reduction") + 20
    list(reader.feed(data[:half]))
    reader.rewind()
    place = reader.verified_bytes
    for other in (data[place + 2 :], b"9\r\n" + data[place:], data[place - 1 :]):
        with pytest.raises(IntegrityError):
            list(reader.feed(other))
        reader.rewind()
        assert reader.verified_bytes == place
    list(reader.feed(data[place:]))
    assert reader.is_finished
