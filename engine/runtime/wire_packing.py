"""An instance made ready to travel: in the form asked for where that is exact, else in another.

`htj2k` carries uncompressed frames as codestreams. Only what comes back bit for bit goes that
way: the unused bits of every sample are looked at first, and layouts that no codestream knows
(colour by plane, big endian, frames of bits) go as zstd. What neither makes smaller goes as it
is. The original is only read; what has to be made lies in `scratch`, and may go at any time.
"""

from __future__ import annotations

import asyncio
import filecmp
import hashlib
import os
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import zstandard

from ...codecs.errors import FormatError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.samples import true_samples
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, IMPLICIT_LE
from ..archive.entry import Entry, stamp_of
from ..archive.renditions import Rendition
from ..dicom.frame_index import Frame, FrameIndex
from ..dicom.instance import Instance
from ..transfer.body import FileSlice, FileStamp, Segment, segment_bytes
from ..transfer.manifest import WireForm
from ..transfer.wire_form import Opening
from .byte_budget import ByteBudget
from .frame_run import FrameRun, plan_runs
from .run_pipeline import runs_in_order
from .source_read import read_frames
from .submission import submit

__all__ = ["Packed", "file_digest", "pack", "packs_as_codestreams"]

_WORTH = 0.97
"""A form that saves less than that is not worth the time it takes at both ends."""

_LEVEL = 3
_SLOWEST = 20e6
_MOST_BITS = 31


@dataclass(frozen=True, slots=True)
class Packed:
    """An instance in the form `form`; `size_bytes` and `sha256` are of the original."""

    form: WireForm
    segments: tuple[Segment, ...]
    size_bytes: int
    sha256: str

    @property
    def length_bytes(self) -> int:
        """How many bytes travel."""
        return sum(map(segment_bytes, self.segments))


def packs_as_codestreams(instance: Instance) -> bool:
    """Whether the layout of the pixels is one that comes back from codestreams bit for bit.

    The samples have to be looked at as well.
    """
    pixels, frames, layout = instance.pixels, instance.frames, instance.layout
    if pixels is None or frames is None or not frames.count or frames.is_encapsulated:
        return False
    return (
        instance.transfer_syntax_uid in (EXPLICIT_LE, IMPLICIT_LE)
        and not layout.deflated
        and not pixels.floating
        and pixels.bits_allocated in (8, 16, 32)
        and pixels.bits_stored <= _MOST_BITS
        and pixels.high_bit == pixels.bits_stored - 1
        and (pixels.samples == 1 or (pixels.samples == 3 and pixels.planar == 0))
        and not pixels.photometric.endswith("_422")
        and frames.frame_bits == pixels.decoded_bytes * 8
    )


async def pack(
    entry: Entry,
    form: WireForm,
    *,
    scratch: Path,
    executor: Executor,
    budget: ByteBudget,
    rendition: Rendition | None = None,
    jobs: int = 2,
) -> Packed:
    """Make an instance ready to travel as `form`, or as what comes nearest to it.

    Parameters
    ----------
    entry
        With a local `path`.
    scratch
        A folder, for what has to be made; files of it are used again.
    rendition
        The instance in .202, where there is one: its codestreams are taken as they are.

    Raises
    ------
    MerseyError
        The file cannot be read.
    """
    sha256 = entry.sha256 or await asyncio.wrap_future(
        submit(executor, 30 + entry.stamp.size_bytes / _SLOWEST, file_digest, entry.path)
    )
    size_bytes = entry.stamp.size_bytes
    stored = Packed("stored", (entry.slice(0, size_bytes),), size_bytes, sha256)
    found: Packed | None = None
    if form == "htj2k" and packs_as_codestreams(entry.instance):
        try:
            found = await _as_codestreams(entry, sha256, scratch, executor, budget, rendition, jobs)
        except UnsupportedError:
            found = None
    elif form != "stored":
        found = await _as_zstd(entry, sha256, scratch, executor)
    if found is None and form == "htj2k" and packs_as_codestreams(entry.instance):
        found = await _as_zstd(entry, sha256, scratch, executor)
    if found is None or found.length_bytes > _WORTH * size_bytes:
        return stored
    return found


