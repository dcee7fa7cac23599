"""The rows as a table for people, as JSON for programs, and as one plot."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from measure import Measured, Row

__all__ = ["as_json", "as_line", "as_markdown", "machine", "plot"]

LIMITS = ("nginx", "codec in memory", "disk", "link", "memory")
"""Contenders that are not peers but what the machine can give."""


def as_markdown(rows: Sequence[Row]) -> str:
    """The table: a line a row, the best peer beside ours and our share of the limit."""
    lines = [
        "| Operation | Mersey | Peer | Times the peer | Limit | Share of it | Spread | PSS | CPU |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    lines += [_line(row) for row in rows]
    return "\n".join(lines)


def as_line(row: Row) -> str:
    """One row in short: what each contender reached."""
    return f"{row.operation}: " + ", ".join(f"{name} {_figure(row, name)}" for name in row.measured)


def _line(row: Row) -> str:
    ours = row.measured.get("mersey", Measured())
    limit = next((name for name in row.measured if name in LIMITS), None)
    peer = _best_peer(row)
    cells = [
        row.operation,
        _figure(row, "mersey"),
        "–" if peer is None else f"{peer} {_figure(row, peer)}",
        _times(None if peer is None else row.ratio("mersey", peer)),
        "" if limit is None else f"{limit} {_figure(row, limit)}",
        _times(None if limit is None else row.ratio("mersey", limit)),
        f"±{ours.spread * 100:.0f} %" if len(ours.seconds) > 1 else "",
        _both(
            row, peer, lambda found: found.peak_bytes and f"{found.peak_bytes / 2**20:.0f}", "MiB"
        ),
        _both(row, peer, lambda found: found.cpu_seconds and f"{found.cpu_seconds:.2f}", "s"),
    ]
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _best_peer(row: Row) -> str | None:
    """The peer that comes nearest to us or ahead; where none could, one with its reason."""
    peers = [name for name in row.measured if name != "mersey" and name not in LIMITS]
    able = [name for name in peers if row.figure(name) is not None]
    if able:
        return min(able, key=lambda name: row.ratio("mersey", name) or 0.0)
    return max(peers, key=lambda name: bool(row.measured[name].refused), default=None)


def _figure(row: Row, name: str) -> str:
    figure = row.figure(name)
    if figure is None:
        reason = row.measured[name].refused if name in row.measured else ""
        return f"– ({reason})" if reason else "–"
    digits = 0 if figure >= 100 else 1 if figure >= 10 else 2
    return f"{figure:,.{digits}f} {row.unit}"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.0f}" if ratio >= 20 else f"{ratio:.1f}" if ratio >= 2 else f"{ratio:.2f}"


def _both(row: Row, peer: str | None, show: Any, unit: str) -> str:
    names = ["mersey"] + ([peer] if peer else [])
    shown = [show(row.measured[name]) or "–" for name in names if name in row.measured]
    return "" if set(shown) <= {"–"} else f"{' / '.join(shown)} {unit}"


def as_json(rows: Sequence[Row]) -> dict[str, Any]:
    """Everything that was measured, with the machine and the versions."""
    return {
        "machine": machine(),
        "rows": [
            {
                "operation": row.operation,
                "unit": row.unit,
                "work": row.work,
                "note": row.note,
                "contenders": {
                    name: {
                        "figure": row.figure(name),
                        "seconds": found.seconds,
                        "spread": found.spread if found.seconds else None,
                        "cpu_seconds": found.cpu_seconds,
                        "peak_pss_bytes": found.peak_bytes,
                        "refused": found.refused,
                    }
                    for name, found in row.measured.items()
                },
            }
            for row in rows
        ],
    }


def machine() -> dict[str, Any]:
    """The machine and the versions of all that took part; no name and no path of it."""
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    names = ("mersey", "ojph", "imagecodecs", "numpy", "pydicom", "uvicorn")
    packages = (
        "orthanc",
        "orthanc-dicomweb",
        "orthanc-gdcm",
        "nginx",
        "dcmtk",
        "libgdcm-tools",
        "libopenjp2-tools",
        "openjph-tools",
        "grokj2k-tools",
        "wrk",
    )
    versions = {name: version(name) for name in names}
    for name in packages:
        found = subprocess.run(
            ["dpkg-query", "-W", "-f", "${Version}", name],
            capture_output=True,
            text=True,
            check=False,
        )
        if found.returncode == 0 and found.stdout:
            versions[name] = found.stdout
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "versions": versions,
    }


def plot(rows: Sequence[Row], path: Path) -> None:
    """How many times the best peer, a bar a row, on a logarithmic axis (SVG or PNG)."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    pairs = [
        (row.operation, row.ratio("mersey", peer)) for row in rows if (peer := _best_peer(row))
    ]
    shown = [(operation, ratio) for operation, ratio in pairs if ratio is not None]
    figure, axes = plt.subplots(figsize=(9, 0.32 * len(shown) + 1.2))
    names, ratios = [name for name, _ in shown], [ratio for _, ratio in shown]
    axes.barh(names, ratios, color=["#2a6f97" if ratio >= 1 else "#c1121f" for ratio in ratios])
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("times the best peer in the same run")
    for place, ratio in enumerate(ratios):
        axes.annotate(f" {_times(ratio)}", (max(ratio, 1), place), va="center", fontsize=8)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
