"""Text in the character sets of DICOM."""

from __future__ import annotations

import pytest


def instance_with(make, tools, *elements, charset=None):
    table = dict(elements)
    if charset is not None:
        table[0x00080005] = make.element(0x00080005, "CS", charset)
    return tools.index(make.file(make.dataset(table)))


@pytest.mark.parametrize(
    ("charset", "raw", "text"),
    [
        ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
        ("ISO_IR 192", "Wang^XiaoDong=王^小东=".encode(), "Wang^XiaoDong=王^小东="),
        ("ISO_IR 144", b"\xbb\xee\xda^\xd1\xd3", "Люк^бг"),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (
            "\\ISO 2022 IR 87",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B",
            "Yamada^Tarou=山田^太郎",
        ),
        ("ISO_IR 192", b"\xff\xfe", "��"),
        ("NONSENSE", b"A^B\xe9", None),
        (None, b"A^B\xe9", None),
    ],
)
def test_names_are_decoded_by_specific_character_set(make, tools, charset, raw, text):
    raw += b" " * (len(raw) % 2)
    instance = instance_with(
        make, tools, (0x00100010, make.element(0x00100010, "PN", raw)), charset=charset
    )
    found = instance.text(0x00100010)
    if text is None:
        assert found.startswith("A^B")
    else:
        assert found == text


def test_values_stay_separated_by_backslashes(make, tools):
    instance = instance_with(make, tools, (0x00080008, make.element(0x00080008, "CS", "A\\B\\ C ")))
    assert instance.text(0x00080008) == "A\\B\\ C"


def test_absent_long_and_unknown_values_are_empty(make, tools):
    instance = instance_with(
        make,
        tools,
        (0x00104000, make.element(0x00104000, "LT", "x" * 5000)),
        (0x00091001, make.element(0x00091001, "LO", "private")),
    )
    assert instance.text(0x00104000) == ""
    assert instance.text(0x00091001) == ""
    assert instance.text(0x00100010) == ""


def test_integers_are_read_from_binary_and_text(make, tools):
    instance = instance_with(
        make,
        tools,
        (0x00200013, make.element(0x00200013, "IS", " 42\\7 ")),
        (0x00280010, make.element(0x00280010, "US", [513])),
        (0x00280106, make.element(0x00280106, "SS", b"\xff\xff")),
        (0x00200011, make.element(0x00200011, "IS", "four")),
    )
    assert instance.integer(0x00200013) == 42
    assert instance.integer(0x00280010) == 513
    assert instance.integer(0x00280106) == -1
    assert instance.integer(0x00200011) is None
    assert instance.integer(0x00280011) is None


def test_the_dictionary_agrees_on_which_kept_tags_are_binary():
    from mersey.engine.dicom.tags import BINARY_INTEGER_TAGS, KEPT_TAGS
    from pydicom.datadict import dictionary_VR

    assert BINARY_INTEGER_TAGS <= KEPT_TAGS
    binary = {tag for tag in KEPT_TAGS if dictionary_VR(tag) in ("US", "UL", "US or SS")}
    assert binary == BINARY_INTEGER_TAGS
