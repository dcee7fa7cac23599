"""Decoding a multi-frame file frame by frame, against pydicom's `iter_pixels`, in one process.

Both start from the path, read the headers and give every frame's stored values as an array.
They take turns, so that what else the machine does meets both. Mersey's limit memory and time
in worker processes, which neither side does here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from long_files import LongFiles
from mersey.codecs.registry import TARGETS, Registry
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.runtime.file_writing import FileWriting
from mersey.engine.runtime.frame_run import execute_run, plan_runs
from mersey.engine.runtime.plan import Job, plan_transcode
from mersey.engine.runtime.source_file import SourceFile
from mersey.engine.runtime.source_read import read_frames
from pydicom.pixels import iter_pixels

FRAMES = 40
ROUNDS = 9

# At least so many times as fast as pydicom; measured against the plugins of the test extra.
FLOORS = {"htj2k": 2.0, "htj2k-rpcl": 2.0, "htj2k-lossy": 2.0}
COLOUR = {"jpeg-baseline"}
"""Targets that hold 8 bits only: those get the ultrasound cine."""


def by_mersey(path: Path) -> Iterator[Any]:
    with SourceFile(path) as file:
        instance = index_instance(file.read_at, size_bytes=file.size_bytes, source=path.name)
    assert instance.frames is not None
    assert instance.pixels is not None
    decoder = Registry.default().decoder(instance.transfer_syntax_uid)
    frames = [instance.frames[index] for index in range(instance.frames.count)]
    for _, data in read_frames(str(path), frames):
        yield decoder.decode(data, pixels=instance.pixels)


def by_pydicom(path: Path) -> Iterator[Any]:
    return iter_pixels(path, raw=True)


def seconds_of(decode: Callable[[Path], Iterator[Any]], path: Path) -> float:
    started = time.perf_counter()
    for _ in decode(path):
        pass
    return time.perf_counter() - started


def transcode(source: Path, target: Path, uid: str) -> int:
    """Write `source` in that syntax; the bytes of its decoded frames."""
    plan = plan_transcode(Job(str(source), str(target), uid, "off"))
    if plan.action != "transcode":
        target.write_bytes(source.read_bytes())
        return plan.pixel_bytes
    assert plan.instance.frames is not None
    assert plan.instance.pixels is not None
    with FileWriting(plan) as writing:
        for indices in plan_runs(plan.instance.frames, pixels=plan.instance.pixels, jobs=1):
            writing.add(execute_run(plan.run(indices)))
        writing.finish()
    return plan.pixel_bytes


@pytest.mark.parametrize("name", TARGETS)
def bench_decode_frames_against_pydicom(
    benchmark: Any, files: LongFiles, tmp_path: Path, name: str
) -> None:
    source = files.study.us_cine if name in COLOUR else files.enhanced_ct(FRAMES)
    path = tmp_path / "file.dcm"
    pixel_bytes = transcode(source, path, TARGETS[name])
    try:
        expected = list(by_pydicom(path))
    except (NotImplementedError, RuntimeError, ValueError) as error:
        pytest.skip(f"pydicom has no decoder here: {str(error).splitlines()[0]}")
    for ours, theirs in zip(by_mersey(path), expected, strict=True):
        # The 9-7 wavelet and the DCT are computed in floating point: one step may differ.
        difference = abs(ours.astype(np.int64) - theirs)
        assert difference.max() <= (2 if "lossy" in name or "baseline" in name else 0)
    pydicom_s: list[float] = []
    benchmark.pedantic(
        seconds_of,
        args=(by_mersey, path),
        setup=lambda: pydicom_s.append(seconds_of(by_pydicom, path)),
        rounds=ROUNDS,
    )
    ours_s = benchmark.stats.stats.data
    ratios = [theirs / ours for theirs, ours in zip(pydicom_s, ours_s, strict=True)]
    benchmark.extra_info.update(
        {
            "MB/s": round(pixel_bytes / 1e6 / statistics.median(ours_s)),
            "pydicom MB/s": round(pixel_bytes / 1e6 / statistics.median(pydicom_s)),
            "times as fast": round(statistics.median(ratios), 2),
            "best against best": round(min(pydicom_s) / min(ours_s), 2),
            "spread": f"{min(ratios):.2f}-{max(ratios):.2f}",
            "aim": FLOORS.get(name, 1.0),
        }
    )
