"""Transcoding, file to file, as a user runs it: whole commands, start-up told apart.

The figure that counts is a share of the codec's own limit, measured in turn with it.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from codec_limit import limit_mb_per_s
from footprint import Footprint
from long_files import LongFiles
from pydicom.encaps import generate_frames

FRAMES = 2400
ROUNDS = 5
MERSEY = (str(Path(sys.executable).with_name("mersey")),)


def transcode(source: Path, target: Path, *options: str) -> float:
    """Run `mersey transcode`; the seconds it took."""
    started = time.perf_counter()
    subprocess.run([*MERSEY, "transcode", str(source), str(target), *options], check=True)
    return time.perf_counter() - started


def assert_equal_frames(source: Path, target: Path, *, every: int) -> None:
    """Frames of `target` decode by OpenJPEG to those of `source`."""
    import openjpeg

    expected = pydicom.dcmread(source).pixel_array
    ds = pydicom.dcmread(target)
    count = int(ds.NumberOfFrames)
    encoded = generate_frames(ds.PixelData, number_of_frames=count)
    for index, frame in enumerate(encoded):
        if index % every == 0:
            assert np.array_equal(openjpeg.decode(frame), expected[index])


def bench_transcode_ct_2400_frames_raw_to_htj2k_rpcl(
    benchmark: Any, files: LongFiles, tmp_path: Path
) -> None:
    cores = len(os.sched_getaffinity(0))
    source, single = files.enhanced_ct(FRAMES), files.enhanced_ct(1)
    target, small = tmp_path / "long.dcm", tmp_path / "single.dcm"
    transcode(source, target, "--verify", "off")
    assert_equal_frames(source, target, every=97)
    limits: list[float] = []
    starts: list[float] = []

    def measure_limit() -> None:
        target.unlink(missing_ok=True)
        small.unlink(missing_ok=True)
        limits.append(
            limit_mb_per_s(
                files.frames, bits=12, repeats=FRAMES // len(files.frames), processes=cores
            )
        )
        starts.append(transcode(single, small, "--verify", "off"))

    benchmark.pedantic(
        transcode,
        args=(source, target, "--verify", "off"),
        setup=measure_limit,
        rounds=ROUNDS,
    )
    times = benchmark.stats.stats.data
    pixels_mb = (FRAMES - 1) * files.frames[0].nbytes / 1e6
    speeds = [pixels_mb / (total - start) for total, start in zip(times, starts, strict=True)]
    shares = [speed / limit for speed, limit in zip(speeds, limits, strict=True)]
    benchmark.extra_info.update(
        {
            "MB/s": round(statistics.median(speeds)),
            "limit MB/s": round(statistics.median(limits)),
            "share of the limit": round(statistics.median(shares), 3),
            "spread": f"{min(shares):.3f}-{max(shares):.3f}",
        }
    )


def bench_transcode_one_small_file_start_to_end(
    benchmark: Any, files: LongFiles, tmp_path: Path
) -> None:
    source, target = files.study.ct_series[0], tmp_path / "slice.dcm"
    benchmark.pedantic(
        transcode,
        args=(source, target),
        setup=lambda: target.unlink(missing_ok=True),
        rounds=ROUNDS,
    )
    assert target.exists()


def bench_help_start_up(benchmark: Any) -> None:
    command = [*MERSEY, "--help"]
    benchmark.pedantic(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds=ROUNDS
    )


def bench_transcode_memory_4_gib_against_512_mib(
    benchmark: Any, files: LongFiles, tmp_path: Path
) -> None:
    peaks = {}

    def measure(frames: int) -> None:
        source, target = files.enhanced_ct(frames), tmp_path / "out.dcm"
        process = subprocess.Popen(
            [*MERSEY, "transcode", str(source), str(target), "--verify", "off"]
        )
        with Footprint(process.pid) as footprint:
            assert process.wait() == 0
        peaks[frames] = footprint.peak_bytes
        assert int(pydicom.dcmread(target, stop_before_pixels=True).NumberOfFrames) == frames
        target.unlink()
        source.unlink()

    measure(1024)
    benchmark.pedantic(measure, args=(8191,), rounds=1)
    benchmark.extra_info.update(
        {
            "peak PSS MiB at 512 MiB": round(peaks[1024] / 2**20),
            "peak PSS MiB at 4 GiB": round(peaks[8191] / 2**20),
            "growth": round(peaks[8191] / peaks[1024] - 1, 3),
        }
    )
