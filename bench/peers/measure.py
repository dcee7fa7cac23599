"""Contenders taken in turns: A B A B, so that what the machine does meets all of them alike.

A trial does the work once, asserts that it was right, and returns nothing. What counts is the
median over the rounds; the spread is half the range between the quartiles over the median.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from footprint import Footprint, process_tree

__all__ = ["Contender", "Measured", "Row", "await_idle", "compare", "cpu_seconds"]

_QUIET_S = 2.75
_IDLE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of doing an operation.

    `trial` does it once; it returns seconds where it times itself (a latency), else None and
    the whole call is timed. `process_id` is the server's or this process's own, whose tree is
    watched for memory and CPU. `refused` says why there is no trial.
    """

    name: str
    trial: Callable[[], float | None] | None
    process_id: int | None = None
    refused: str = ""


@dataclass(slots=True)
class Measured:
    """What the rounds of one contender gave."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float | None = None
    peak_bytes: int | None = None
    refused: str = ""

    @property
    def median_s(self) -> float:
        return statistics.median(self.seconds)

    @property
    def spread(self) -> float:
        """Half of the middle half's width, as a share of the median."""
        if len(self.seconds) < 2:
            return 0.0
        low, _, high = statistics.quantiles(self.seconds, n=4, method="inclusive")
        return (high - low) / 2 / self.median_s


@dataclass(slots=True)
class Row:
    """One operation and what each contender took for it.

    `unit` is ``MB/s`` (of `work` MB), ``/s`` (of `work` operations), ``ms``, ``s``, or ``x``
    for a trial that returns how many times as much as needed it took.
    """

    operation: str
    unit: str
    work: float
    measured: dict[str, Measured]
    note: str = ""

    def figure(self, name: str) -> float | None:
        """The figure of one contender in the row's unit."""
        found = self.measured.get(name)
        if found is None or not found.seconds or found.refused:
            return None
        if self.unit == "ms":
            return found.median_s * 1e3
        if self.unit in ("s", "x"):
            return found.median_s
        return self.work / found.median_s

    def ratio(self, name: str, other: str) -> float | None:
        """How many times better `name` is than `other`."""
        ours, theirs = self.figure(name), self.figure(other)
        if ours is None or theirs is None:
            return None
        return theirs / ours if self.unit in ("ms", "s", "x") else ours / theirs


def cpu_seconds(process_id: int) -> float:
    """User and system time of a process tree so far, ended children included."""
    total = 0.0
    for process in process_tree(process_id):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def await_idle(process_ids: Sequence[int], *, patience_s: float = 30.0) -> None:
    """Wait until these process trees do nothing: what one does after its trial is not another's.

    Mersey makes renditions once nothing was stored for two seconds.
    """
    deadline = time.monotonic() + patience_s
    quiet_since, before = time.monotonic(), sum(map(cpu_seconds, process_ids))
    while time.monotonic() < min(deadline, quiet_since + _QUIET_S):
        time.sleep(0.25)
        now = sum(map(cpu_seconds, process_ids))
        if now - before > _IDLE_SHARE * 0.25:
            quiet_since = time.monotonic()
        before = now


def compare(
    operation: str,
    contenders: Sequence[Contender],
    *,
    unit: str,
    work: float = 1.0,
    rounds: int = 5,
    limit_s: float = 15.0,
    note: str = "",
) -> Row:
    """Run the trials of all contenders in turns and gather what they took.

    The first round warms up and is not counted. A contender that has used up `limit_s` takes
    no further part; one whose trial fails is out, with the reason.
    """
    row = Row(operation, unit, work, {}, note)
    spent = dict.fromkeys((contender.name for contender in contenders), 0.0)
    for contender in contenders:
        row.measured[contender.name] = Measured(refused=contender.refused)
    for index in range(rounds + 1):
        for contender in contenders:
            measured = row.measured[contender.name]
            if contender.trial is None or measured.refused:
                continue
            if spent[contender.name] > limit_s and measured.seconds:
                continue
            _one(contender, contender.trial, measured, spent, counts=index > 0)
    return row


def _one(
    contender: Contender,
    trial: Callable[[], float | None],
    measured: Measured,
    spent: dict[str, float],
    *,
    counts: bool,
) -> None:
    process_id = contender.process_id
    before = cpu_seconds(process_id) if process_id else 0.0
    started = time.perf_counter()
    try:
        if process_id:
            with Footprint(process_id) as footprint:
                own = trial()
            measured.peak_bytes = max(measured.peak_bytes or 0, footprint.peak_bytes)
        else:
            own = trial()
    except (AssertionError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        measured.refused = " ".join(str(error).split())[:80] or type(error).__name__
        return
    whole = time.perf_counter() - started
    spent[contender.name] += whole
    if not counts and whole < 20:
        return
    measured.seconds.append(whole if own is None else own)
    if process_id:
        used = cpu_seconds(process_id) - before
        measured.cpu_seconds = (
            used if measured.cpu_seconds is None else min(used, measured.cpu_seconds)
        )
