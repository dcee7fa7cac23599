"""What the benchmarks share: the study they work on, and the machine they ran on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools")]

from long_files import LongFiles  # noqa: E402


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> LongFiles:
    """The synthetic study and the longer files made of it, on the file system of the tests."""
    return LongFiles(tmp_path_factory.mktemp("study"))


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    from importlib.metadata import version

    names = ("mersey", "ojph", "imagecodecs", "numpy", "pylibjpeg-openjpeg")
    machine_info["versions"] = {name: version(name) for name in names}


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """One line a benchmark with what it is for: ratios, MB/s, memory."""
    session = getattr(config, "_benchmarksession", None)
    for bench in session.benchmarks if session else ():
        facts = ", ".join(f"{name} {value}" for name, value in bench.extra_info.items())
        terminalreporter.write_line(f"{bench.name}: {facts}")
