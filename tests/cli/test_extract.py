"""`mersey extract` gives one frame, reads no more than it needs, and never hides a reduction."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.surgery import reorder
from mersey.engine.cli import extraction
from mersey.engine.cli.main import app
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.runtime.source_file import SourceFile
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEG2000Lossless
from sample_study import SampleStudy
from typer.testing import CliRunner


class Watched(SourceFile):
    """Remembers the stretches that were read after the headers."""

    opened: list[Watched]

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.reads: list[tuple[int, int]] = []
        type(self).opened.append(self)

    def read_at(self, offset_bytes: int, length_bytes: int, /) -> bytes:
        self.reads.append((offset_bytes, length_bytes))
        return super().read_at(offset_bytes, length_bytes)


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> list[Watched]:
    monkeypatch.setattr(Watched, "opened", [], raising=False)
    monkeypatch.setattr(extraction, "SourceFile", Watched)
    return Watched.opened


def _extract(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["extract", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def _refused(*words: str | Path, exit_code: int = 1) -> str:
    result = CliRunner().invoke(app, ["extract", *map(str, words)])
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    return result.stderr


def _codestream(path: Path, number: int) -> bytes:
    return get_frame(dcmread(path).PixelData, number - 1, number_of_frames=6)


def test_an_array_holds_the_stored_values(
    sample_study: SampleStudy, progressive_ct: Path, tmp_path: Path
) -> None:
    expected = dcmread(sample_study.enhanced_ct).pixel_array[4]
    for source in (sample_study.enhanced_ct, progressive_ct):
        _extract(source, tmp_path / "a.npy", "--frame", "5")
        found = np.load(tmp_path / "a.npy")
        assert found.dtype == np.uint16
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_a_reduction_reads_only_the_bytes_up_to_its_cut_point(
    progressive_ct: Path, tmp_path: Path, watched: list[Watched], reduce: int
) -> None:
    words = _extract(progressive_ct, tmp_path / "a.npy", "--frame", "3", "--reduce", str(reduce))
    frame = _codestream(progressive_ct, 3)
    cut = (scan_codestream(frame).cut_points or ())[reduce]
    (file,) = watched
    headers = Watched(progressive_ct)
    index_instance(headers.read_at, size_bytes=headers.size_bytes)
    assert file.bytes_read - headers.bytes_read == cut < len(frame)
    start = progressive_ct.read_bytes().index(frame)
    pixel_reads = file.reads[len(headers.reads) :]
    assert max(offset + length for offset, length in pixel_reads) == start + cut
    assert f"REDUCED {reduce} times to {128 >> reduce} x {128 >> reduce} of 128 x 128" in words
    expected = imagecodecs.jpeg2k_decode(frame[:cut] + b"\xff\xd9", skipres=reduce)
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_a_whole_frame_reads_no_other_frame(
    progressive_ct: Path, tmp_path: Path, watched: list[Watched]
) -> None:
    _extract(progressive_ct, tmp_path / "a.npy", "--frame", "6")
    headers = Watched(progressive_ct)
    index_instance(headers.read_at, size_bytes=headers.size_bytes)
    frame_bytes = len(_codestream(progressive_ct, 6))
    assert watched[0].bytes_read - headers.bytes_read == frame_bytes + frame_bytes % 2


def test_the_codestream_comes_as_stored(progressive_ct: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.j2c"
    words = _extract(progressive_ct, out, "--frame", "2")
    frame = _codestream(progressive_ct, 2)
    assert out.read_bytes() == frame[: scan_codestream(frame).length_bytes]
    assert "codestream as stored" in words
    assert "REDUCED" not in words


def test_a_reduced_codestream_is_the_exact_prefix_and_says_so(
    progressive_ct: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a.j2c"
    words = _extract(progressive_ct, out, "--frame", "2", "--reduce", "2")
    frame = _codestream(progressive_ct, 2)
    assert out.read_bytes() == frame[: (scan_codestream(frame).cut_points or ())[2]]
    assert "REDUCED 2 times to 32 x 32 of 128 x 128" in words
    assert "prefix" in words


def test_an_uncompressed_frame_gives_the_codestream_its_rendition_will_have(
    sample_study: SampleStudy, progressive_ct: Path, tmp_path: Path
) -> None:
    stored, encoded = tmp_path / "stored.j2c", tmp_path / "encoded.j2c"
    for reduce in ("0", "2"):
        _extract(progressive_ct, stored, "--frame", "4", "--reduce", reduce)
        words = _extract(sample_study.enhanced_ct, encoded, "--frame", "4", "--reduce", reduce)
        assert encoded.read_bytes() == stored.read_bytes()
        assert "encoded as HTJ2K" in words


def test_a_png_is_windowed_and_carries_what_it_is(
    sample_study: SampleStudy, tmp_path: Path
) -> None:
    out = tmp_path / "a.png"
    _extract(sample_study.enhanced_ct, out, "--frame", "1")
    image = imagecodecs.png_decode(out.read_bytes())
    hu = dcmread(sample_study.enhanced_ct).pixel_array[0].astype(float) - 1024
    expected = np.clip((hu - 39.5) / 399 + 0.5, 0, 1) * 255
    assert image.dtype == np.uint8
    assert np.abs(image - expected).max() <= 0.5
    assert b"frame 1 of 6, 128 x 128, for display, 8 bits" in out.read_bytes()


def test_a_reduced_png_never_passes_for_the_whole(progressive_ct: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    words = _extract(progressive_ct, out, "--reduce", "1")
    note = "REDUCED 1 times to 64 x 64 of 128 x 128"
    assert note in words
    assert note.encode() in out.read_bytes()
    assert imagecodecs.png_decode(out.read_bytes()).shape == (64, 64)


def test_a_raw_png_holds_the_stored_values(
    sample_study: SampleStudy, progressive_ct: Path, tmp_path: Path
) -> None:
    _extract(progressive_ct, tmp_path / "a.png", "--raw", "--frame", "3")
    image = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert np.array_equal(image, dcmread(sample_study.enhanced_ct).pixel_array[2])


def test_colour_comes_as_it_is(sample_study: SampleStudy, tmp_path: Path) -> None:
    _extract(sample_study.us_cine, tmp_path / "a.png", "--frame", "4")
    image = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert np.array_equal(image, dcmread(sample_study.us_cine).pixel_array[3])


def test_a_palette_image_is_shown_in_colour(tmp_path: Path) -> None:
    path = get_testdata_file("examples_palette.dcm", download=False)
    _extract(str(path), tmp_path / "a.png")
    image = imagecodecs.png_decode((tmp_path / "a.png").read_bytes())
    assert image.ndim == 3
    assert image.std() > 10


def test_signed_values_as_raw_png_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = get_testdata_file("CT_small.dcm", download=False)
    assert "use .npy" in _refused(str(path), tmp_path / "a.png", "--raw")
    _extract(str(path), tmp_path / "a.npy")
    assert np.load(tmp_path / "a.npy").dtype == np.int16


def test_values_are_those_of_bits_stored_and_not_what_lies_above_them(
    sample_study: SampleStudy, tmp_path: Path
) -> None:
    ds = dcmread(sample_study.ct_series[0])
    values = ds.pixel_array
    ds.PixelData = (values | 0xA000).tobytes()
    ds.save_as(tmp_path / "overlay.dcm")
    _extract(tmp_path / "overlay.dcm", tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)
    ds.PixelRepresentation = 1
    ds.PixelData = values.tobytes()
    ds.save_as(tmp_path / "signed.dcm")
    _extract(tmp_path / "signed.dcm", tmp_path / "a.npy")
    signed = np.where(values > 2047, values.astype(np.int16) - 4096, values.astype(np.int16))
    assert np.array_equal(np.load(tmp_path / "a.npy"), signed)


def test_a_frame_that_is_not_there_is_wrong_usage(
    sample_study: SampleStudy, tmp_path: Path
) -> None:
    words = _refused(sample_study.enhanced_ct, tmp_path / "a.npy", "--frame", "7", exit_code=2)
    assert words == "mersey: error: frame number 7 of an instance of 6 frames\n"
    _refused(sample_study.enhanced_ct, tmp_path / "a.npy", "--frame", "0", exit_code=2)


def test_a_resolution_the_codestream_does_not_have_is_not_made_up(
    progressive_ct: Path, tmp_path: Path
) -> None:
    words = _refused(progressive_ct, tmp_path / "a.j2c", "--reduce", "9")
    assert "no cut point for --reduce 9" in words


def test_an_unknown_suffix_is_wrong_usage(progressive_ct: Path, tmp_path: Path) -> None:
    assert ".png, .j2c or .npy" in _refused(progressive_ct, tmp_path / "a.tiff", exit_code=2)
    assert ".png" in _refused(progressive_ct, tmp_path / "a.npy", "--raw", exit_code=2)


def test_a_file_without_pixels_has_no_frame(tmp_path: Path) -> None:
    path = get_testdata_file("rtplan.dcm", download=False)
    assert "no Pixel Data" in _refused(str(path), tmp_path / "a.png", exit_code=2)


def test_a_frame_of_a_deflated_data_set_is_inflated(
    sample_study: SampleStudy, tmp_path: Path
) -> None:
    ds = dcmread(sample_study.enhanced_ct)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.save_as(tmp_path / "deflated.dcm")
    _extract(tmp_path / "deflated.dcm", tmp_path / "a.npy", "--frame", "5")
    expected = dcmread(sample_study.enhanced_ct).pixel_array[4]
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_a_frame_cut_short_leaves_no_file(progressive_ct: Path, tmp_path: Path) -> None:
    raw = bytearray(progressive_ct.read_bytes())
    frame = _codestream(progressive_ct, 3)
    start = raw.index(frame)
    middle = start + len(frame) // 2
    raw[middle : start + len(frame)] = bytes(len(frame) - len(frame) // 2)
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(raw)
    words = _refused(broken, tmp_path / "out.npy", "--frame", "3")
    assert words.startswith("mersey: error: ")
    assert words.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["broken.dcm"]


def test_an_unsupported_form_is_named(tmp_path: Path) -> None:
    ds = dcmread(str(get_testdata_file("MR_small_RLE.dcm", download=False)))
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 0
    path = tmp_path / "bits.dcm"
    ds.save_as(path)
    result = CliRunner().invoke(app, ["extract", str(path), str(tmp_path / "a.npy")])
    assert result.exit_code == 1
    assert "RLE of Bits Allocated 1" in result.stderr


@pytest.fixture
def j2k_ct(sample_study: SampleStudy, tmp_path: Path) -> Path:
    """The sample's enhanced CT in J2K as most archives have it: LRCP, no TLM, no PLT."""
    ds = dcmread(sample_study.enhanced_ct)
    frames = [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in ds.pixel_array
    ]
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = JPEG2000Lossless
    path = tmp_path / "j2k.dcm"
    ds.save_as(path)
    return path


