"""Real files, compared with what pydicom finds in them."""

from __future__ import annotations

import csv
import io
import warnings

import pydicom
import pytest
from mersey.codecs.errors import MerseyError
from pydicom.errors import InvalidDicomError

PIXEL_TAGS = {0x7FE00001, 0x7FE00002, 0x7FE00003, 0x7FE00008, 0x7FE00009, 0x7FE00010}

# Files of pydicom's that are wrong on purpose: what is wrong, by a word of the message.
REFUSED = {
    "MR_truncated.dcm": "holds only 8130 more",
    "badVR.dcm": "Number of Frames is '1A'",
    "meta_missing_tsyntax.dcm": "Rows",
    "nested_priv_SQ.dcm": "Rows",
    "no_meta.dcm": "not a DICOM file",
    "rtplan_truncated.dcm": "holds only 711 more",
}


def read_by_pydicom(data):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(data), force=True)
        # Elements are parsed when they are used; here, while warnings are silenced.
        for element in dataset.iterall():
            assert element.tag is not None
        return dataset


def assert_same(tools, data, instance):
    """Assert that pydicom finds the same identity and the same bytes in every frame."""
    dataset = read_by_pydicom(data)
    assert instance.sop_instance_uid == dataset.get("SOPInstanceUID", instance.sop_instance_uid)
    assert instance.study_instance_uid == dataset.get("StudyInstanceUID", "")
    assert instance.series_instance_uid == dataset.get("SeriesInstanceUID", "")
    if instance.frames is None:
        assert not PIXEL_TAGS & {element.tag for element in dataset}
        return
    assert instance.pixels is not None
    assert (instance.pixels.rows, instance.pixels.columns) == (dataset.Rows, dataset.Columns)
    assert len(instance.frames) == int(dataset.get("NumberOfFrames", 1) or 1)
    if instance.pixels.frame_bits % 8 or instance.pixels.swapped_words:
        stream = tools.stream(data, instance)
        end = instance.frames[len(instance.frames) - 1].spans[0]
        start = instance.layout.value_offset
        value = stream[start : end.offset_bytes + end.length_bytes]
        assert dataset.PixelData.startswith(value)
    elif instance.transfer_syntax_uid == dataset.file_meta.get("TransferSyntaxUID"):
        assert tools.frames(data, instance) == tools.pydicom_frames(dataset)


def assert_rewritten(tools, data, instance):
    """Assert that a file written with the same frames has every other element unchanged."""
    frames = tools.frames(data, instance)
    out = tools.write(data)
    written = tools.index(out)
    assert [f[: len(g)] for f, g in zip(tools.frames(out, written), frames, strict=True)] == frames
    before, after = read_by_pydicom(data), read_by_pydicom(out)
    little = before.original_encoding[1]
    compare_datasets(before, after, swapped=not little, changed=instance.attributes.keys())


def compare_datasets(before, after, *, swapped, changed):
    kept = {e.tag for e in before if e.tag not in PIXEL_TAGS and e.tag & 0xFFFF}
    found = {e.tag for e in after if e.tag not in PIXEL_TAGS and e.tag & 0xFFFF}
    assert kept <= found
    # Image attributes that the source lacked and that had to be assumed.
    assert all(tag >> 16 == 0x0028 for tag in found - kept)
    for tag in kept:
        old, new = before[tag], after[tag]
        if swapped and (old.VR in ("OW", "UN") or tag.is_private):
            # pydicom leaves OW unswapped, and reads private UN in the file's byte order.
            continue
        assert old == new, tag


def corpus(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def test_pydicoms_files_are_indexed_as_pydicom_reads_them(tools, pydicom_files):
    refused = {}
    for path in pydicom_files:
        data = path.read_bytes()
        try:
            instance = tools.index(data)
        except MerseyError as error:
            refused[path.name] = error.message
            continue
        assert_same(tools, data, instance)
    assert set(refused) == set(REFUSED)
    for name, words in REFUSED.items():
        assert words in refused[name]


def test_pydicoms_files_are_rewritten_without_other_changes(tools, pydicom_files):
    rewritten = 0
    for path in pydicom_files:
        if path.suffix != ".dcm" or path.name in REFUSED:
            continue
        data = path.read_bytes()
        instance = tools.index(data)
        if instance.frames is not None:
            assert_rewritten(tools, data, instance)
            rewritten += 1
    assert rewritten > 50


def test_the_corpus_is_indexed_as_its_manifest_says(tools, shared_data):
    seen = 0
    with (shared_data / "MANIFEST.tsv").open(newline="") as manifest:
        for row in csv.DictReader(manifest, delimiter="\t", quoting=csv.QUOTE_NONE):
            if row["kind"] != "dicom" or row["path"].startswith("broken/"):
                continue
            instance = tools.index((shared_data / row["path"]).read_bytes())
            seen += 1
            if row["transfer_syntax"]:
                assert instance.transfer_syntax_uid == row["transfer_syntax"], row["path"]
            if row["sop_class"]:
                assert instance.sop_class_uid == row["sop_class"], row["path"]
            if instance.pixels is not None:
                pixels = instance.pixels
                assert str(pixels.rows) == row["rows"], row["path"]
                assert str(pixels.columns) == row["columns"]
                assert str(len(instance.frames)) == (row["frames"] or "1")
                assert str(pixels.bits_allocated) == row["bits_allocated"]
    assert seen > 300


@pytest.mark.parametrize("folder", ["dicom", "series"])
def test_the_corpus_has_the_frames_that_pydicom_finds(tools, shared_data, folder):
    for path in corpus(shared_data / folder):
        data = path.read_bytes()
        assert_same(tools, data, tools.index(data))


@pytest.mark.parametrize("folder", ["dicom", "series"])
def test_the_corpus_is_rewritten_without_other_changes(tools, shared_data, folder):
    for path in corpus(shared_data / folder):
        data = path.read_bytes()
        instance = tools.index(data)
        if instance.frames is not None:
            assert_rewritten(tools, data, instance)


def test_broken_files_give_an_instance_or_a_clear_error(tools, shared_data):
    for path in corpus(shared_data / "broken" / "dicom"):
        data = path.read_bytes()
        try:
            instance = tools.index(data)
        except MerseyError:
            continue
        if instance.frames is None:
            continue
        try:
            assert_same(tools, data, instance)
        except (OSError, InvalidDicomError):
            # One that pydicom cannot parse: UN of undefined length in Big Endian.
            assert "undefined_length" in path.name
