"""J2K files made progressive without decoding: against the disk, and against decode + encode.

MB/s of codestreams here, not of pixels: nothing is decoded. BENCH_MIB says how large the file
is that streams to the disk, 256 MiB where it says nothing; 2048 shows that memory stays flat.
"""

from __future__ import annotations

import os
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from footprint import Footprint
from long_files import LongFiles
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.surgery import to_progressive
from mersey.codecs.syntaxes import HTJ2K_LOSSLESS_RPCL, J2K_LOSSLESS
from pydicom.encaps import generate_frames

MIB = int(os.environ.get("BENCH_MIB", "256"))
ROUNDS = 3
DIFFERENT_FRAMES = 60
MERSEY = (str(Path(sys.executable).with_name("mersey")),)


@pytest.fixture(scope="module")
def codestreams(files: LongFiles) -> list[bytes]:
    """Frames of the enhanced CT as OpenJPEG writes them: LRCP, one layer, no TLM, no PLT."""
    return [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in files.frames[:: len(files.frames) // DIFFERENT_FRAMES]
    ]


def j2k_file(files: LongFiles, codestreams: list[bytes], *, mib: int) -> Path:
    """An enhanced CT of about so many MiB: these codestreams, over and over."""
    path = files.folder / f"j2k-{mib}.dcm"
    if path.exists():
        return path
    count = (mib << 20) * len(codestreams) // sum(map(len, codestreams))
    ds = pydicom.dcmread(files.study.enhanced_ct, stop_before_pixels=True)
    groups = list(ds.PerFrameFunctionalGroupsSequence)
    ds.PerFrameFunctionalGroupsSequence = [groups[index % len(groups)] for index in range(count)]
    ds.NumberOfFrames = count
    ds.file_meta.TransferSyntaxUID = J2K_LOSSLESS
    with path.open("wb") as file:
        ds.save_as(file, enforce_file_format=True)
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF))
        file.write(struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for index in range(count):
            data = codestreams[index % len(codestreams)]
            data += b"\0" * (len(data) % 2)
            file.write(struct.pack("<HHI", 0xFFFE, 0xE000, len(data)) + data)
        file.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
    return path


def transcode(source: Path, target: Path) -> float:
    """Run `mersey transcode --to progressive`; the seconds it took."""
    words = ("transcode", str(source), str(target), "--to", "progressive", "--verify", "off")
    started = time.perf_counter()
    subprocess.run([*MERSEY, *words], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def disk_write_s(path: Path, size_bytes: int) -> float:
    """Seconds to write so many bytes, one after the other, until they are durable."""
    piece = np.random.default_rng(0).bytes(8 << 20)
    started = time.perf_counter()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for start in range(0, size_bytes, len(piece)):
            os.write(descriptor, piece[: size_bytes - start])
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    seconds = time.perf_counter() - started
    path.unlink()
    return seconds


def frames_of(path: Path) -> Iterator[bytes]:
    ds = pydicom.dcmread(path)
    yield from generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames))


def assert_rearranged(target: Path, codestreams: list[bytes]) -> None:
    """Each frame is the rearranged one, and each of those decodes as before by OpenJPEG."""
    made = [to_progressive(data) for data in codestreams]
    for stored, rearranged in zip(codestreams, made, strict=True):
        expected = imagecodecs.jpeg2k_decode(stored)
        assert np.array_equal(imagecodecs.jpeg2k_decode(rearranged), expected)
    for index, frame in enumerate(frames_of(target)):
        expected_bytes = made[index % len(made)]
        assert frame[: len(expected_bytes)] == expected_bytes


def bench_transcode_progressive_j2k_against_the_disk(
    benchmark: Any, files: LongFiles, codestreams: list[bytes], tmp_path: Path
) -> None:
    source, target = j2k_file(files, codestreams, mib=MIB), tmp_path / "progressive.dcm"
    transcode(source, target)
    assert_rearranged(target, codestreams)
    one = j2k_file(files, codestreams, mib=1)
    size = source.stat().st_size
    disk: list[float] = []
    starts: list[float] = []

    def measure_disk() -> None:
        target.unlink(missing_ok=True)
        (tmp_path / "one.dcm").unlink(missing_ok=True)
        disk.append(disk_write_s(tmp_path / "raw.bin", size))
        starts.append(transcode(one, tmp_path / "one.dcm"))

    benchmark.pedantic(transcode, args=(source, target), setup=measure_disk, rounds=ROUNDS)
    times = benchmark.stats.stats.data
    speeds = [size / 1e6 / (total - start) for total, start in zip(times, starts, strict=True)]
    disk_speeds = [size / 1e6 / seconds for seconds in disk]
    shares = [speed / limit for speed, limit in zip(speeds, disk_speeds, strict=True)]
    benchmark.extra_info.update(
        {
            "MiB": MIB,
            "MB/s of codestreams": round(statistics.median(speeds)),
            "disk MB/s": round(statistics.median(disk_speeds)),
            "share of the disk": round(statistics.median(shares), 2),
            "spread": f"{min(shares):.2f}-{max(shares):.2f}",
            "seconds, start-up included": round(statistics.median(times), 2),
        }
    )


def bench_transcode_progressive_memory(
    benchmark: Any, files: LongFiles, codestreams: list[bytes], tmp_path: Path
) -> None:
    peaks = {}

    def measure(mib: int) -> None:
        source, target = j2k_file(files, codestreams, mib=mib), tmp_path / "out.dcm"
        words = ("transcode", str(source), str(target), "--to", "progressive", "--verify", "off")
        process = subprocess.Popen([*MERSEY, *words], stdout=subprocess.DEVNULL)
        with Footprint(process.pid) as footprint:
            assert process.wait() == 0
        peaks[mib] = footprint.peak_bytes
        target.unlink()

    measure(MIB // 4)
    benchmark.pedantic(measure, args=(MIB,), rounds=1)
    benchmark.extra_info.update(
        {
            f"peak PSS MiB at {MIB // 4} MiB": round(peaks[MIB // 4] / 2**20),
            f"peak PSS MiB at {MIB} MiB": round(peaks[MIB] / 2**20),
        }
    )


def bench_rearrange_a_ct_frame_against_decode_and_encode(
    benchmark: Any, codestreams: list[bytes]
) -> None:
    data = codestreams[len(codestreams) // 2]
    pixels = PixelFormat(512, 512, bits_stored=12, high_bit=11)
    registry = Registry.default()
    decoder, encoder = registry.decoder(J2K_LOSSLESS), registry.encoder(HTJ2K_LOSSLESS_RPCL)
    samples = decoder.decode(data, pixels=pixels)
    assert np.array_equal(decoder.decode(to_progressive(data), pixels=pixels), samples)

    def decode_and_encode() -> float:
        started = time.perf_counter()
        encoder.encode(decoder.decode(data, pixels=pixels), pixels=pixels)
        return time.perf_counter() - started

    benchmark(to_progressive, data)
    slow = statistics.median(decode_and_encode() for _ in range(9))
    fast = statistics.median(benchmark.stats.stats.data)
    benchmark.extra_info.update(
        {
            "MB/s of codestream": round(len(data) / 1e6 / fast),
            "times as fast as decode + encode": round(slow / fast),
        }
    )