def file_digest(path: str) -> str:
    """The SHA-256 of a file in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _as_codestreams(
    entry: Entry,
    sha256: str,
    scratch: Path,
    executor: Executor,
    budget: ByteBudget,
    rendition: Rendition | None,
    jobs: int,
) -> Packed | None:
    instance = entry.instance
    frames, pixels = instance.frames, instance.pixels
    assert frames is not None
    assert pixels is not None
    if rendition is not None and rendition.frames.count != frames.count:
        rendition = None
    exact = await _is_exact(entry.path, frames, pixels, executor, budget, jobs)
    if not exact:
        return None
    if rendition is not None:
        slices = [rendition.frame_slices(index) for index in range(frames.count)]
        lengths = [sum(piece.length_bytes for piece in pieces) for pieces in slices]
        codestreams: tuple[Segment, ...] = tuple(piece for pieces in slices for piece in pieces)
    else:
        path = scratch / f"{sha256}.htj2k"
        lengths = await _encode(entry, path, executor, budget, jobs)
        codestreams = (FileSlice(str(path), 0, sum(lengths), _stamp(path)),)
    end = frames.first_offset_bytes + frames.count * pixels.decoded_bytes
    around = await asyncio.to_thread(
        _read_around, entry.path, frames.first_offset_bytes, end, entry.stamp.size_bytes
    )
    opening = Opening(pixels, *around, tuple(lengths))
    data = await asyncio.to_thread(opening.to_bytes)
    return Packed("htj2k", (data, *codestreams), entry.stamp.size_bytes, sha256)


async def _is_exact(
    path: str,
    frames: FrameIndex,
    pixels: PixelFormat,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
) -> bool:
    if pixels.bits_stored == pixels.bits_allocated:
        return True
    runs = plan_runs(frames, pixels=pixels, jobs=jobs)
    for indices in runs:
        weight = len(indices) * pixels.decoded_bytes
        async with budget.hold(weight):
            part = tuple(frames[index] for index in indices)
            future = submit(executor, 10 + weight / _SLOWEST, _comes_back, path, part, pixels)
            if not await asyncio.wrap_future(future):
                return False
    return True


def _comes_back(path: str, frames: Sequence[Frame], pixels: PixelFormat) -> bool:
    """Whether unused bits hold what a decoder puts there: nothing, or the sign."""
    for _, data in read_frames(path, frames):
        samples = np.frombuffer(data, pixels.dtype.newbyteorder("<"))
        if not np.array_equal(true_samples(samples, pixels=pixels), samples):
            return False
    return True


async def _encode(
    entry: Entry, path: Path, executor: Executor, budget: ByteBudget, jobs: int
) -> list[int]:
    """Encode all frames into one file, end to end; their lengths."""
    instance = entry.instance
    assert instance.frames is not None
    assert instance.pixels is not None
    lengths: list[int] = []
    runs = (
        FrameRun(
            path=entry.path,
            instance_uid=instance.sop_instance_uid,
            frames=tuple(instance.frames[index] for index in indices),
            pixels=instance.pixels,
            source_uid=instance.transfer_syntax_uid,
            target_uid=HTJ2K_LOSSLESS_RPCL,
            verify="off",  # whoever restores it compares the SHA-256 of all
        )
        for indices in plan_runs(instance.frames, pixels=instance.pixels, jobs=jobs)
    )
    part = path.with_suffix(f".{uuid.uuid4().hex}.part")
    try:
        with part.open("wb") as file:
            results = runs_in_order(runs, executor=executor, budget=budget, jobs=jobs)
            async with aclosing(results):
                async for _, result in results:
                    await asyncio.to_thread(file.writelines, result.data)
                    lengths += result.lengths
        await asyncio.to_thread(_publish, part, path)
    finally:
        part.unlink(missing_ok=True)
    return lengths


async def _as_zstd(entry: Entry, sha256: str, scratch: Path, executor: Executor) -> Packed | None:
    path = scratch / f"{sha256}.zst"
    if not path.exists():
        limit_s = 30 + entry.stamp.size_bytes / _SLOWEST
        future = submit(executor, limit_s, _compress, entry.path, str(path))
        try:
            await asyncio.wrap_future(future)
        except OSError as error:
            raise FormatError(f"the file cannot be compressed: {error.strerror}") from error
    stamp = _stamp(path)
    segment = FileSlice(str(path), 0, stamp.size_bytes, stamp)
    return Packed("zstd", (segment,), entry.stamp.size_bytes, sha256)


def _compress(path: str, target: str) -> None:
    part = Path(f"{target}.{os.getpid()}.part")
    size_bytes = os.stat(path).st_size
    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    with open(path, "rb") as source, open(part, "wb") as file:
        compressor.copy_stream(source, file, size=size_bytes)
    _publish(part, Path(target))


def _publish(part: Path, path: Path) -> None:
    """Give `part` its name; a file of the same bytes stays: another server may be sending it."""
    with suppress(OSError):
        if filecmp.cmp(part, path, shallow=False):
            part.unlink()
            return
    os.replace(part, path)


def _read_around(path: str, start: int, stop: int, size_bytes: int) -> tuple[bytes, bytes]:
    with open(path, "rb") as file:
        before = file.read(start)
        file.seek(stop)
        after = file.read(size_bytes - stop)
    if len(before) != start or len(after) != size_bytes - stop:
        raise FormatError("the file is shorter than it was")
    return before, after


def _stamp(path: Path) -> FileStamp:
    try:
        return stamp_of(path.stat())
    except OSError as error:
        raise FormatError(f"what was made to travel is gone: {error.strerror}") from error
