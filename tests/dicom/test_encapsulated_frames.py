"""Frames of encapsulated Pixel Data: offset tables right, wrong and absent."""

from __future__ import annotations

import struct

import pytest
from mersey.codecs.errors import DicomError

J2K = b"\xff\x4f\xff\x51\x00\x2f\x00\x00"
JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + bytes(20)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF"
RLE = struct.pack("<16I", 1, 64, *[0] * 14)
JXL = b"\xff\x0a\x00\x00"


def codestreams(head, count, *, step=37):
    return [head + bytes([number % 251]) * (100 + step * number) for number in range(count)]


def split(frames, *, at=50):
    """Every frame in two fragments."""
    return [part for frame in frames for part in (frame[:at], frame[at:])]


def padded(frames):
    return [frame + b"\0" * (len(frame) % 2) for frame in frames]


def table_of(make, frames):
    """Values of the Extended Offset Table and its lengths."""
    sizes = [len(frame) + len(frame) % 2 for frame in frames]
    offsets = [sum(sizes[:n]) + 8 * n for n in range(len(sizes))]
    return struct.pack(f"<{len(sizes)}Q", *offsets), struct.pack(f"<{len(sizes)}Q", *sizes)


def test_one_fragment_a_frame_with_an_empty_table(make, tools):
    frames = codestreams(J2K, 5)
    data = make.encapsulated_file(frames, frames=5)
    instance = tools.index(data)
    assert tools.frames(data, instance) == padded(frames)
    assert instance.warnings == ()
    assert instance.layout.end_offset == len(data)


@pytest.mark.parametrize("head", [J2K, b"no signature"])
def test_the_basic_offset_table_groups_fragments(make, tools, head):
    frames = codestreams(head, 4)
    fragments = split(frames)
    table = make.basic_table([len(f) for f in fragments], group=2)
    data = make.encapsulated_file(fragments, frames=4, table=table)
    instance = tools.index(data)
    assert tools.frames(data, instance) == padded(frames)
    assert instance.warnings == ()


@pytest.mark.parametrize(
    ("head", "syntax"),
    [(J2K, "j2k"), (JP2, "j2k"), (JPEG, "jpeg"), (RLE, "rle"), (JXL, "1.2.840.10008.1.2.4.110")],
)
def test_codestreams_tell_their_start_where_there_is_no_table(make, tools, head, syntax):
    frames = codestreams(head, 4)
    fragments = [*split(frames, at=80), b"tail"]
    data = make.encapsulated_file(fragments, frames=4, syntax=syntax)
    instance = tools.index(data)
    assert tools.frames(data, instance) == [*padded(frames)[:3], padded(frames)[3] + b"tail"]


def test_the_first_bytes_of_a_codestream_of_another_family_do_not_start_a_frame(make, tools):
    frames = [JPEG + bytes(20), J2K + bytes(30), JPEG + bytes(40)]
    data = make.encapsulated_file(frames, frames=2, syntax="jpeg")
    assert tools.frames(data, tools.index(data)) == [frames[0] + frames[1], frames[2]]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda table: table[:-4],
        lambda table: table[:-1],
        lambda table: table[4:] + table[:4],
        lambda table: struct.pack("<4I", 8, 100, 200, 300),
        lambda table: bytes(len(table)),
        lambda table: b"\xff" * len(table),
    ],
)
def test_a_wrong_basic_offset_table_is_not_believed(make, tools, spoil):
    frames = codestreams(J2K, 4)
    fragments = split(frames)
    table = spoil(make.basic_table([len(f) for f in fragments], group=2))
    data = make.encapsulated_file(fragments, frames=4, table=table)
    instance = tools.index(data)
    assert tools.frames(data, instance) == padded(frames)
    assert instance.warnings == ("the Basic Offset Table is wrong; the items were scanned instead",)


def test_a_table_that_points_into_frames_is_not_believed(make, tools):
    frames = codestreams(J2K, 3)
    fragments = [*split(frames)]
    table = make.basic_table([len(f) for f in fragments])
    wrong = table[:4] + table[4:8] + table[8:12]
    data = make.encapsulated_file(fragments, frames=3, table=wrong)
    assert tools.frames(data, tools.index(data)) == padded(frames)


def test_one_frame_in_many_fragments(make, tools):
    fragments = [J2K + bytes(8), *[bytes([number]) * 10 for number in range(30)]]
    data = make.encapsulated_file(fragments, frames=None)
    assert tools.frames(data, tools.index(data)) == [b"".join(fragments)]


def test_an_extended_offset_table_spares_the_items_between(make, tools):
    frames = codestreams(J2K, 300, step=400)
    offsets, lengths = table_of(make, frames)
    data = make.encapsulated_file(
        frames, frames=300, syntax="htj2k-rpcl", offsets=offsets, lengths=lengths
    )
    source = tools.source(data)
    instance = tools.index(data, source=source)
    assert tools.frames(data, instance) == padded(frames)
    assert len(source.reads) <= 5
    assert source.bytes_read < 80_000 < len(data)


def test_lengths_without_padding_are_understood(make, tools):
    frames = codestreams(J2K, 5)
    offsets, _ = table_of(make, frames)
    lengths = struct.pack("<5Q", *(len(frame) for frame in frames))
    data = make.encapsulated_file(frames, frames=5, offsets=offsets, lengths=lengths)
    assert tools.frames(data, tools.index(data)) == padded(frames)


@pytest.mark.parametrize("place", [0, 4, 8, 16, 39])
@pytest.mark.parametrize("which", ["offsets", "lengths"])
def test_a_wrong_extended_offset_table_is_not_believed(make, tools, place, which):
    frames = codestreams(J2K, 5)
    tables = dict(zip(("offsets", "lengths"), map(bytearray, table_of(make, frames)), strict=True))
    tables[which][place] ^= 0x55
    data = make.encapsulated_file(
        frames, frames=5, offsets=bytes(tables["offsets"]), lengths=bytes(tables["lengths"])
    )
    assert tools.frames(data, tools.index(data)) == padded(frames)


