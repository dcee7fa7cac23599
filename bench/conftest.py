"""What the benchmarks share: the study they work on, what each costs, the baseline.

`--baseline compare` tells what became slower or faster than `bench/baseline.json` says, in
multiples of a calibration that runs in the same session; `--baseline write` keeps what was
measured now.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tools")]

from baseline import compare, read_baseline, write_baseline  # noqa: E402
from calibration import calibrate  # noqa: E402
from costs import Costs, watch  # noqa: E402
from long_files import LongFiles  # noqa: E402

BASELINE = ROOT / "bench" / "baseline.json"
_TOLD = 1.25
"""Changes that are less than the noise of a shared machine are not told."""

calibrated_s = functools.cache(calibrate)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--baseline", choices=("compare", "write"), help="see bench/conftest.py")


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> LongFiles:
    """The synthetic study and the longer files made of it, on the file system of the tests."""
    return LongFiles(tmp_path_factory.mktemp("study"))


@pytest.fixture(autouse=True)
def costs(benchmark: Any) -> Iterator[None]:
    """CPU and memory of all processes; CPU for each GB where the benchmark tells MB/s."""
    found = watch(benchmark)
    yield
    if benchmark.stats is not None:
        _add_costs(benchmark, found)


def _add_costs(benchmark: Any, found: Costs) -> None:
    cpu_s, median_s = found.median_cpu_s, benchmark.stats.stats.median
    if cpu_s is None:
        return
    benchmark.extra_info["peak MiB with the benchmark"] = round(found.peak_bytes / 2**20)
    pixel_bytes = benchmark.extra_info.pop("pixel_bytes", None)
    if pixel_bytes:
        benchmark.extra_info["MB/s"] = round(pixel_bytes / 1e6 / median_s, 1)
    speed = benchmark.extra_info.get("MB/s")
    if speed:
        benchmark.extra_info["CPU s/GB"] = round(cpu_s / (speed * median_s / 1e3), 2)
    else:
        benchmark.extra_info["CPU ms"] = float(f"{cpu_s * 1e3:.3g}")


def pytest_benchmark_update_machine_info(machine_info: dict[str, Any]) -> None:
    from importlib.metadata import version

    names = ("mersey", "ojph", "imagecodecs", "numpy", "pylibjpeg-openjpeg")
    machine_info["versions"] = {name: version(name) for name in names}
    machine_info["calibration_s"] = calibrated_s()


def pytest_terminal_summary(terminalreporter: Any, config: Any) -> None:
    """One line a benchmark with what it is for: ratios, MB/s, memory; then the baseline."""
    session = getattr(config, "_benchmarksession", None)
    benchmarks = session.benchmarks if session else ()
    for bench in benchmarks:
        facts = ", ".join(f"{name} {value}" for name, value in bench.extra_info.items())
        terminalreporter.write_line(f"{bench.name}: {facts}")
    action = config.getoption("--baseline")
    if not action or not benchmarks:
        return
    now = {bench.name: bench.stats.median / calibrated_s() for bench in benchmarks}
    if action == "write":
        write_baseline(BASELINE, now)
        terminalreporter.write_line(f"baseline: {len(now)} benchmarks written")
        return
    changes = compare(read_baseline(BASELINE), now)
    told = [change for change in changes if not 1 / _TOLD < change.ratio < _TOLD]
    for change in told:
        times = (
            f"{change.ratio:.2f} times as long"
            if change.ratio > 1
            else (f"{1 / change.ratio:.2f} times as fast")
        )
        terminalreporter.write_line(f"baseline: {change.name} is {times} as before")
    terminalreporter.write_line(
        f"baseline: {len(changes)} compared, {len(told)} differ by more than {_TOLD:.2f}"
    )
