"""Files whose beginning is right, missing or wrong."""

from __future__ import annotations

import pytest
from mersey.codecs.errors import DicomError

PIXELS = bytes(48)


def uncompressed(make, encoding="explicit"):
    pixels = make.element(0x7FE00010, "OW", PIXELS, encoding)
    return make.dataset(make.image_elements(encoding)) + pixels


def test_a_well_formed_file_gives_no_warning(make, tools):
    instance = tools.index(make.file(uncompressed(make)))
    assert instance.warnings == ()
    assert instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.7"
    assert instance.sop_instance_uid == "1.2.3.4"
    assert instance.study_instance_uid == "1.2.3"
    assert instance.series_instance_uid == "1.2.3.5"
    assert instance.transfer_syntax_uid == make.syntax["explicit"]
    assert instance.layout.has_preamble


def test_a_file_may_lack_preamble_and_prefix(make, tools):
    data = make.file(uncompressed(make))[132:]
    instance = tools.index(data)
    assert not instance.layout.has_preamble
    assert instance.warnings == ("the file has neither preamble nor prefix (DICM)",)
    assert tools.frames(data, instance) == [PIXELS]


def test_a_file_may_start_with_the_prefix(make, tools):
    instance = tools.index(make.file(uncompressed(make))[128:])
    assert instance.warnings == ("the file has no preamble",)
    assert instance.transfer_syntax_uid == make.syntax["explicit"]


@pytest.mark.parametrize("encoding", ["implicit", "explicit", "big"])
def test_a_data_set_without_file_meta_tells_its_encoding(make, tools, encoding):
    instance = tools.index(uncompressed(make, encoding))
    assert instance.transfer_syntax_uid == make.syntax[encoding]
    assert any("no Transfer Syntax UID" in warning for warning in instance.warnings)
    assert instance.pixels is not None
    assert instance.pixels.shape == (4, 6)


@pytest.mark.parametrize("said", ["implicit", "explicit", "big"])
@pytest.mark.parametrize("encoding", ["implicit", "explicit", "big"])
def test_the_bytes_overrule_a_wrong_transfer_syntax(make, tools, said, encoding):
    data = make.file(uncompressed(make, encoding), syntax=said)
    instance = tools.index(data)
    assert instance.transfer_syntax_uid == make.syntax[encoding]
    assert bool(instance.warnings) == (said != encoding)
    assert tools.frames(data, instance) == [PIXELS]


@pytest.mark.parametrize(
    ("length", "word"), [(None, "no group length"), (4, "ends at byte"), (9999, "ends")]
)
def test_the_group_length_may_be_missing_or_wrong(make, tools, length, word):
    meta = make.file_meta("explicit", group_length=length)
    instance = tools.index(make.file(uncompressed(make), meta=meta))
    assert any(word in warning for warning in instance.warnings)
    assert instance.transfer_syntax_uid == make.syntax["explicit"]


def test_unknown_elements_of_the_file_meta_are_kept_and_long_ones_passed_over(make, tools):
    extra = make.element(0x00020016, "AE", "ARCHIVE") + make.element(0x00020102, "OB", bytes(9000))
    instance = tools.index(
        make.file(uncompressed(make), meta=make.file_meta("explicit", extra=extra))
    )
    assert instance.text(0x00020016) == "ARCHIVE"
    assert 0x00020102 not in instance.attributes
    assert instance.warnings == ()


def test_a_private_transfer_syntax_is_reported_as_it_is(make, tools):
    instance = tools.index(make.file(uncompressed(make), syntax="1.2.840.113619.5.2"))
    assert instance.transfer_syntax_uid == "1.2.840.113619.5.2"


def test_uids_come_from_the_file_meta_where_the_data_set_has_none(make, tools):
    instance = tools.index(make.file(make.element(0x00080060, "CS", "SR")))
    assert instance.sop_instance_uid == "1.2.3.4"
    assert instance.pixels is None
    assert instance.frames is None


def test_a_file_that_ends_behind_its_meta_has_an_empty_data_set(make, tools):
    instance = tools.index(make.file(b""))
    assert "the data set is empty" in instance.warnings


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"DICM", bytes(500), b"\x89PNG\r\n\x1a\n" + bytes(300), b"{}" * 100]
)
def test_what_is_not_dicom_is_refused(tools, data):
    if data == b"DICM":
        assert "the data set is empty" in tools.index(data).warnings
        return
    with pytest.raises(DicomError, match="not a DICOM file"):
        tools.index(data)


def test_meta_longer_than_the_file_names_the_element(make, tools):
    data = bytes(128) + b"DICM" + make.element(0x00020002, "UI", "1.2", length=600)
    with pytest.raises(DicomError) as caught:
        tools.index(data)
    assert caught.value.tag == 0x00020002
    assert caught.value.offset_bytes == 132


@pytest.mark.parametrize("uid", ["../../etc/passwd", "1.2.3\\1.2.4", "1." * 40, "A"])
def test_what_is_no_uid_is_named_by_its_tag(make, tools, uid):
    instance = tools.index(make.file(make.element(0x00080018, "UI", uid)))
    assert instance.warnings == ("(0008,0018) is not a UID",)
