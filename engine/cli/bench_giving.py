"""Gives what a benchmark found: tables in the terminal or JSON, a report, and the exit code."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ...codecs.errors import UsageError

if TYPE_CHECKING:
    from .bench_result import Result

__all__ = ["check_report", "give"]

_LIBRARIES = ("mersey", "numpy", "imagecodecs", "ojph", "numba", "pydicom", "aiohttp", "uvloop")
_USER = re.compile(r"(?<=://)[^/@\s]+@")
_SECRET_OPTION = "--header"
_INTERRUPTED = 130


def check_report(path: Path | None) -> None:
    """Refuse now what could not be written after everything has been measured.

    Raises
    ------
    UsageError
        The report is to be no .html file, its folder is missing, or matplotlib is.
    """
    if path is None:
        return
    if path.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"--report is {path.name!r}, expected an .html file")
    if not path.parent.is_dir():
        raise UsageError(f"--report: the folder {path.parent} does not exist")
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError(
            "--report needs matplotlib, which is not installed: pip install 'mersey[plot]'"
        )


def give(result: Result, *, as_json: bool, report: Path | None) -> None:
    """Print the result, write the report, and end with the exit code that belongs to it."""
    about = _about(result)
    if report is not None:
        from .bench_report import report_page
        from .written_file import write_whole

        page = report_page(result, about=about)
        write_whole(report, page.encode("utf-8"))
    if as_json:
        print(json.dumps(about | result.data, indent=2))
    else:
        _print(result)
        if report is not None:
            from .terminal import printable

            print(printable(f"report: {report}"))
    if result.interrupted:
        raise typer.Exit(_INTERRUPTED)
    if result.failed:
        raise typer.Exit(1)


def _print(result: Result) -> None:
    from .terminal import print_line, print_table

    for number, table in enumerate(result.tables):
        if number:
            print_line("")
        print_line(table.caption, style="bold")
        print_table(table.head, table.rows, right=table.right)
    for note in result.notes:
        print_line(note)
    if result.interrupted:
        print_line("interrupted: this is what there was", style="yellow")


def _about(result: Result) -> dict[str, Any]:
    """Where and how it was measured; no name of a machine, no secret."""
    return {
        "benchmark": result.title,
        "command": _command_line(sys.argv),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "system": f"{platform.system()} {platform.release()}",
            "python": platform.python_version(),
        },
        "versions": _versions(),
        "interrupted": result.interrupted,
    }


def _command_line(arguments: list[str]) -> str:
    """What was typed, without user names, passwords and fields of requests."""
    words, hide = ["mersey"], False
    for word in arguments[1:]:
        if hide:
            words.append("'…'")
        elif word.startswith(_SECRET_OPTION + "="):
            words.append(f"{_SECRET_OPTION}='…'")
        else:
            words.append(_USER.sub("", word))
        hide = word == _SECRET_OPTION
    return " ".join(words)


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else platform.machine()


def _versions() -> dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
