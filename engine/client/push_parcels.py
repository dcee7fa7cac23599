"""Parcels to push: instances packed in a form to travel, and their bytes in any range."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from ...codecs.errors import IntegrityError, MerseyError
from ..archive.entry import Entry
from ..runtime.byte_budget import ByteBudget
from ..runtime.submission import submit
from ..runtime.wire_packing import Packed, file_digest, pack
from ..transfer.body import Body, FileSlice
from ..transfer.manifest import Item, Manifest, WireForm

__all__ = ["OutgoingParcel", "pack_parcel", "with_digests"]

_SLOWEST = 20e6


@dataclass(frozen=True, slots=True)
class OutgoingParcel:
    """A parcel: its instances, what it holds, its bytes; `scratch` is its own folder."""

    entries: tuple[Entry, ...]
    manifest: Manifest
    body: Body
    scratch: Path

    def read(self, start: int, stop: int) -> bytearray:
        """Bytes of the parcel. Blocks.

        Raises
        ------
        IntegrityError
            A file has changed, or is gone.
        """
        data = bytearray()
        for segment in self.body.slice(start, stop).segments():
            if isinstance(segment, bytes):
                data += segment
            else:
                assert isinstance(segment, FileSlice)
                data += _read(segment)
        return data

    def discard(self) -> None:
        """Remove what was made for it."""
        shutil.rmtree(self.scratch, ignore_errors=True)


async def with_digests(entries: Sequence[Entry], *, executor: Executor) -> list[Entry]:
    """The entries, each with its SHA-256. What cannot be read has "" still."""

    async def one(entry: Entry) -> Entry:
        if entry.sha256:
            return entry
        limit_s = 30 + entry.stamp.size_bytes / _SLOWEST
        call = asyncio.wrap_future(submit(executor, limit_s, file_digest, entry.path))
        try:
            return replace(entry, sha256=await call)
        except (MerseyError, OSError):
            return entry

    return list(await asyncio.gather(*map(one, entries)))


async def pack_parcel(
    entries: Sequence[Entry],
    form: WireForm,
    *,
    scratch: Path,
    executor: Executor,
    budget: ByteBudget,
    jobs: int,
) -> OutgoingParcel:
    """Pack instances, several at once, into the new folder `scratch`.

    Raises
    ------
    MerseyError
        A file cannot be read.
    """
    await asyncio.to_thread(scratch.mkdir, parents=True)
    room = asyncio.Semaphore(2 * jobs)

    async def one(entry: Entry) -> Packed:
        async with room:
            return await pack(
                entry, form, scratch=scratch, executor=executor, budget=budget, jobs=jobs
            )

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(entry)) for entry in entries]
    except BaseExceptionGroup as errors:
        found: BaseException = errors
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if isinstance(found, OSError):
            found = MerseyError(f"an instance cannot be read: {found.strerror}")
        raise found from None
    packed = [task.result() for task in tasks]
    items: list[Item] = []
    offset = 0
    for entry, one_packed in zip(entries, packed, strict=True):
        length = one_packed.length_bytes
        items.append(
            Item(
                *entry.uids,
                one_packed.size_bytes,
                one_packed.sha256,
                one_packed.form,
                offset,
                length,
            )
        )
        offset += length
    rows = json.dumps([(item.sha256, item.form, item.length_bytes) for item in items])
    etag = f'"{hashlib.sha256(rows.encode()).hexdigest()[:32]}"'
    segments = tuple(segment for one_packed in packed for segment in one_packed.segments)
    return OutgoingParcel(
        tuple(entries), Manifest(etag, tuple(items)), Body.of(segments, etag=etag), scratch
    )


def _read(piece: FileSlice) -> bytes:
    try:
        descriptor = os.open(piece.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, piece.length_bytes, piece.offset_bytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise IntegrityError(f"a file that is pushed cannot be read: {error.strerror}") from error
    if len(data) != piece.length_bytes:
        raise IntegrityError("a file that is pushed is shorter than it was")
    return data
