"""The grayscale pipeline against PS3.3's formulas, worked by hand and by pydicom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mersey.codecs.errors import DicomError, UnsupportedError
from mersey.codecs.pixels import PixelFormat
from mersey.engine.runtime.display import DisplayRule, Window, to_display
from mersey.engine.runtime.display_headers import display_rule
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_windowing
from pydicom.sequence import Sequence
from sample_study import SampleStudy

_GREY16 = PixelFormat(1, 5)


def _headers(**values: object) -> Dataset:
    ds = Dataset()
    ds.PhotometricInterpretation = "MONOCHROME2"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def _shown(values: list[int], rule: DisplayRule, pixels: PixelFormat = _GREY16) -> list[int]:
    samples = np.array([values], pixels.dtype)
    return to_display(samples, pixels=pixels, rule=rule).tolist()[0]


def test_a_linear_window_follows_the_standards_pseudocode() -> None:
    # PS3.3 §C.11.2.1.2.1, its own example: c = 2048, w = 4096.
    rule = DisplayRule(window=Window(2048, 4096))
    assert _shown([0, 1, 2048, 4095, 5000], rule) == [0, 0, 128, 255, 255]


def test_a_window_of_width_one_is_a_threshold() -> None:
    assert _shown([98, 99, 100, 101], DisplayRule(window=Window(100, 1))) == [0, 0, 255, 255]


def test_linear_exact_is_centred_without_the_half() -> None:
    rule = DisplayRule(window=Window(100, 100, "LINEAR_EXACT"))
    assert _shown([50, 100, 150], rule) == [0, 128, 255]


def test_a_sigmoid_passes_its_centre_at_half() -> None:
    rule = DisplayRule(window=Window(100, 50, "SIGMOID"))
    low, middle, high = _shown([0, 100, 200], rule)
    assert (low, middle, high) == (0, 128, 255)


def test_the_window_applies_to_rescaled_values() -> None:
    rule = DisplayRule(slope=2, intercept=-1000, window=Window(0, 101, "LINEAR_EXACT"))
    assert _shown([400, 500, 600], rule) == [0, 128, 255]


def test_monochrome1_shows_its_smallest_value_white() -> None:
    rule = display_rule(_headers(PhotometricInterpretation="MONOCHROME1"), frame_index=0)
    assert _shown([10, 20, 30], rule, PixelFormat(1, 3, photometric="MONOCHROME1")) == [255, 127, 0]


def test_without_a_window_the_extremes_are_black_and_white_padding_left_out() -> None:
    rule = display_rule(_headers(PixelRepresentation=0, PixelPaddingValue=0), frame_index=0)
    assert _shown([0, 100, 150, 200], rule) == [0, 0, 128, 255]


def test_a_flat_image_is_black() -> None:
    assert _shown([7, 7, 7], DisplayRule()) == [0, 0, 0]


def test_overlay_bits_above_high_bit_do_not_show() -> None:
    pixels = PixelFormat(1, 3, bits_stored=12, high_bit=11)
    rule = DisplayRule(window=Window(2048, 4096))
    assert _shown([0x8000, 0x4000 | 2048, 4095], rule, pixels) == [0, 128, 255]


def test_float_samples_that_are_no_number_are_black() -> None:
    pixels = PixelFormat(1, 3, bits_allocated=32, bits_stored=32, high_bit=31, floating=True)
    samples = np.array([[np.nan, 0.25, 0.75]], np.float32)
    for rule in (DisplayRule(), DisplayRule(window=Window(0.5, 0.4, "LINEAR_EXACT"))):
        assert to_display(samples, pixels=pixels, rule=rule).tolist() == [[0, 0, 255]]


def test_infinities_and_huge_values_are_black_or_white() -> None:
    pixels = PixelFormat(1, 3, bits_allocated=64, bits_stored=64, high_bit=63, floating=True)
    samples = np.array([[-np.inf, 0.0, 1.7e308]])
    rule = DisplayRule(slope=10, window=Window(0.5, 1.0, "LINEAR_EXACT"))
    assert to_display(samples, pixels=pixels, rule=rule).tolist() == [[0, 0, 255]]
    assert to_display(samples, pixels=pixels, rule=DisplayRule()).tolist()[0][0] == 0


def test_functional_groups_of_the_frame_come_before_the_shared_ones() -> None:
    def groups(center: float) -> Dataset:
        voi = _headers(WindowCenter=center, WindowWidth=10)
        outer = Dataset()
        outer.FrameVOILUTSequence = [voi]
        return outer

    headers = _headers(WindowCenter=1, WindowWidth=10)
    headers.SharedFunctionalGroupsSequence = [groups(2)]
    headers.PerFrameFunctionalGroupsSequence = [groups(3), Dataset()]
    centers = [display_rule(headers, frame_index=index).window for index in (0, 1, 9)]
    assert [window.center for window in centers if window] == [3, 2, 2]


def test_the_sample_ct_is_shown_through_its_shared_groups(sample_study: SampleStudy) -> None:
    rule = display_rule(dcmread(sample_study.enhanced_ct), frame_index=2)
    assert rule == DisplayRule(slope=1, intercept=-1024, window=Window(40, 400))


def test_a_window_of_several_values_gives_the_first() -> None:
    rule = display_rule(_headers(WindowCenter=[40, 300], WindowWidth=[400, 1500]), frame_index=0)
    assert rule.window == Window(40, 400)


def test_pydicom_windows_the_same_ct_slice_the_same_way() -> None:
    ds = dcmread(get_testdata_file("CT_small.dcm", download=False))
    ds.WindowCenter, ds.WindowWidth = 40, 400
    pixels = PixelFormat(ds.Rows, ds.Columns, signed=True)
    shown = to_display(ds.pixel_array, pixels=pixels, rule=display_rule(ds, frame_index=0))
    theirs = apply_windowing(apply_modality_lut(ds.pixel_array, ds), ds)
    low, high = theirs.min(), theirs.max()
    assert np.abs((theirs - low) / (high - low) * 255 - shown).max() <= 1


def test_a_palette_is_applied() -> None:
    ds = dcmread(get_testdata_file("examples_palette.dcm", download=False))
    pixels = PixelFormat(
        ds.Rows,
        ds.Columns,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        photometric="PALETTE COLOR",
    )
    picture = to_display(ds.pixel_array, pixels=pixels, rule=display_rule(ds, frame_index=0))
    assert picture.shape == (ds.Rows, ds.Columns, 3)
    index = int(ds.pixel_array[100, 100])
    red = np.frombuffer(ds.RedPaletteColorLookupTableData, "<u2")
    assert picture[100, 100, 0] == red[index] >> 8


def test_a_palette_without_tables_is_unsupported() -> None:
    pixels = PixelFormat(1, 2, bits_allocated=8, bits_stored=8, photometric="PALETTE COLOR")
    with pytest.raises(UnsupportedError, match="palette"):
        display_rule(_headers(PhotometricInterpretation="PALETTE COLOR"), frame_index=0)
    with pytest.raises(UnsupportedError, match="palette"):
        to_display(np.zeros((1, 2), np.uint8), pixels=pixels, rule=DisplayRule())


def test_ybr_full_becomes_rgb() -> None:
    pixels = PixelFormat(
        1, 1, samples=3, bits_allocated=8, bits_stored=8, high_bit=7, photometric="YBR_FULL"
    )
    grey = np.array([[[77, 128, 128]]], np.uint8)
    assert to_display(grey, pixels=pixels, rule=DisplayRule()).tolist() == [[[77, 77, 77]]]


def test_other_colour_spaces_are_unsupported_by_name() -> None:
    pixels = PixelFormat(1, 1, samples=4, photometric="CMYK")
    with pytest.raises(UnsupportedError, match="CMYK"):
        to_display(np.zeros((1, 1, 4), np.uint16), pixels=pixels, rule=DisplayRule())


def test_attributes_that_do_not_parse_are_a_dicom_error() -> None:
    headers = _headers()
    headers.SharedFunctionalGroupsSequence = [Dataset()]
    headers.add_new("WindowCenter", "LO", "wide")
    headers.add_new("WindowWidth", "LO", "open")
    with pytest.raises(DicomError, match="do not parse"):
        display_rule(headers, frame_index=0)


def _lut(descriptor: list[int], values: list[int]) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", values)
    return Sequence([item])


def test_a_modality_table_comes_before_the_window() -> None:
    headers = _headers(
        ModalityLUTSequence=_lut([4, 10, 16], [1000, 400, 0, 200]), PixelRepresentation=0
    )
    rule = display_rule(headers, frame_index=0)
    assert _shown([9, 10, 11, 12, 13, 99], rule) == [255, 255, 102, 0, 51, 51]
    window = Window(500, 1000, "LINEAR_EXACT")
    assert _shown([10, 11, 12], replace(rule, window=window)) == [255, 102, 0]


def test_the_modality_table_of_a_real_file_is_applied_as_pydicom_does(shared_data: Path) -> None:
    ds = dcmread(shared_data / "dicom/mono_uncompressed/pydicomdata__mlut_18.dcm")
    samples = np.frombuffer(ds.PixelData, "<i2").reshape(ds.Rows, ds.Columns)
    pixels = PixelFormat(ds.Rows, ds.Columns, bits_stored=12, high_bit=11, signed=True)
    rule = display_rule(ds, frame_index=0)
    assert rule.modality is not None
    values = (samples << 4) >> 4
    expected = apply_modality_lut(values, ds)
    np.testing.assert_array_equal(rule.modality.apply(values), expected)
    assert to_display(samples, pixels=pixels, rule=rule).max() == 255


def test_a_voi_table_is_scaled_to_its_bits_and_inverted_last() -> None:
    voi = _lut([3, 0, 12], [0, 4095, 2048])
    rule = display_rule(_headers(VOILUTSequence=voi), frame_index=0)
    assert _shown([0, 1, 2, 9], rule) == [0, 255, 128, 128]
    shifted = replace(rule, slope=2.0, intercept=-2.0)
    assert _shown([1, 2], shifted) == [0, 128]
    inverse = replace(rule, inverse=True)
    assert _shown([0, 1, 2], inverse) == [255, 0, 127]


def test_a_window_comes_before_a_voi_table() -> None:
    voi = _lut([2, 0, 8], [255, 0])
    headers = _headers(VOILUTSequence=voi, WindowCenter=1, WindowWidth=2)
    assert _shown([0, 1], display_rule(headers, frame_index=0)) == [0, 255]


def test_a_table_shorter_than_its_descriptor_is_a_dicom_error() -> None:
    with pytest.raises(DicomError, match="expected 9"):
        display_rule(_headers(VOILUTSequence=_lut([9, 0, 8], [255, 0])), frame_index=0)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_of_no_width_is_a_threshold(function: str) -> None:
    rule = DisplayRule(window=Window(100, 0, function))  # type: ignore[arg-type]
    edge = 99 if function == "LINEAR" else 100
    assert _shown([edge, edge + 1], rule) == [0, 255]


def test_colours_of_more_bits_show_their_upper_ones() -> None:
    pixels = PixelFormat(1, 1, samples=3, bits_stored=12, high_bit=11, photometric="RGB")
    picture = to_display(
        np.array([[[0xF800, 0x0FFF, 0x0010]]], np.uint16), pixels=pixels, rule=DisplayRule()
    )
    assert picture.tolist() == [[[128, 255, 1]]]
