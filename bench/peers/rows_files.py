"""Rows about files: transcoding the long image, and J2K made progressive.

The tools that know no DICOM get the frames as 16-bit PGM files, a process a frame, and their
time holds no DICOM at all. Every result is decoded by another implementation and compared.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from codec_limit import encode, limit_mb_per_s
from data import Data
from disk import disk_limit
from measure import Contender, Row, compare
from pydicom.encaps import encapsulate, generate_frames

__all__ = ["file_rows"]

_MERSEY = str(Path(sys.executable).with_name("mersey"))
_J2K_FRAMES = 100


def file_rows(data: Data, work: Path) -> Iterator[Row]:
    """Whole commands over whole files, start-up included."""
    for jobs in _jobs():
        yield _transcode(data, work, jobs)
    yield _verified(data, work)
    yield _progressive(data, work)


def _jobs() -> list[int]:
    """How many at a time: one, twice as many, and so on while there are cores."""
    cores = len(os.sched_getaffinity(0))
    return [1 << power for power in range(cores.bit_length())]


def _transcode(data: Data, work: Path, jobs: int) -> Row:
    pgms = _pgms(data, work / "pgm")
    contenders = [
        Contender(
            "mersey",
            _mersey(data, work, "--to", "htj2k-rpcl", "--verify", "off", "--jobs", str(jobs)),
            os.getpid(),
        ),
        Contender("gdcmconv (J2K)", _gdcmconv(data, work), os.getpid()),
        Contender(
            f"ojph_compress x{jobs}",
            _tool(
                data,
                pgms,
                [
                    "ojph_compress",
                    "-i",
                    "{}",
                    "-o",
                    "{}.j2c",
                    "-reversible",
                    "true",
                    "-prog_order",
                    "RPCL",
                ],
                jobs,
            ),
            os.getpid(),
        ),
        Contender(
            f"opj_compress x{jobs}",
            _tool(data, pgms, ["opj_compress", "-i", "{}", "-o", "{}.j2k"], jobs),
            os.getpid(),
        ),
        Contender(
            f"grk_compress x{jobs} (J2K)",
            _tool(data, pgms, ["grk_compress", "-i", "{}", "-o", "{}.j2k", "-H", "1"], jobs),
            os.getpid(),
        ),
        Contender("codec in memory", lambda: _in_memory(data, jobs)),
    ]
    return compare(
        f"transcode 157 MB to HTJ2K, file to file, not verified, {_told(jobs)}",
        contenders,
        unit="MB/s",
        work=data.pixel_bytes / 1e6,
        rounds=3,
        limit_s=20,
    )


def _verified(data: Data, work: Path) -> Row:
    contenders = [
        Contender("mersey", _mersey(data, work, "--to", "htj2k-rpcl"), os.getpid()),
        Contender("codec in memory", lambda: _in_memory(data, len(os.sched_getaffinity(0)))),
    ]
    return compare(
        "the same on all cores, every frame decoded by another decoder and compared",
        contenders,
        unit="MB/s",
        work=data.pixel_bytes / 1e6,
        rounds=3,
    )


def _progressive(data: Data, work: Path) -> Row:
    source = _j2k_file(data, work / "j2k.dcm")
    frames = data.frames[:_J2K_FRAMES]

    def ours() -> float:
        target = work / "progressive.dcm"
        target.unlink(missing_ok=True)
        options = ["--to", "progressive", "--verify", "off"]
        seconds = _run([_MERSEY, "transcode", str(source), str(target), *options])
        found = next(iter(_frames_of(target)))
        assert np.array_equal(imagecodecs.jpeg2k_decode(found), frames[0]), "other samples"
        return seconds

    stored = _frames_of(source)

    def decode_and_encode() -> float:
        with ProcessPoolExecutor(2) as pool:
            list(pool.map(_again, stored[:2]))
            started = time.perf_counter()
            made = list(pool.map(_again, stored, chunksize=10))
            seconds = time.perf_counter() - started
        assert np.array_equal(imagecodecs.htj2k_decode(made[0]), frames[0]), "other samples"
        return seconds

    return compare(
        "J2K made progressive, 100 frames, file to file (peer: OpenJPEG, then OpenJPH, in memory)",
        [
            Contender("mersey", ours, os.getpid()),
            Contender("decode and encode x2", decode_and_encode, os.getpid()),
            disk_limit([source], work, at_once=True),
        ],
        unit="MB/s",
        work=frames.nbytes / 1e6,
        rounds=3,
    )


def _mersey(data: Data, work: Path, *options: str) -> Callable[[], float]:
    def trial() -> float:
        target = work / "mersey.dcm"
        target.unlink(missing_ok=True)
        seconds = _run([_MERSEY, "transcode", str(data.enhanced), str(target), *options])
        frames = list(_frames_of(target))
        assert len(frames) == len(data.frames)
        found = imagecodecs.htj2k_decode(frames[150])
        assert np.array_equal(found, data.frames[150]), "other samples"
        return seconds

    return trial


def _gdcmconv(data: Data, work: Path) -> Callable[[], float]:
    def trial() -> float:
        target = work / "gdcm.dcm"
        seconds = _run(["gdcmconv", "--j2k", str(data.enhanced), str(target)])
        found = imagecodecs.jpeg2k_decode(list(_frames_of(target))[150])
        assert np.array_equal(found, data.frames[150]), "other samples"
        return seconds

    return trial


def _tool(data: Data, pgms: list[Path], command: list[str], jobs: int) -> Callable[[], float]:
    """The tool over all frames, `jobs` at a time by xargs."""

    def trial() -> float:
        if shutil.which(command[0]) is None:
            raise RuntimeError("not installed")
        names = "\n".join(str(path) for path in pgms)
        started = time.perf_counter()
        subprocess.run(
            ["xargs", "-P", str(jobs), "-I", "{}", *command],
            input=names.encode(),
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - started
        (made,) = (path for path in pgms[150].parent.glob(f"{pgms[150].name}.*"))
        decode = imagecodecs.htj2k_decode if made.suffix == ".j2c" else imagecodecs.jpeg2k_decode
        assert np.array_equal(decode(made.read_bytes()), data.frames[150]), "other samples"
        for path in pgms[0].parent.glob("*.pgm.*"):
            path.unlink()
        return seconds

    return trial


def _told(jobs: int) -> str:
    return "one worker" if jobs == 1 else f"{jobs} workers"


def _in_memory(data: Data, jobs: int) -> float:
    rate = limit_mb_per_s(data.frames, bits=12, repeats=2, processes=jobs)
    return data.pixel_bytes / 1e6 / rate


def _again(codestream: bytes) -> bytes:
    return encode(imagecodecs.jpeg2k_decode(codestream), 12)


def _pgms(data: Data, folder: Path) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for index, frame in enumerate(data.frames):
        path = folder / f"{index:03}.pgm"
        rows, columns = frame.shape
        path.write_bytes(f"P5\n{columns} {rows}\n4095\n".encode() + frame.astype(">u2").tobytes())
        paths.append(path)
    return paths


def _j2k_file(data: Data, path: Path) -> Path:
    ds = pydicom.dcmread(data.enhanced_of(_J2K_FRAMES))
    frames = [
        imagecodecs.jpeg2k_encode(frame, codecformat="j2k", reversible=True, bitspersample=12)
        for frame in data.frames[:_J2K_FRAMES]
    ]
    ds.PixelData = encapsulate(frames)
    ds["PixelData"].VR = "OB"
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.90"
    ds.save_as(path, enforce_file_format=True)
    return path


def _frames_of(path: Path) -> list[bytes]:
    ds = pydicom.dcmread(path)
    return list(generate_frames(ds.PixelData, number_of_frames=int(ds.NumberOfFrames)))


def _run(command: list[str]) -> float:
    """Run a command; the seconds it took."""
    if shutil.which(command[0]) is None:
        raise RuntimeError("not installed")
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started
