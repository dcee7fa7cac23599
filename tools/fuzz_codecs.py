"""Fuzz the codecs: damaged frames through worker processes, and what becomes of them.

    python tools/fuzz_codecs.py [--codec NAME-or-UID]... [--count N] [--seed N] [--jobs N] [--json]

Each damaged frame is decoded in a worker process, as every foreign frame is. It may come out
right, or as another image of the size that its data set declares (no codec can know), or end in
one of our errors; its worker may die or be stopped. What may not happen makes the exit code 1:
an image of another size, an error that is none of ours, a parent that hangs or leaks.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_mutations import mutate
from fuzz_seeds import Seed, seeds_of
from mersey.codecs.errors import MerseyError, ResourceError
from mersey.codecs.reduction import reduced_size
from mersey.codecs.registry import TARGETS, Registry
from mersey.engine.runtime.frame_decode import FrameDecode, decode_frame
from mersey.engine.runtime.worker import WorkerError
from mersey.engine.runtime.worker_pool import WorkerPool

__all__ = ["Report", "fuzz", "main"]

_TIME_LIMIT_S = 5.0
_MEMORY_LIMIT_BYTES = 512 << 20
_HANG_S = 30.0
"""How long beyond its time limit an answer may take before the parent counts as hanging."""
_MOST_GROWTH_BYTES = 64 << 20
_DESCRIPTORS_A_WORKER = 5
"""A pool maps shared memory when results first need it, and each map keeps a descriptor."""
_MOST_KEPT = 5


@dataclass(slots=True)
class Report:
    """What became of the damaged frames of one transfer syntax.

    `outcomes` counts "right", "another image", "error", "time limit", "memory limit" and
    "worker died of SIG…"; `errors` the kinds of error; `failures` describes what may not
    happen, with what is needed to see it again.
    """

    uid: str
    name: str
    count: int
    seeds: int
    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    grown_bytes: int = 0

    def as_dict(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "name": self.name,
            "count": self.count,
            "seeds": self.seeds,
            "outcomes": dict(self.outcomes),
            "errors": dict(self.errors),
            "failures": self.failures,
            "parent_grown_bytes": self.grown_bytes,
        }


@dataclass(frozen=True, slots=True)
class _Trial:
    number: int
    mutation: str
    seed: Seed
    data: bytes
    reduce: int

    @property
    def shape(self) -> tuple[int, ...]:
        shape = self.seed.samples.shape
        return (*(reduced_size(side, reduce=self.reduce) for side in shape[:2]), *shape[2:])


def fuzz(uid: str, pool: WorkerPool, *, count: int, seed: int) -> Report:
    """Decode `count` damaged frames of one transfer syntax in the processes of `pool`."""
    name = next(row.name for row in Registry.default().rows() if row.uid == uid)
    seeds = seeds_of(uid)
    report = Report(uid, name, count if seeds else 0, len(seeds))
    if not seeds:
        return report
    _start_workers(pool)  # what the pool itself takes is not this codec's
    before, descriptors = _resident_bytes(), _descriptor_count()
    waiting: deque[tuple[_Trial, Future[Any]]] = deque()
    for trial in _trials(seeds, count=count, seed=seed):
        work = FrameDecode(trial.data, trial.seed.pixels, uid, reduce=trial.reduce)
        waiting.append((trial, pool.submit(decode_frame, work)))
        if len(waiting) >= 2 * pool.jobs:
            _take(report, *waiting.popleft())
    while waiting:
        _take(report, *waiting.popleft())
    report.grown_bytes = max(_resident_bytes() - before, 0)
    if report.grown_bytes > _MOST_GROWTH_BYTES:
        report.failures.append(f"the parent grew by {report.grown_bytes} bytes")
    left = _descriptor_count() - descriptors
    if left > _DESCRIPTORS_A_WORKER * pool.jobs:
        report.failures.append(f"{left} file descriptors were left open")
    return report


def _start_workers(pool: WorkerPool) -> None:
    while len(pool.process_ids) < pool.jobs:
        for call in [pool.submit(time.sleep, 0.05) for _ in range(pool.jobs)]:
            call.result(_HANG_S)


def _trials(seeds: list[Seed], *, count: int, seed: int) -> Iterator[_Trial]:
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        chosen = seeds[int(rng.integers(len(seeds)))]
        other = seeds[int(rng.integers(len(seeds)))]
        mutation, data = mutate(rng, chosen.data, other.data)
        reduce = int(rng.integers(1, 6)) if rng.integers(6) == 0 else 0
        yield _Trial(number, mutation, chosen, data, reduce)


def _take(report: Report, trial: _Trial, future: Future[Any]) -> None:
    """Wait for one answer and count it."""
    outcome = _outcome(report, trial, future)
    report.outcomes[outcome.partition(":")[0]] += 1
    if outcome.startswith("FAILED") and len(report.failures) < _MOST_KEPT:
        report.failures.append(
            f"trial {trial.number}, {trial.mutation} of {trial.seed.name}, "
            f"reduce {trial.reduce}: {outcome}"
        )


def _outcome(report: Report, trial: _Trial, future: Future[Any]) -> str:
    try:
        found = future.result(_TIME_LIMIT_S + _HANG_S)
    except TimeoutError:
        return "FAILED: the parent waits for an answer that does not come"
    except WorkerError as error:
        died = re.search(r"died of (\w+)|ended with status -?\d+", str(error))
        return f"worker {died[0]}" if died else "time limit"
    except ResourceError as error:
        report.errors[type(error).__name__] += 1
        return "memory limit"
    except MerseyError as error:
        report.errors[type(error).__name__] += 1
        # An exception that no codec mapped crosses the border as the base of ours.
        return f"FAILED: unmapped {error}" if type(error) is MerseyError else "error"
    dtype = trial.seed.samples.dtype
    if not isinstance(found, np.ndarray):
        return f"FAILED: {type(found).__name__}, expected an array"
    if found.shape != trial.shape or found.dtype != dtype:
        return f"FAILED: {found.shape} {found.dtype}, expected {trial.shape} {dtype}"
    is_right = trial.reduce == 0 and np.array_equal(
        found.view(np.uint8), trial.seed.samples.view(np.uint8)
    )
    return "right" if is_right else "another image"


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptor_count() -> int:
    return len(os.listdir("/proc/self/fd"))


def decodable() -> list[str]:
    """The transfer syntaxes that the registry decodes."""
    return [row.uid for row in Registry.default().rows() if row.decode]


def main(arguments: list[str] | None = None) -> int:
    """Run the harness; 0 where nothing happened that may not."""
    parser = argparse.ArgumentParser(description="Damaged frames through worker processes.")
    parser.add_argument("--codec", action="append", help="name or UID; by default all")
    parser.add_argument("--count", type=int, default=1000, help="damaged frames for each")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args(arguments)
    uids = [TARGETS.get(name, name) for name in options.codec or decodable()]
    reports = []
    with WorkerPool(
        jobs=options.jobs, memory_limit_bytes=_MEMORY_LIMIT_BYTES, time_limit_s=_TIME_LIMIT_S
    ) as pool:
        for uid in uids:
            report = fuzz(uid, pool, count=options.count, seed=options.seed)
            reports.append(report)
            if not options.as_json:
                _print(report)
    if options.as_json:
        print(json.dumps([report.as_dict() for report in reports], indent=2))
    return 1 if any(report.failures for report in reports) else 0


def _print(report: Report) -> None:
    outcomes = ", ".join(f"{name} {count}" for name, count in report.outcomes.most_common())
    words = outcomes or "no frame to start from"
    print(f"{report.uid:24} {report.name[:40]:40} {report.count:5} of {report.seeds:2}: {words}")
    for failure in report.failures:
        print(f"    {failure}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
