"""The demo runs from an empty folder, checks what it prints, and runs again."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from demo import Cut, _free_port, _problems
from demo_requests import Answer, Request, perform
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.surgery import reduce_codestream
from mersey.engine.cli.extraction import extract


def _demo(repository: Path, folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, str(repository / "tools" / "demo.py"), str(folder), *words]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=400)


def test_the_demo_checks_itself_and_can_be_run_again(repository: Path, tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    for again in (False, True):
        run = _demo(repository, folder, "--small", "--check", "--port", "18042")
        assert run.returncode == 0, run.stdout + run.stderr
        assert "206 Partial Content" in run.stdout
        assert "x-decode-level: 1" in run.stdout
        assert "all 5 answers are right, and so are the pixels" in run.stdout
        assert ("using the study in" in run.stdout) == again


def test_the_demo_serves_until_it_is_ended_and_takes_the_server_with_it(
    repository: Path, tmp_path: Path
) -> None:
    program = [sys.executable, str(repository / "tools" / "demo.py"), str(tmp_path / "demo")]
    words = [*program, "--small", "--port", "18142"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout is not None
        lines = list(iter(demo.stdout.readline, "Ctrl-C ends the demo.\n"))
        root = next(line for line in lines if line.startswith("DICOMweb is at ")).split()[3]
        demo.terminate()
        assert demo.wait(240) == 0
    assert any(line.startswith("curl -s -D - ") for line in lines)
    assert any(line.startswith("mersey extract ") for line in lines)
    with pytest.raises(ConnectionRefusedError):
        perform(Request("", f"{root[:-1]}/studies"))


def test_a_study_that_cannot_be_written_ends_the_demo_with_a_line(
    repository: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    (folder / "original").mkdir(parents=True)
    (folder / "original" / "enhanced-ct.dcm").write_bytes(b"not DICOM")
    run = _demo(repository, folder, "--small", "--check")
    assert run.returncode == 1
    assert "demo: error: mersey transcode ended with exit code 1" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_port_that_is_taken_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert _free_port(port) > port


def test_the_curl_command_is_the_request() -> None:
    request = Request(
        "", "http://h/frames/1?fsiz=8,8", accept="a/b; c=d", byte_range=(0, 9), save_as="x.j2c"
    )
    assert request.headers == {"Accept": "a/b; c=d", "Range": "bytes=0-9"}
    assert request.curl() == (
        "curl -s -H 'Accept: a/b; c=d' -r 0-9 -o x.j2c 'http://h/frames/1?fsiz=8,8'"
    )


@pytest.fixture
def right(progressive_ct: Path, tmp_path: Path) -> tuple[dict[str, Answer], Cut, Path]:
    """Answers that a right server gives, for the cut at half size of frame 1."""
    whole = extract(progressive_ct, form="j2c", number=1, reduce=0, raw=False).data
    end = (scan_codestream(whole).cut_points or ())[1]
    part = {"content-range": f"bytes 0-{end - 1}/{len(whole)}"}
    answers = {
        "studies": Answer(200, "OK", {}, b"[]"),
        "metadata": Answer(200, "OK", {}, b"[]"),
        "frame": Answer(200, "OK", {}, whole),
        "range": Answer(206, "Partial Content", part, whole[:end]),
        "fsiz": Answer(200, "OK", {"x-decode-level": "1"}, reduce_codestream(whole, reduce=1)),
    }
    enhanced = tmp_path / "progressive" / "enhanced-ct.dcm"
    enhanced.parent.mkdir()
    enhanced.symlink_to(progressive_ct)
    return answers, Cut(1, 1, 64, 64, end, len(whole)), enhanced


def test_right_answers_are_no_problem(right: tuple[dict[str, Answer], Cut, Path]) -> None:
    assert list(_problems(*right)) == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("range", {"status": 200}),
        ("range", {"headers": {"content-range": "bytes 0-9/10"}}),
        ("fsiz", {"headers": {}}),
        ("studies", {"status": 404}),
    ],
)
def test_each_wrong_answer_is_a_problem(
    right: tuple[dict[str, Answer], Cut, Path], name: str, wrong: dict[str, object]
) -> None:
    answers, cut, enhanced = right
    good = answers[name]
    fields = {"status": good.status, "reason": "", "headers": good.headers, "body": good.body}
    answers[name] = Answer(**(fields | wrong))  # type: ignore[arg-type]
    assert any(problem.startswith(name) for problem in _problems(answers, cut, enhanced))


def test_other_pixels_are_a_problem(right: tuple[dict[str, Answer], Cut, Path]) -> None:
    answers, cut, enhanced = right
    other = extract(enhanced, form="j2c", number=2, reduce=0, raw=False).data
    small = reduce_codestream(other, reduce=1)
    answers["fsiz"] = Answer(200, "OK", {"x-decode-level": "1"}, small)
    assert list(_problems(answers, cut, enhanced)) == ["fsiz: other pixels than mersey extract"]
    assert np.load(enhanced.parent.parent / "small.npy").shape == (64, 64)