@pytest.mark.parametrize("reduce", [1, 2, 3])
def test_of_j2k_without_any_list_little_more_than_the_image_takes_is_read(
    j2k_ct: Path, tmp_path: Path, watched: list[Watched], reduce: int
) -> None:
    _extract(j2k_ct, tmp_path / "a.npy", "--frame", "3", "--reduce", str(reduce))
    frame = _codestream(j2k_ct, 3)
    needed = (scan_codestream(frame).cut_points or ())[reduce]
    headers = Watched(j2k_ct)
    index_instance(headers.read_at, size_bytes=headers.size_bytes)
    read = watched[0].bytes_read - headers.bytes_read
    assert needed <= read <= max(2 * needed, 512) < len(frame)
    expected = imagecodecs.jpeg2k_decode(frame, skipres=reduce)
    assert np.array_equal(np.load(tmp_path / "a.npy"), expected)


def test_a_reduced_codestream_of_packets_in_another_order_is_one_of_its_own(
    j2k_ct: Path, tmp_path: Path
) -> None:
    ds = dcmread(j2k_ct)
    colour = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    frame = imagecodecs.jpeg2k_encode(colour, codecformat="j2k", reversible=True, mct=False)
    ds.NumberOfFrames, ds.Rows, ds.Columns, ds.SamplesPerPixel = 1, 64, 64, 3
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PhotometricInterpretation, ds.PlanarConfiguration = "RGB", 0
    ds.PixelData = encapsulate([reorder(frame, progression="CPRL")])
    source, out = tmp_path / "colour.dcm", tmp_path / "a.j2c"
    ds.save_as(source)
    words = _extract(source, out, "--reduce", "2")
    assert "a codestream of its own" in words
    expected = imagecodecs.jpeg2k_decode(frame, skipres=2)
    assert np.array_equal(imagecodecs.jpeg2k_decode(out.read_bytes()), expected)
