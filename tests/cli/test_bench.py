"""`mersey bench` as it is typed: what is measured, told, written and refused; never how fast."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import psutil
import pytest
from mersey.codecs.registry import TARGETS
from mersey.engine.cli.bench_giving import _command_line
from mersey.engine.cli.bench_options import parse_numbers
from mersey.engine.cli.main import app
from typer.testing import CliRunner

MERSEY = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]


def run(*words: object, code: int = 0):
    result = CliRunner().invoke(app, ["bench", *map(str, words)])
    assert result.exit_code == code, result.output
    return result


class References(HTMLParser):
    """Everything that a page would fetch or lead to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        self.found += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]


def plots_of(report: Path) -> list[bytes]:
    """The plots of a report, which refers to nothing but them."""
    page = report.read_text(encoding="utf-8")
    references = References(page)
    assert not references.tags & {"script", "link", "iframe", "object"}
    assert "url(" not in page
    assert "@import" not in page
    start = "data:image/svg+xml;base64,"
    assert all(reference.startswith(start) for reference in references.found)
    return [base64.b64decode(reference.removeprefix(start)) for reference in references.found]


def test_codec_measures_every_codec_and_every_resolution(sample_study, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ["--limit", "0.01", "--frames", "2", "--json", "--report", report]
    found = json.loads(run("codec", sample_study.enhanced_ct, *words).stdout)
    (file,) = found["files"]
    assert [one["codec"] for one in file["codecs"]] == list(TARGETS)
    measured = {one["codec"]: one["figures"] for one in file["codecs"]}
    assert measured.pop("jpeg-baseline") is None, "it has 12 bits"
    assert all(figures["encode_mb_per_s"] > 0 for figures in measured.values())
    assert {name for name, figures in measured.items() if figures["equal"]} == {*TARGETS} - {
        "htj2k-lossy",
        "j2k-lossy",
        "jpegls-near",
        "jpeg-baseline",
    }
    assert measured["j2k-lossy"]["psnr_db"] > 40
    assert 1 <= measured["rle"]["frames"] <= 2
    levels = measured["htj2k-rpcl"]["resolutions"]
    assert [(level["reduce"], level["columns"]) for level in levels][:3] == [
        (0, 128),
        (1, 64),
        (2, 32),
    ]
    sizes = [level["stored_bytes"] for level in levels]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[0] == measured["htj2k-rpcl"]["stored_bytes"]
    assert levels[0]["share"] == 1
    assert measured["rle"]["resolutions"] == []
    speed, by_resolution = plots_of(report)
    assert b"<svg" in speed
    assert b"<svg" in by_resolution
    assert {"date", "command", "machine", "versions"} <= set(found)


def test_codec_tells_its_figures_in_tables(sample_study) -> None:
    words = ["--to", "htj2k-rpcl", "--to", "jpeg-baseline", "--limit", "0.01", "--frames", "1"]
    lines = run("codec", sample_study.us_cine, *words).stdout.splitlines()
    assert lines[0].endswith("128 x 96 x 3, 8 of 8 bits")
    assert lines[1].split()[:3] == ["codec", "encode", "MB/s"]
    assert lines[2].split()[0] == "htj2k-rpcl"
    assert " equal " in lines[2]
    assert " dB " in lines[3]
    assert any(line.split()[:2] == ["htj2k-rpcl", "0"] for line in lines)


def test_codec_refuses_a_file_without_pixels_and_one_that_is_none(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    plan = get_testdata_file("rtplan.dcm", download=False)
    assert "no Pixel Data" in run("codec", plan, code=2).stderr
    (tmp_path / "text.dcm").write_text("no image" * 100)
    run("codec", tmp_path / "text.dcm", code=1)


def test_transcode_measures_each_number_of_jobs_and_leaves_nothing(
    sample_study, tmp_path: Path
) -> None:
    scratch, report = tmp_path / "scratch", tmp_path / "report.html"
    scratch.mkdir()
    folder = sample_study.enhanced_ct.parent
    words = ["--jobs", "1,2", "--scratch", scratch, "--json", "--report", report]
    found = json.loads(run("transcode", folder, *words).stdout)
    assert [one["jobs"] for one in found["runs"]] == [1, 2]
    for one in found["runs"]:
        assert one["files"] == len(sample_study.files)
        assert one["pixel_bytes"] == found["runs"][0]["pixel_bytes"] > 0
        assert one["bytes_in"] == sum(path.stat().st_size for path in sample_study.files)
        assert 0 < one["bytes_out"] < one["bytes_in"]
        assert one["peak_bytes"] > 10_000_000
        assert one["peak_bytes"] >= max(taken for _, taken in one["memory"])
        assert one["cpu_s"] > 0
        assert one["complete"]
    assert list(scratch.iterdir()) == []
    assert len(plots_of(report)) == 2


def test_transcode_names_what_failed(sample_study, tmp_path: Path) -> None:
    (tmp_path / "cut.dcm").write_bytes(sample_study.enhanced_ct.read_bytes()[:-30000])
    result = run("transcode", tmp_path, "--jobs", "1", code=1)
    assert "failed: " in result.stdout
    assert "cut.dcm" in result.stdout


@pytest.fixture(scope="module")
def service(sample_study, tmp_path_factory):
    """The address of a server over the sample study."""
    from contextlib import ExitStack

    store = tmp_path_factory.mktemp("store")
    with ExitStack() as stack:
        yield stack.enter_context(serving(sample_study.enhanced_ct.parent, store))


class serving:  # noqa: N801  used as a function is
    """`mersey serve` over a folder, once all is indexed; gives the address of the service."""

    def __init__(self, folder: Path, store: Path) -> None:
        words = ["serve", folder, "--store", store, "--port", "0", "--jobs", "1"]
        self._command = [*MERSEY, *map(str, words)]

    def __enter__(self) -> str:
        self._process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        address = self._process.stdout.readline().split()[-1]
        for line in self._process.stderr:
            if line.startswith("indexed"):
                break
        return address

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=240)


def test_serve_puts_frames_under_load_and_counts_right_answers(service, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ["--connections", "1,3", "--duration", "0.2", "--targets", "4", "--json"]
    found = json.loads(run("serve", service, *words, "--report", report).stdout)
    assert [one["connections"] for one in found["runs"]] == [1, 3]
    assert found["targets"] == 4
    for one in found["runs"]:
        marks = one["latencies_s"]
        assert 0 < marks["p50"] <= marks["p90"] <= marks["p99"] <= marks["max"]
        assert one["answered"] > 0
        assert one["errors"] == {}
        assert one["body_bytes"] > one["pixel_bytes"] > 0
        assert one["client_cores"] > 0
        assert one["processes"] >= 1
    assert len(plots_of(report)) == 2


@pytest.mark.parametrize("what", ["studies", "metadata"])
def test_serve_asks_for_no_more_than_it_is_told(service, what: str) -> None:
    words = ["--what", what, "--connections", "2", "--duration", "20", "--requests", "5", "--json"]
    found = json.loads(run("serve", service, *words).stdout)
    (one,) = found["runs"]
    assert one["answered"] == 5
    assert one["body_bytes"] == 5 * found["bytes_per_target"]


def test_serve_ends_where_there_is_no_server_or_no_such_study(service) -> None:
    assert "mersey: error" in run("serve", "http://127.0.0.1:9/dicom-web", code=1).stderr
    assert "no frames found" in run("serve", service, "--study", "1.2.3.4", code=2).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["serve", "ftp://host/dicom-web"],
        ["serve", "http://"],
        ["serve", "http://host/", "--connections", "0"],
        ["serve", "http://host/", "--connections", "1,x"],
        ["serve", "http://host/", "--header", "no field"],
        ["serve", "http://host/", "--report", "report.txt"],
        ["link", "https://host/dicom-web"],
        ["link", "http://host/", "--rate", "fast"],
        ["link", "http://host/", "--rtt", "40"],
        ["link", "http://host/", "--series", "1.2"],
        ["transcode", "absent-folder", "--jobs", "1"],
        ["transcode", ".", "--to", "no-such-codec"],
        ["codec", "absent.dcm", "--report", "absent-folder/report.html"],
    ],
)
def test_wrong_usage_is_refused_before_anything_is_measured(words: list[str]) -> None:
    assert run(*words, code=2).stdout == ""


