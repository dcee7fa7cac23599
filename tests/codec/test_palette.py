"""Palettes and look-up tables: descriptors, 8- and 16-bit entries, packed, segmented."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mersey.codecs.errors import DicomError
from mersey.codecs.look_up_table import LookUpTable
from mersey.codecs.palette import Palette
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut


def _palette(descriptor: list[int], data: bytes, **how: bool) -> Palette:
    return Palette.of_attributes([descriptor] * 3, [data] * 3, **how)


def _reds(palette: Palette) -> list[int]:
    assert (palette.table[:, 0] == palette.table[:, 2]).all()
    return palette.table[:, 0].tolist()


def test_8_bit_entries_lie_two_to_a_word_or_each_in_one() -> None:
    packed = _palette([3, 0, 8], bytes([1, 2, 3, 0]))
    alone = _palette([3, 0, 8], bytes([1, 0, 2, 0, 3, 0]))
    swapped = _palette([3, 0, 8], bytes([2, 1, 0, 3]), little_endian=False)
    for palette in (packed, alone, swapped):
        assert _reds(palette) == [1, 2, 3]
        assert palette.table.dtype == np.uint8


def test_16_bit_entries_show_their_upper_byte() -> None:
    palette = _palette([2, 5, 16], bytes([0x34, 0x12, 0xFF, 0xFF]))
    assert _reds(palette) == [0x1234, 0xFFFF]
    shown = palette.apply(np.array([[4, 5, 6, 7]], np.uint8))
    assert shown.dtype == np.uint8
    assert shown[0, :, 0].tolist() == [0x12, 0x12, 0xFF, 0xFF]


def test_no_entries_means_65536() -> None:
    palette = _palette([0, 0, 16], np.arange(1 << 16, dtype="<u2").tobytes())
    assert len(palette.table) == 1 << 16
    assert palette.apply(np.array([65535], np.uint16))[0, 0] == 255


@pytest.mark.parametrize("first", [-10, 0xFFF6])
def test_the_first_value_is_signed_where_the_samples_are(first: int) -> None:
    data = bytes(range(20))
    assert _palette([20, first, 8], data, signed=True).first == -10
    assert _palette([20, first, 8], data, signed=False).first == 0xFFF6
    indices = np.array([-11, -10, 0, 9, 100], np.int16)
    shown = _palette([20, first, 8], data, signed=True).apply(indices)
    assert shown[:, 1].tolist() == [0, 0, 10, 19, 19]


@pytest.mark.parametrize(
    ("descriptors", "data"),
    [
        ([[3, 0, 8]] * 3, [b"\1\2"] * 3),
        ([[3, 0, 12]] * 3, [bytes(6)] * 3),
        ([[3, 0, 8], [3, 1, 8], [3, 0, 8]], [bytes(4)] * 3),
        ([[3, 0, 8]] * 2, [bytes(4)] * 2),
        ([[3, 0]] * 3, [bytes(4)] * 3),
    ],
)
def test_tables_that_cannot_be_are_dicom_errors(
    descriptors: list[list[int]], data: list[bytes]
) -> None:
    with pytest.raises(DicomError):
        Palette.of_attributes(descriptors, data)


class TestSegmented:
    @given(
        bits=st.sampled_from([8, 16]),
        segments=st.lists(
            st.tuples(st.integers(0, 1), st.integers(1, 9), st.integers(0, 255)),
            min_size=1,
            max_size=8,
        ),
    )
    def test_pydicom_expands_the_same(
        self, bits: int, segments: list[tuple[int, int, int]]
    ) -> None:
        numbers: list[int] = [0, 2, 7, 9]
        for opcode, length, value in segments:
            numbers += [opcode, length]
            numbers += [value] if opcode else [(value + step) % 256 for step in range(length)]
        data = np.array(numbers, f"<u{bits // 8}").tobytes()
        entries = 2 + sum(length for _, length, _ in segments)
        ours = _palette([entries, 0, bits], data + b"\0" * (len(data) % 2), segmented=True)
        headers = Dataset()
        headers.set_original_encoding(False, True)
        for colour in ("Red", "Green", "Blue"):
            setattr(headers, f"{colour}PaletteColorLookupTableDescriptor", [entries, 0, bits])
            setattr(headers, f"Segmented{colour}PaletteColorLookupTableData", data)
        theirs = apply_color_lut(np.arange(entries), headers)
        assert np.abs(ours.table.astype(int) - theirs.astype(int)).max() <= 1
        assert ours.table[0].tolist() == theirs[0].tolist()

    def test_segments_are_copied(self) -> None:
        data = bytes([0, 2, 10, 20, 1, 2, 40, 2, 2, 0, 0, 0, 0, 0])
        assert _reds(_palette([8, 0, 8], data, segmented=True)) == [10, 20, 30, 40, 10, 20, 30, 40]
        words = np.array([0, 2, 10, 20, 1, 2, 40, 2, 1, 8, 0], "<u2").tobytes()
        assert _reds(_palette([6, 0, 16], words, segmented=True)) == [10, 20, 30, 40, 40, 40]

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            bytes([1, 4, 9, 0]),
            bytes([0, 9, 1, 2]),
            bytes([7, 1, 1, 1]),
            bytes([0, 1, 1, 2, 1, 200, 0, 0, 0, 0]),
            bytes([0, 1, 1, 2, 1, 3, 0, 0, 0, 0]),
            bytes([0, 1, 1, 2, 1]),
        ],
    )
    def test_segments_that_lead_nowhere_are_dicom_errors(self, data: bytes) -> None:
        with pytest.raises(DicomError):
            _palette([8, 0, 8], data, segmented=True)

    @given(data=st.binary(max_size=80), bits=st.sampled_from([8, 16]))
    def test_any_bytes_are_a_table_or_a_dicom_error(self, data: bytes, bits: int) -> None:
        try:
            palette = _palette([40, 0, bits], data, segmented=True)
        except DicomError:
            return
        assert palette.table.shape == (40, 3)


class TestLookUpTable:
    def test_values_beyond_an_end_get_the_end(self) -> None:
        table = LookUpTable.of_attributes([3, 10, 12], np.array([7, 8, 4095], np.uint16))
        values = np.array([-5, 10, 11, 12, 500], np.int32)
        assert table.apply(values).tolist() == [7, 7, 8, 4095, 4095]
        assert table.apply_to_levels(values).tolist() == [0, 0, 0, 255, 255]

    def test_the_first_value_may_be_negative(self) -> None:
        table = LookUpTable.of_attributes([2, 0xFFFF, 16], np.array([1, 2]), signed=True)
        assert table.apply(np.array([-1, 0], np.int16)).tolist() == [1, 2]

    @pytest.mark.parametrize("descriptor", [[3, 0, 7], [3, 0, 17], [4, 0, 8], [3, 0]])
    def test_descriptors_that_cannot_be_are_dicom_errors(self, descriptor: list[int]) -> None:
        with pytest.raises(DicomError):
            LookUpTable.of_attributes(descriptor, np.array([1, 2, 3]))
