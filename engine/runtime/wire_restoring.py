"""The original of an instance from what travelled, byte for byte, proved by its SHA-256.

Memory is bounded by the budget. What does not come out as it should leaves no target.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Iterator
from concurrent.futures import Executor
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

import zstandard

from ...codecs.errors import FormatError, IntegrityError, MerseyError, ResourceError
from ...codecs.pixels import Buffer
from ...codecs.registry import Registry
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from ..dicom.frame_index import FrameIndex
from ..transfer.manifest import Item
from ..transfer.wire_form import MAX_OPENING_BYTES, Opening
from .byte_budget import ByteBudget
from .frame_run import FrameRun, plan_runs
from .run_pipeline import runs_in_order

__all__ = ["restore"]

_PIECE_BYTES = 1 << 20
_PREFIX_BYTES = 64 << 10
_SHORTER = 4
"""Runs are so much shorter than others: decoding them takes a few times their size of memory, at
every worker, and they wait for no encoder."""


async def restore(
    path: Path,
    *,
    item: Item,
    target: Path,
    executor: Executor,
    budget: ByteBudget,
    jobs: int = 2,
) -> None:
    """Put the original of `item` at `target`; it is not synced yet.

    Parameters
    ----------
    path
        The bytes of the item as they travelled. Where that is as they were, the file is moved.
    target
        On the same file system; replaced where it exists.

    Raises
    ------
    IntegrityError
        It does not have the SHA-256 that the manifest tells.
    FormatError
        What travelled is not of the form that the manifest tells.
    ResourceError
        The disk is full, or fails.
    """
    try:
        if item.form == "stored":
            await asyncio.to_thread(_compare_stored, path, item)
            await asyncio.to_thread(os.replace, path, target)
            return
        with target.open("wb") as file:
            if item.form == "zstd":
                await asyncio.to_thread(_write, _inflated(path, item), file, item)
            else:
                await _from_codestreams(path, item, file, executor, budget, jobs)
    except MerseyError:
        target.unlink(missing_ok=True)
        raise
    except OSError as error:
        target.unlink(missing_ok=True)
        raise ResourceError(f"an instance cannot be restored: {error.strerror}") from error


def _compare_stored(path: Path, item: Item) -> None:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != item.sha256:
        raise _other_bytes(item)


class _Checked:
    """Writes to a file what is counted and hashed on the way."""

    def __init__(self, file: BinaryIO, item: Item) -> None:
        self._file = file
        self._item = item
        self._digest = hashlib.sha256()
        self._length = 0

    def write(self, pieces: Iterable[Buffer]) -> None:
        for piece in pieces:
            view = memoryview(piece).cast("B")
            self._length += view.nbytes
            if self._length > self._item.size_bytes:
                raise _other_bytes(self._item)
            self._digest.update(view)
            self._file.write(view)

    def finish(self) -> None:
        self._file.flush()
        if self._length != self._item.size_bytes or self._digest.hexdigest() != self._item.sha256:
            raise _other_bytes(self._item)


def _write(pieces: Iterator[bytes], file: BinaryIO, item: Item) -> None:
    checked = _Checked(file, item)
    checked.write(pieces)
    checked.finish()


def _inflated(path: Path, item: Item) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(file)
            while piece := reader.read(_PIECE_BYTES):
                yield piece
    except zstandard.ZstdError as error:
        raise FormatError(f"instance {item.sop_instance_uid} does not inflate: {error}") from error


async def _from_codestreams(
    path: Path,
    item: Item,
    file: BinaryIO,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
) -> None:
    opening, at = await asyncio.to_thread(_read_opening, path, item)
    checked = _Checked(file, item)
    await asyncio.to_thread(checked.write, (opening.before,))
    decoded = _decoded(path, item, opening, at, executor, budget, jobs)
    async with aclosing(decoded):
        async for pieces in decoded:
            await asyncio.to_thread(checked.write, pieces)
    await asyncio.to_thread(checked.write, (opening.after,))
    await asyncio.to_thread(checked.finish)


def _read_opening(path: Path, item: Item) -> tuple[Opening, int]:
    """The opening and where the codestreams begin; what it promises fits the manifest."""
    with path.open("rb") as file:
        data = file.read(_PREFIX_BYTES)
        length = Opening.length_of(data)
        if length is None or length > min(item.length_bytes, MAX_OPENING_BYTES):
            raise FormatError(f"instance {item.sop_instance_uid} has no opening")
        data += file.read(max(length - len(data), 0))
    opening = Opening.from_bytes(data[:length])
    if opening.restored_bytes != item.size_bytes:
        raise FormatError(
            f"instance {item.sop_instance_uid} would have {opening.restored_bytes} bytes, "
            f"expected {item.size_bytes}"
        )
    if length + sum(opening.frame_lengths) != item.length_bytes:
        raise FormatError(f"the codestreams of instance {item.sop_instance_uid} have other lengths")
    return opening, length


async def _decoded(
    path: Path,
    item: Item,
    opening: Opening,
    start: int,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
) -> AsyncGenerator[tuple[Buffer, ...]]:
    """The samples of the frames as they lie in the original, run by run, in order."""
    offsets = [start]
    for length in opening.frame_lengths[:-1]:
        offsets.append(offsets[-1] + length)
    frames = FrameIndex.encapsulated(
        offsets=offsets, lengths=opening.frame_lengths, starts=range(len(offsets) + 1)
    )
    encoder = Registry.default().encoder(HTJ2K_LOSSLESS_RPCL)
    pixels = encoder.encoded_format(opening.pixels)
    runs = (
        FrameRun(
            path=str(path),
            instance_uid=item.sop_instance_uid,
            frames=tuple(frames[index] for index in indices),
            pixels=pixels,
            source_uid=HTJ2K_LOSSLESS_RPCL,
            target_uid=EXPLICIT_LE,
            verify="off",  # the SHA-256 of all is compared
        )
        for indices in plan_runs(
            frames, pixels=pixels, jobs=jobs, frame_bytes=_SHORTER * pixels.decoded_bytes
        )
    )
    results = runs_in_order(runs, executor=executor, budget=budget, jobs=jobs)
    async with aclosing(results):
        async for _, result in results:
            yield result.data


def _other_bytes(item: Item) -> IntegrityError:
    return IntegrityError(
        f"instance {item.sop_instance_uid} did not arrive with the SHA-256 that was told"
    )
