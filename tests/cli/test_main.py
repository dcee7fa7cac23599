"""The front door: exit codes, one line for an error, nothing heavy on the way in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from mersey.codecs.errors import DicomError, MerseyError, UnsupportedError, UsageError
from mersey.engine.cli import inspection
from mersey.engine.cli.main import app
from mersey.engine.cli.terminal import count, print_error, printable, size
from sample_study import SampleStudy
from typer.testing import CliRunner

_COMMANDS = ("transcode", "serve", "inspect", "extract", "codecs", "codestream")
_RUN_MAIN = "from mersey.engine.cli.main import main; main()"


@pytest.mark.parametrize("command", _COMMANDS)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: root {command} ")


def test_help_lists_the_commands() -> None:
    result = CliRunner().invoke(app, ["-h"])
    assert result.exit_code == 0
    assert all(f"\n  {command} " in result.stdout for command in _COMMANDS)


def test_the_version_is_the_distributions() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.stdout == f"mersey {version('mersey')}\n"


@pytest.mark.parametrize("words", [[], ["--bogus"], ["bogus"], ["inspect"], ["extract", "a"]])
def test_wrong_usage_ends_with_2(words: list[str]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 2


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (DicomError("no magic word", offset_bytes=128), 1),
        (UnsupportedError("video", feature="video"), 1),
        (UsageError("frame number 7 of 6"), 2),
        (FileNotFoundError(2, "No such file or directory", "gone.dcm"), 1),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(
    error: Exception, exit_code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *, patient: bool) -> None:
        raise error

    monkeypatch.setattr(inspection, "inspect_file", fail)
    result = CliRunner().invoke(app, ["inspect", "x.dcm"])
    assert result.exit_code == exit_code
    assert result.stderr.startswith("mersey: error: ")
    assert result.stderr.count("\n") == 1


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    words = [sys.executable, "-c", _RUN_MAIN, "--debug", "inspect", str(tmp_path / "gone")]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "Traceback" in run.stderr


def test_a_mistake_of_ours_is_not_dressed_up_as_an_error_of_the_input(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(path: Path, *, patient: bool) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(inspection, "inspect_file", fail)
    assert isinstance(CliRunner().invoke(app, ["inspect", "x"]).exception, ZeroDivisionError)


def test_a_reader_that_has_seen_enough_is_no_error(sample_study: SampleStudy) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-c", _RUN_MAIN, "inspect", str(sample_study.enhanced_ct)]
    run = subprocess.run(words, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert run.returncode == 1
    assert run.stderr == b""


def test_an_interrupt_ends_with_130(tmp_path: Path) -> None:
    program = (
        "import os, signal; from mersey.engine.cli import inspection\n"
        "def stop(*_, **__): os.kill(os.getpid(), signal.SIGINT)\n"
        f"inspection.inspect_file = stop\n{_RUN_MAIN}"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "inspect", "x"], capture_output=True, check=False
    )
    assert run.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in run.stderr


def test_an_error_names_its_source_once(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(DicomError("no magic word", source="a.dcm"))
    print_error(DicomError("a.dcm has no magic word", source="a.dcm"))
    print_error(MerseyError("two\nlines\x1b[31m"))
    assert capsys.readouterr().err.splitlines() == [
        "mersey: error: a.dcm: no magic word",
        "mersey: error: a.dcm has no magic word",
        r"mersey: error: two\nlines\x1b[31m",
    ]


def test_printable_leaves_letters_of_all_languages() -> None:
    assert printable("Διονυσιος 山田") == "Διονυσιος 山田"


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1000, "1.00 kB"), (999_499, "999 kB"),
     (999_500, "1.00 MB"), (157_286_400, "157 MB"), (4 << 40, "4.40 TB"), (9 << 50, "10133 TB")],
)  # fmt: skip
def test_sizes_have_three_digits(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words


def test_a_count_knows_its_plural() -> None:
    assert [count(number, "frame") for number in (0, 1, 1200)] == [
        "0 frames", "1 frame", "1,200 frames",
    ]  # fmt: skip