def test_a_consistent_table_for_other_items_is_not_believed(make, tools):
    frames = codestreams(J2K, 5)
    offsets, lengths = table_of(make, codestreams(J2K, 5, step=21))
    data = make.encapsulated_file(frames, frames=5, offsets=offsets, lengths=lengths)
    assert tools.frames(data, tools.index(data)) == padded(frames)


def test_indexing_reads_headers_and_item_tags_only(make, tools):
    frames = codestreams(J2K, 40, step=3000)
    data = make.encapsulated_file(frames, frames=40)
    source = tools.source(data)
    tools.index(data, source=source)
    assert source.bytes_read < 32768 * 3 + 64 * 42
    assert source.bytes_read < len(data) / 15


def test_uncompressed_pixel_data_is_not_read_at_all(make, tools):
    elements = make.dataset(make.image_elements(rows=2000, columns=2000))
    data = make.file(elements + make.element(0x7FE00010, "OW", bytes(8_000_000)))
    source = tools.source(data)
    tools.index(data, source=source)
    assert source.reads == [(0, 32768)]


def test_a_missing_delimiter_is_accepted_where_frames_are_whole_items(make, tools):
    frames = codestreams(J2K, 3)
    data = make.encapsulated_file(frames, frames=3, delimiter=False)
    instance = tools.index(data)
    assert tools.frames(data, instance) == padded(frames)
    assert "without a Sequence Delimitation Item" in instance.warnings[0]


def test_a_missing_delimiter_is_refused_where_the_last_frame_may_lack_fragments(make, tools):
    data = make.encapsulated_file(split(codestreams(J2K, 3)), frames=3, delimiter=False)
    with pytest.raises(DicomError, match="may not be whole"):
        tools.index(data)


def test_fewer_fragments_than_frames_is_an_error(make, tools):
    with pytest.raises(DicomError, match=r"Number of Frames is 9, .* 3 fragments") as caught:
        tools.index(make.encapsulated_file(codestreams(J2K, 3), frames=9))
    assert caught.value.tag == 0x00280008


def test_more_codestreams_than_frames_is_a_warning(make, tools):
    frames = codestreams(J2K, 5)
    data = make.encapsulated_file(frames, frames=3)
    instance = tools.index(data)
    assert tools.frames(data, instance) == padded(frames)[:3]
    assert "Pixel Data holds 5 frames, but Number of Frames is 3" in instance.warnings


def test_fragments_that_cannot_be_told_apart_are_an_error(make, tools):
    data = make.encapsulated_file([b"aa", b"bb", b"cc"], frames=2)
    with pytest.raises(DicomError, match="cannot be told apart"):
        tools.index(data)


def test_elements_behind_the_delimiter_are_read(make, tools):
    behind = make.element(0xFFFCFFFC, "OB", bytes(20))
    data = make.encapsulated_file(codestreams(J2K, 2), frames=2, behind=behind)
    assert tools.index(data).layout.end_offset == len(data) - len(behind)


def test_a_fragment_longer_than_the_file_is_an_error(make, tools):
    frames = codestreams(J2K, 2)
    data = make.encapsulated_file(frames, frames=2)
    with pytest.raises(DicomError, match="declares") as caught:
        tools.index(data[:-60])
    assert caught.value.tag == 0x7FE00010


def test_something_else_among_the_items_is_an_error(make, tools):
    elements = make.dataset(make.image_elements())
    pixels = make.element(0x7FE00010, "OB", b"", length=make.undefined)
    pixels += make.item(b"") + make.element(0x00080018, "UI", "1.2.3.4.5.6")
    with pytest.raises(DicomError, match=r"found \(0008,0018\)"):
        tools.index(make.file(elements + pixels, syntax="j2k"))


CAP = b"\xff\x4f\xff\x51" + struct.pack(">H", 41) + bytes(39) + b"\xff\x50\x00\x08"


@pytest.mark.parametrize(
    ("head", "uid"),
    [
        (b"\xff\x4f\xff\x51" + struct.pack(">H", 41) + bytes(39) + b"\xff\x52", ".4.91"),
        (CAP, ".4.203"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11", ".4.50"),
        (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xff\xc1\x00\x11", ".4.51"),
        (b"\xff\xd8\xff\xc3\x00\x0b", ".4.57"),
        (b"\xff\xd8\xff\xf7\x00\x0b", ".4.81"),
        (RLE, ".2.5"),
    ],
)
@pytest.mark.parametrize("syntax", [None, "explicit", "implicit"])
def test_fragments_of_an_unnamed_syntax_show_what_they_are(make, tools, head, uid, syntax):
    data = make.encapsulated_file([head + bytes(60)], frames=1, syntax=syntax)
    instance = tools.index(data)
    assert instance.transfer_syntax_uid.endswith(uid)
    assert any("looks like" in warning for warning in instance.warnings)


def test_fragments_of_an_unnamed_syntax_that_show_nothing_are_an_error(make, tools):
    with pytest.raises(DicomError, match="no Transfer Syntax UID says how"):
        tools.index(make.encapsulated_file([b"????" * 9], frames=1, syntax=None))


def test_a_video_is_indexed_as_a_whole(make, tools):
    data = make.encapsulated_file([b"\0\0\0\x18ftyp"], frames=500, syntax="1.2.840.10008.1.2.4.102")
    instance = tools.index(data)
    assert instance.frames is None
    assert instance.pixels is None
    assert "video" in instance.warnings[0]
