"""mersey codestream decode: samples and pictures of bare codestreams, and errors on one line."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.errors import UnsupportedError
from mersey.engine.cli.codestream_decoding import DecodedImage, png_file
from mersey.engine.cli.main import app
from typer.testing import CliRunner, Result

IMAGE = np.random.default_rng(3).integers(0, 4096, (70, 90)).cumsum(axis=1).astype("u2") % 4096


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    path = tmp_path / "image.j2c"
    data = imagecodecs.htj2k_encode(
        IMAGE, reversible=True, planar=False, rgb=False, resolutions=3, bitspersample=12
    )
    path.write_bytes(data)
    return path


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["codestream", "decode", *map(str, words)])


def test_npy_holds_the_samples(stream: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    result = run(stream, out)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{out}: HTJ2K, 90 x 70, 12 bits unsigned; ")
    assert np.array_equal(np.load(out), IMAGE)


def test_a_reduction_is_named(stream: Path, tmp_path: Path) -> None:
    result = run(stream, tmp_path / "out.npy", "--reduce", "2")
    assert "23 x 18, REDUCED 2 times from 90 x 70" in result.stdout
    assert np.load(tmp_path / "out.npy").shape == (18, 23)


def test_png_fills_its_bits(stream: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    assert run(stream, out).exit_code == 0
    assert np.array_equal(imagecodecs.png_decode(out.read_bytes()), IMAGE << 4)


def test_png_shows_signed_samples_from_black_to_white() -> None:
    samples = np.array([[-128, 0, 127]], np.int8)
    shown = imagecodecs.png_decode(png_file(DecodedImage(samples, 8, "")))
    assert shown.tolist() == [[0, 128, 255]]


@pytest.mark.parametrize(("shape", "precision"), [((4, 4), 17), ((4, 4, 2), 8), ((4, 4, 4), 8)])
def test_png_without_a_form_is_refused(shape: tuple[int, ...], precision: int) -> None:
    with pytest.raises(UnsupportedError, match="npy"):
        png_file(DecodedImage(np.zeros(shape, np.uint32), precision, ""))


def test_what_is_no_codestream_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    source = tmp_path / "text.j2k"
    source.write_text("no codestream")
    result = run(source, tmp_path / "out.npy")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"mersey: error: {source}: codestream at byte 0")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out.npy").exists()


def test_a_cut_codestream_is_refused_whole_and_decoded_where_it_is_complete(
    stream: Path, tmp_path: Path
) -> None:
    data = stream.read_bytes()
    stream.write_bytes(data[: len(data) // 2])
    result = run(stream, tmp_path / "out.npy")
    assert result.exit_code == 1
    assert not (tmp_path / "out.npy").exists()


def test_another_kind_of_target_is_wrong_usage(stream: Path, tmp_path: Path) -> None:
    assert run(stream, tmp_path / "out.tif").exit_code == 2


def test_more_components_than_dicom_has_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "five.j2k"
    five = np.zeros((5, 16, 16), np.uint8)
    source.write_bytes(imagecodecs.jpeg2k_encode(five, codecformat="j2k", planar=True))
    result = run(source, tmp_path / "out.npy")
    assert result.exit_code == 1
    assert "5 components" in result.stderr
