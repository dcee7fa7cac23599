"""`mersey codestream` rewrites bare codestreams without decoding, and says what they consist of."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.surgery import reorder, to_progressive
from mersey.engine.cli.main import app
from phantom import Thorax
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return Thorax(size=256, slices=10, seed=3).frame(4)


@pytest.fixture
def source(image: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "in.j2k"
    data = imagecodecs.jpeg2k_encode(image, codecformat="j2k", reversible=True, bitspersample=12)
    path.write_bytes(data)
    return path


@pytest.fixture
def wrapped(image: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "in.jp2"
    data = imagecodecs.jpeg2k_encode(image, codecformat="jp2", reversible=True, bitspersample=12)
    path.write_bytes(data)
    return path


def run(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["codestream", *map(str, words)])
    assert result.exit_code == 0, result.output
    return result.stdout


def refused(*words: str | Path, exit_code: int) -> str:
    result = CliRunner().invoke(app, ["codestream", *map(str, words)])
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    return result.stderr


def test_progressive_puts_packets_in_order_and_keeps_the_image(
    source: Path, image: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "out.j2k"
    words = run("progressive", source, out)
    assert out.read_bytes() == to_progressive(source.read_bytes())
    assert "J2K, 256 x 256, RPCL, " in words
    assert np.array_equal(imagecodecs.jpeg2k_decode(out.read_bytes()), image)
    run("progressive", "--plt", source, out)
    assert out.read_bytes() == to_progressive(source.read_bytes(), plt=True)


def test_a_jp2_file_gives_a_bare_codestream(
    wrapped: Path, image: np.ndarray, tmp_path: Path
) -> None:
    out = tmp_path / "out.j2c"
    run("progressive", wrapped, out)
    assert out.read_bytes().startswith(b"\xff\x4f\xff\x51")
    assert np.array_equal(imagecodecs.jpeg2k_decode(out.read_bytes()), image)


@pytest.mark.parametrize("reduce", range(4))
def test_reduce_cuts_the_smaller_image_out(source: Path, tmp_path: Path, reduce: int) -> None:
    out = tmp_path / "out.j2k"
    words = run("reduce", source, out, "--reduce", reduce)
    expected = imagecodecs.jpeg2k_decode(source.read_bytes(), skipres=reduce)
    assert np.array_equal(imagecodecs.jpeg2k_decode(out.read_bytes()), expected)
    assert f"J2K, {256 >> reduce} x {256 >> reduce}, " in words


def test_truncate_keeps_to_its_limit(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.j2k"
    limit = source.stat().st_size // 2
    run("truncate", source, out, "--max-bytes", limit)
    assert out.stat().st_size <= limit
    assert imagecodecs.jpeg2k_decode(out.read_bytes()).shape == (256, 256)
    run("truncate", source, out, "--layers", 1)
    assert np.array_equal(
        imagecodecs.jpeg2k_decode(out.read_bytes()), imagecodecs.jpeg2k_decode(source.read_bytes())
    )


@pytest.mark.parametrize("order", ["LRCP", "RLCP", "RPCL", "PCRL", "cprl"])
def test_reorder_takes_the_five_orders(source: Path, tmp_path: Path, order: str) -> None:
    out = tmp_path / "out.j2k"
    run("reorder", source, out, "--progression", order)
    assert out.read_bytes() == reorder(source.read_bytes(), progression=order.upper())


def test_inspect_counts_every_byte(source: Path) -> None:
    report: dict[str, Any] = json.loads(run("inspect", source, "--json"))
    data = source.read_bytes()
    layout = scan_codestream(data)
    assert report["layout"]["progression"] == "LRCP"
    names = [marker["marker"] for marker in report["markers"]]
    assert names[:4] == ["SOC", "SIZ", "COD", "QCD"]
    assert names[-3:] == ["SOT", "SOD", "EOC"]
    for marker in report["markers"]:
        at = marker["offset_bytes"]
        assert data[at : at + 2].hex().upper() == marker["code"]
    resolutions = report["resolutions"]
    assert [row["reduce"] for row in resolutions] == list(range(layout.decompositions, -1, -1))
    assert sum(row["packets"] for row in resolutions) == report["packets"]
    assert resolutions[-1]["cumulative_bytes"] == layout.length_bytes
    for row in resolutions:
        assert sum(row["bytes_by_layer"]) == row["bytes"]
    assert [row["prefix"] for row in report["needed"]][1:] == list(layout.cut_points or ())[1:]


def test_inspect_prints_markers_resolutions_and_what_each_reduction_needs(
    source: Path, tmp_path: Path
) -> None:
    data = np.repeat(Thorax(size=64, slices=10, seed=0).frame(2)[..., None] >> 4, 3, 2)
    colour = imagecodecs.jpeg2k_encode(data.astype(np.uint8), codecformat="j2k", reversible=True)
    path = tmp_path / "colour.j2k"
    path.write_bytes(reorder(colour, progression="CPRL"))
    shown = run("inspect", path)
    for word in ("Marker", "SIZ", "FF51", "Level", "Reduce", "in ranges", "CPRL"):
        assert word in shown
    assert "bytes of headers" in run("inspect", source)


def test_a_plot_is_drawn(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "plot.png"
    run("inspect", source, "--plot", out)
    drawn = imagecodecs.png_decode(out.read_bytes())
    assert drawn.ndim == 3
    assert drawn.std() > 5


def test_without_matplotlib_a_plot_says_how_to_get_it(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def lacking(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", lacking)
    words = refused("inspect", source, "--plot", tmp_path / "p.png", exit_code=1)
    assert words.count("\n") == 1
    assert "pip install 'mersey[plot]'" in words
    assert not (tmp_path / "p.png").exists()


def test_what_is_asked_wrongly_is_wrong_usage(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.j2k"
    assert "0–5" in refused("reduce", source, out, "--reduce", 6, exit_code=2)
    assert "LRCP" in refused("reorder", source, out, "--progression", "ABCD", exit_code=2)
    refused("truncate", source, out, exit_code=2)
    refused("truncate", source, out, "--max-bytes", 0, exit_code=2)
    refused("progressive", source, tmp_path / "out.jp2", exit_code=2)
    refused("inspect", source, "--plot", tmp_path / "out.gif", exit_code=2)
    refused("truncate", source, out, "--max-bytes", 10, exit_code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["in.j2k"]


@pytest.mark.parametrize("length", [0, 1, 50, 500, 5000])
@pytest.mark.parametrize(
    "words", [("progressive",), ("reduce", "--reduce", "1"), ("truncate", "--layers", "1")]
)
def test_a_file_cut_short_is_one_line_and_leaves_nothing(
    source: Path, tmp_path: Path, length: int, words: tuple[str, ...]
) -> None:
    source.write_bytes(source.read_bytes()[:length])
    shown = refused(words[0], source, tmp_path / "out.j2k", *words[1:], exit_code=1)
    assert shown.startswith(f"mersey: error: {source}: ")
    assert shown.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.j2k"]
    assert refused("inspect", source, exit_code=1).count("\n") == 1


def test_every_broken_stream_ends_in_a_report_or_one_line(shared_data: Path) -> None:
    for path in sorted((shared_data / "broken").rglob("*")):
        if path.is_file() and path.parent.name in ("j2k", "htj2k"):
            result = CliRunner().invoke(app, ["codestream", "inspect", str(path)])
            assert result.exit_code in (0, 1), (path, result.exception)
            assert result.stderr.count("\n") == result.exit_code, (path, result.stderr)