def test_link_tells_when_each_resolution_is_there(service, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    words = ["--rate", "4mbit", "--rtt", "4ms", "--json", "--report", report]
    found = json.loads(run("link", service, *words).stdout)
    ways = {one["way"]: one for one in found["ways"]}
    assert list(ways) == [
        "raw frames",
        ".202 frames",
        ".202 by resolution",
        "progressive stream",
    ]
    for one in ways.values():
        assert one["reason"] == ""
        assert 0 < one["first_picture_s"] <= one["complete_s"]
    assert ways["raw frames"]["frames_bytes"] == 6 * 128 * 128 * 2
    assert ways[".202 frames"]["frames_bytes"] == ways[".202 by resolution"]["frames_bytes"]
    for name in (".202 by resolution", "progressive stream"):
        rows = ways[name]["resolutions"]
        assert [row["columns"] for row in rows] == [4, 8, 16, 32, 64, 128]
        times = [row["all_s"] for row in rows]
        assert times == sorted(times)
        assert all(row["first_s"] <= row["all_s"] for row in rows)
        assert ways[name]["first_picture"] == [64, 64]
    # 196 kB need 0.39 s at 4 Mbit/s, whatever the machine does.
    assert ways["raw frames"]["complete_s"] > 0.35
    assert found["bytes_per_s"] == 500_000
    assert len(plots_of(report)) == 2


def test_link_stops_a_way_in_time_and_says_so(service) -> None:
    words = ["--rate", "64kbit", "--rtt", "0ms", "--frames", "2", "--limit", "0.1"]
    result = run("link", service, *words, code=1)
    assert result.stdout.count("stopped after 0.1 s") == 3
    assert "leave --frames out" in result.stdout


def test_ctrl_c_gives_what_there_is(service) -> None:
    # How long it takes to measure depends on the machine: interrupted before, it has nothing yet.
    found = next(found for after_s in (1, 5, 20, 60) if (found := _interrupted(service, after_s)))
    assert found["interrupted"] is True
    assert found["runs"][0]["answered"] > 0


def _interrupted(service: str, after_s: float) -> dict[str, Any] | None:
    """What is told after Ctrl-C, so long after it began; None where nothing was measured."""
    process = subprocess.Popen(
        [*MERSEY, "bench", "serve", service, "--connections", "1", "--duration", "120", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 240
    while not _is_connected(process.pid, to_port=int(service.split(":")[2].split("/")[0])):
        assert time.monotonic() < end
        time.sleep(0.05)
    time.sleep(after_s)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in err
    found: dict[str, Any] | None = json.loads(out) if out else None
    return found if found is not None and found["runs"] else None


def _is_connected(process_id: int, *, to_port: int) -> bool:
    """Whether the process or one of those that it has started, which make the load, is."""
    process = psutil.Process(process_id)
    for one in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):  # it ended meanwhile
            found = one.net_connections("tcp")
            if any(peer.raddr and peer.raddr.port == to_port for peer in found):
                return True
    return False


def test_a_report_without_matplotlib_names_the_extra(
    sample_study, tmp_path: Path, monkeypatch
) -> None:
    import importlib.util

    known = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "matplotlib" else known(name)
    )
    result = run("codec", sample_study.us_cine, "--report", tmp_path / "report.html", code=2)
    assert "mersey[plot]" in result.stderr


@pytest.mark.parametrize("text", ["", "0", "1,,2", "-1", "1.5", "17", "²", ",".join("1" * 17)])
def test_lists_of_numbers_are_read_strictly(text: str) -> None:
    from mersey.codecs.errors import UsageError

    with pytest.raises(UsageError, match="--jobs"):
        parse_numbers(text, option="--jobs", most=16)


def test_lists_of_numbers_keep_their_order() -> None:
    assert parse_numbers("4, 1,4,16", option="--jobs", most=16) == (4, 1, 16)


def test_the_command_line_of_a_report_holds_no_secret() -> None:
    words = ["x", "bench", "serve", "http://me:word@host/", "--header", "Authorization: Bearer abc"]
    text = _command_line([*words, "--header=X-Key: abc", "--json"])
    assert "word" not in text
    assert "abc" not in text
    assert text.startswith("mersey bench serve http://host/ --header")
    assert text.endswith("--json")
