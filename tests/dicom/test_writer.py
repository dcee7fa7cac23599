"""Files written in a new transfer syntax: what changes, and that nothing else does."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from mersey.codecs.errors import DicomError, UnsupportedError, UsageError
from mersey.engine.dicom.encapsulation import frame_item
from mersey.engine.dicom.writer import Part10Writer

RPCL = "1.2.840.10008.1.2.4.202"
EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.fixture
def rich(make):
    """An Explicit VR Little Endian file with a bit of everything, and its elements."""
    elements = make.image_elements(frames=3)
    elements[0x00080000] = make.element(0x00080000, "UL", [4711])
    elements[0x00081140] = make.sequence(
        0x00081140,
        [make.item(make.element(0x00081150, "UI", "1.2")), make.item(b"", undefined=True)],
        undefined=True,
    )
    elements[0x00090010] = make.element(0x00090010, "LO", "PRIVATE")
    elements[0x00091001] = make.element(0x00091001, "UN", b"odd")
    elements[0x00280000] = make.element(0x00280000, "UL", [4711])
    elements[0x00291001] = make.element(0x00291001, "OB", bytes(range(256)) * 600)
    return elements


def test_everything_else_comes_through_byte_for_byte(make, tools, rich):
    trailing = make.element(0xFFFCFFFC, "OB", b"padding.")
    head = make.dataset(rich)
    data = make.file(head + make.element(0x7FE00010, "OW", bytes(144)) + trailing)
    out = tools.write(data, frames=[b"abc", b"defg", b"h"])
    assert out.count(head) == 1
    assert out.endswith(trailing)


def test_only_what_changes_is_replaced_in_its_place(make, tools, rich):
    data = make.file(make.dataset(rich) + make.element(0x7FE00010, "OW", bytes(144)))
    out = tools.write(data, bits_stored=12, high_bit=11)
    rich[0x00280101] = make.element(0x00280101, "US", [12])
    rich[0x00280102] = make.element(0x00280102, "US", [11])
    del rich[0x00280000]
    assert out.count(make.dataset(rich)) == 1


def test_new_elements_are_put_in_ascending_order(make, tools, reread):
    elements = make.image_elements(allocated=8, samples=3, photometric="RGB")
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OB", bytes(72)))
    out = tools.write(data, photometric="YBR_RCT", planar=0)
    dataset = reread(out)
    assert dataset.PhotometricInterpretation == "YBR_RCT"
    assert dataset.PlanarConfiguration == 0
    tags = [element.tag for element in dataset]
    instance = tools.index(out)
    assert not any("order" in warning for warning in instance.warnings)
    assert tags == sorted(tags)


def test_the_offset_table_locates_every_frame(make, tools, reread):
    frames = [bytes([n]) * n for n in range(1, 40)]
    data = make.file(
        make.dataset(make.image_elements(frames=39))
        + make.element(0x7FE00010, "OW", bytes(48 * 39))
    )
    out = tools.write(data, frames=frames)
    source = tools.source(out)
    instance = tools.index(out, source=source)
    assert instance.warnings == ()
    assert instance.transfer_syntax_uid == RPCL
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    assert tools.frames(out, instance) == padded
    assert tools.pydicom_frames(reread(out)) == padded
    dataset = reread(out)
    assert dataset.PixelData[:8] == b"\xfe\xff\x00\xe0\0\0\0\0"
    items = struct.unpack("<39Q", dataset.ExtendedOffsetTable)
    assert items[0] == 0
    assert items[1] == 8 + 2


def test_old_offset_tables_are_replaced(make, tools, reread):
    frames = [b"\xff\x4f\xff\x51ab", b"\xff\x4f\xff\x51cdef"]
    data = make.encapsulated_file(
        frames, frames=2, offsets=struct.pack("<2Q", 1, 2), lengths=struct.pack("<2Q", 3, 4)
    )
    out = tools.write(data)
    assert struct.unpack("<2Q", reread(out).ExtendedOffsetTable) == (0, 14)
    again = tools.write(out)
    assert again == out


@pytest.mark.parametrize("allocated", [8, 16])
def test_uncompressed_frames_are_one_value(make, tools, reread, allocated):
    frames = [b"\xff\x4f\xff\x51ab", b"\xff\x4f\xff\x51cdef"]
    elements = make.image_elements(frames=2, rows=3, columns=3, allocated=allocated)
    data = make.file(make.dataset(elements) + make.encapsulated(frames), syntax="j2k")
    values = [bytes([n]) * (9 * allocated // 8) for n in (1, 2)]
    out = tools.write(data, target=EXPLICIT, frames=values)
    dataset = reread(out)
    assert dataset.PixelData == b"".join(values)
    assert ("OB" if allocated == 8 else "OW") == dataset["PixelData"].VR
    assert "ExtendedOffsetTable" not in dataset
    assert tools.frames(out, tools.index(out)) == values


def test_frames_of_bits_allocated_1_are_joined_bit_by_bit(make, tools, reread):
    rng = np.random.default_rng(5)
    bits = rng.integers(0, 2, (5, 7, 3), dtype=np.uint8)
    frames = [np.packbits(frame.ravel(), bitorder="little").tobytes() for frame in bits]
    whole = np.packbits(bits.ravel(), bitorder="little").tobytes()
    elements = make.image_elements(frames=5, rows=7, columns=3, allocated=1)
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OB", whole))
    out = tools.write(data, target=EXPLICIT, frames=frames)
    assert reread(out).PixelData == whole + b"\0" * (len(whole) % 2)
    assert tools.index(out).warnings == ()


@pytest.mark.parametrize(("tag", "vr", "bits"), [(0x7FE00008, "OF", 32), (0x7FE00009, "OD", 64)])
def test_floats_keep_their_element(make, tools, reread, tag, vr, bits):
    value = np.arange(48, dtype=f"<f{bits // 8}").tobytes()
    elements = make.image_elements(frames=2, allocated=bits)
    for absent in (0x00280101, 0x00280102, 0x00280103):
        del elements[absent]
    head = make.dataset(elements)
    out = tools.write(make.file(head + make.element(tag, vr, value)), target=EXPLICIT)
    assert out.endswith(head + make.element(tag, vr, value))
    assert reread(out)[tag].value == value


def test_file_meta_names_the_writer_and_keeps_the_rest(make, tools, reread):
    extra = make.element(0x00020012, "UI", "1.2.999") + make.element(0x00020013, "SH", "OTHER")
    extra += make.element(0x00020016, "AE", "ARCHIVE") + make.element(0x00020100, "UI", "1.2.77")
    meta = make.file_meta("explicit", extra=extra, group_length=None)
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    data = b"II*\0" * 32 + make.file(make.dataset(make.image_elements()) + pixels, meta=meta)[128:]
    out = tools.write(data)
    dataset = reread(out)
    assert out[:132] == bytes(128) + b"DICM"
    assert dataset.file_meta.TransferSyntaxUID == RPCL
    assert dataset.file_meta.ImplementationClassUID.startswith("2.25.")
    assert dataset.file_meta.ImplementationVersionName.startswith("MERSEY")
    assert dataset.file_meta.SourceApplicationEntityTitle == "ARCHIVE"
    assert dataset.file_meta.PrivateInformationCreatorUID == "1.2.77"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    length = dataset.file_meta.FileMetaInformationGroupLength
    assert 132 + 12 + length == tools.index(out).layout.dataset_offset


def test_a_file_without_meta_gets_one(make, tools, reread):
    data = make.dataset(make.image_elements()) + make.element(0x7FE00010, "OW", bytes(48))
    dataset = reread(tools.write(data))
    assert dataset.file_meta.MediaStorageSOPClassUID == "1.2.840.10008.5.1.4.1.1.7"
    assert dataset.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4"


def test_a_lossless_step_changes_no_identity(make, tools, reread):
    elements = make.image_elements()
    elements[0x00282110] = make.element(0x00282110, "CS", "01")
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", bytes(48)))
    dataset = reread(tools.write(data))
    assert dataset.SOPInstanceUID == "1.2.3.4"
    assert dataset.LossyImageCompression == "01"
    assert dataset.ImageType == ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_a_deflated_source_is_spliced_from_its_inflated_stream(make, tools):
    head = make.dataset(make.image_elements(frames=40))
    value = np.random.default_rng(1).bytes(48 * 40)
    data = make.file(head + make.element(0x7FE00010, "OW", value), syntax="deflated")
    out = tools.write(data)
    assert out.count(head) == 1
    assert b"".join(tools.frames(out, tools.index(out))) == value


def test_number_of_frames_is_written_where_it_changes(make, tools, reread):
    data = make.file(
        make.dataset(make.image_elements(frames=0)) + make.element(0x7FE00010, "OW", bytes(48))
    )
    assert reread(tools.write(data)).NumberOfFrames == 0
    data = make.file(
        make.dataset(make.image_elements(frames=3)) + make.element(0x7FE00010, "OW", bytes(144))
    )
    assert reread(tools.write(data, frames=[b"ab", b"cd"])).NumberOfFrames == 2


def test_the_same_input_gives_the_same_bytes(make, tools, rich):
    data = make.file(make.dataset(rich) + make.element(0x7FE00010, "OW", bytes(144)))
    assert tools.write(data) == tools.write(data)


def test_a_large_header_streams_in_small_pieces(make, tools):
    elements = make.image_elements()
    elements[0x00291001] = make.element(0x00291001, "OB", bytes(3_000_000))
    data = make.file(make.dataset(elements) + make.element(0x7FE00010, "OW", bytes(48)))
    instance = tools.index(data)
    source = tools.source(data)
    writer = Part10Writer(
        instance, source, transfer_syntax_uid=RPCL, pixels=instance.pixels, frame_count=1
    )
    assert max(len(piece) for piece in writer.header()) <= 65536
    assert max(length for _, length in source.reads) <= 65536


def test_values_that_no_element_holds_are_unsupported(make, tools):
    elements = make.image_elements(rows=65535, columns=65535)
    data = make.file(
        make.dataset(elements) + make.encapsulated([b"\xff\x4f\xff\x51"]), syntax="j2k"
    )
    with pytest.raises(UnsupportedError, match="uncompressed Pixel Data"):
        tools.write(data, target=EXPLICIT)


@pytest.mark.parametrize("target", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.3"])
def test_other_targets_are_unsupported(make, tools, target):
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    with pytest.raises(UnsupportedError) as caught:
        tools.write(make.file(make.dataset(make.image_elements()) + pixels), target=target)
    assert caught.value.feature == target


def test_an_object_without_frames_is_copied_not_written(make, tools):
    instance = tools.index(make.file(make.element(0x00080060, "CS", "SR")))
    with pytest.raises(UsageError):
        Part10Writer(
            instance, tools.source(b""), transfer_syntax_uid=RPCL, pixels=None, frame_count=1
        )


def test_patches_want_every_length(make, tools):
    data = make.file(
        make.dataset(make.image_elements(frames=3)) + make.element(0x7FE00010, "OW", bytes(144))
    )
    instance = tools.index(data)
    writer = Part10Writer(
        instance,
        tools.source(data),
        transfer_syntax_uid=RPCL,
        pixels=instance.pixels,
        frame_count=3,
    )
    with pytest.raises(UsageError, match="before the header"):
        writer.patches()
    list(writer.header())
    writer.add_lengths([1, 2])
    with pytest.raises(UsageError, match="2 frames were added, expected 3"):
        writer.patches()


def test_an_uncompressed_frame_of_another_size_is_refused(make, tools):
    pixels = make.element(0x7FE00010, "OW", bytes(48))
    with pytest.raises(UsageError, match="47 bytes, expected 48"):
        tools.write(
            make.file(make.dataset(make.image_elements()) + pixels),
            target=EXPLICIT,
            frames=[bytes(47)],
        )


def test_a_source_that_shrank_is_an_error(make, tools):
    data = make.file(
        make.dataset(make.image_elements()) + make.element(0x7FE00010, "OW", bytes(48))
    )
    instance = tools.index(data)
    writer = Part10Writer(
        instance,
        lambda offset, length: data[:200][offset : offset + length],
        transfer_syntax_uid=RPCL,
        pixels=instance.pixels,
        frame_count=1,
    )
    with pytest.raises(DicomError, match="source ended"):
        list(writer.header())


def test_an_item_is_a_tag_a_length_and_an_even_value():
    assert b"".join(frame_item(b"abc")) == b"\xfe\xff\x00\xe0\x04\0\0\0abc\0"
    assert b"".join(frame_item(b"")) == b"\xfe\xff\x00\xe0\0\0\0\0"
