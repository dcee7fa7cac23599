"""Instances to any DICOMweb archive by STOW-RS: groups of small ones, large ones alone.

What the archive has by its UID is not sent, if so wanted: a push that was broken off goes on by
instance. What it says it could not take is sent again only where that may help (PS3.18 §10.5). A
group whose answer never came is sent again whole: whether it arrived, nobody knows, and storing
twice does no harm.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from ...codecs.errors import FormatError, IntegrityError, TransferError
from ..archive.entry import Entry, stamp_of
from .connections import Connections
from .push_report import PushReport
from .push_sources import with_files
from .rates import RateLimit
from .remote import RefusedByPeerError, Remote, read_bounded
from .store_answer import StoreAnswer
from .store_held import instances_held

__all__ = ["StoreSender"]

_GROUP_BYTES = 16 << 20
_GROUP_COUNT = 64
_PIECE_BYTES = 256 << 10
_ANSWER_BYTES = 64 << 20
_ROUNDS = 3


class StoreSender:
    """Sends instances to `remote`; tells `on_moved` of bytes that leave, `on_done` of originals."""

    def __init__(
        self,
        remote: Remote,
        connections: Connections,
        rate: RateLimit,
        report: PushReport,
        on_moved: Callable[[int], None],
        on_done: Callable[[int], None],
        *,
        locate: Callable[[Entry], Entry] = lambda entry: entry,
    ) -> None:
        """`locate` gives an entry its local file; it blocks."""
        self._remote = remote
        self._connections = connections
        self._rate = rate
        self._report = report
        self._on_moved = on_moved
        self._on_done = on_done
        self._locate = locate
        self._again: list[Entry] = []

    async def send_missing(self, entries: Sequence[Entry]) -> None:
        """Send those of which the archive does not say that it has them; as `send`."""
        held = await instances_held(self._remote, self._connections, entries)
        there = [entry for entry in entries if entry.uids[2] in held]
        self._report.settle_same(there)
        self._on_done(sum(entry.stamp.size_bytes for entry in there))
        await self.send([entry for entry in entries if entry.uids[2] not in held])

    async def send(self, entries: Sequence[Entry]) -> None:
        """Send all of them; what became of each is in the report.

        Raises
        ------
        TransferError
            The archive cannot be reached, or failed for too long.
        """
        left = list(entries)
        for number in range(_ROUNDS):
            self._again = []
            await self._connections.carry(_each(_groups(left)), self._send_group)
            left = self._again
            if not left:
                return
            if number + 1 < _ROUNDS:
                await asyncio.sleep(2.0**number)
        self._on_done(sum(entry.stamp.size_bytes for entry in left))

    async def _send_group(self, wanted: Sequence[Entry]) -> None:
        group = await with_files(
            wanted, locate=self._locate, report=self._report, on_done=self._on_done
        )
        if not group:
            return
        boundary = f"mersey-{secrets.token_hex(16)}"
        head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"--{boundary}--\r\n".encode()
        length = sum(len(head) + entry.stamp.size_bytes + 2 for entry in group) + len(tail)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        fields = {
            "Accept": "application/dicom+json",
            "Content-Type": kind,
            "Content-Length": str(length),
        }
        url = f"{self._remote.address.base}/studies"
        try:
            async with self._remote.request(
                "POST",
                url,
                headers=fields,
                data=self._body(group, head, tail),
                may_answer=frozenset({200, 202, 409}),
            ) as response:
                data = await read_bounded(response, _ANSWER_BYTES)
                status = response.status
        except RefusedByPeerError as error:
            if error.is_passing or error.status in (401, 403, 404, 405, 407):
                raise
            await self._refused(group, error)
            return
        try:
            answer = StoreAnswer.parse(data)
        except FormatError:
            if status != 200:
                raise TransferError(f"the archive answered {status}, and nothing more") from None
            answer = StoreAnswer(stored={entry.uids[2]: "" for entry in group})
        self._count(group, answer, all_stored=status == 200)

    async def _refused(self, group: Sequence[Entry], error: RefusedByPeerError) -> None:
        """A request that the archive does not want: one bad instance may be why."""
        if len(group) > 1:
            for entry in group:
                await self._send_group([entry])
            return
        self._report.failed[group[0].uids[2]] = error.message
        self._on_done(group[0].stamp.size_bytes)

    def _count(self, group: Sequence[Entry], answer: StoreAnswer, *, all_stored: bool) -> None:
        report = self._report
        for entry in group:
            uid = entry.uids[2]
            if uid in answer.failed:
                report.failed[uid] = answer.why(uid)
                if answer.may_pass(uid):
                    self._again.append(entry)
                    continue
            elif uid in answer.stored or all_stored:
                report.failed.pop(uid, None)
                report.arrived.add(uid)
                report.new += 1
                report.carried_bytes += entry.stamp.size_bytes
                report.travelled_bytes += entry.stamp.size_bytes
            else:
                report.failed[uid] = "the archive cannot read it"
            self._on_done(entry.stamp.size_bytes)

    async def _body(self, group: Sequence[Entry], head: bytes, tail: bytes) -> AsyncIterator[bytes]:
        for entry in group:
            yield head
            sent = 0
            descriptor = await asyncio.to_thread(_open, entry)
            try:
                while sent < entry.stamp.size_bytes:
                    wanted = min(_PIECE_BYTES, entry.stamp.size_bytes - sent)
                    piece = await asyncio.to_thread(os.pread, descriptor, wanted, sent)
                    if not piece:
                        raise IntegrityError("a file that is pushed became shorter")
                    await self._rate.take(len(piece))
                    yield piece
                    sent += len(piece)
                    self._connections.moved(len(piece))
                    self._on_moved(len(piece))
            finally:
                os.close(descriptor)
            yield b"\r\n"
        yield tail


def _open(entry: Entry) -> int:
    try:
        descriptor = os.open(entry.path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise IntegrityError(f"a file that is pushed cannot be read: {error.strerror}") from error
    if stamp_of(os.fstat(descriptor)) != entry.stamp:
        os.close(descriptor)
        raise IntegrityError("a file has changed since the push began")
    return descriptor


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Instances of one study, bounded in bytes and number; a large one alone."""
    group: list[Entry] = []
    held = 0
    for entry in entries:
        size = entry.stamp.size_bytes
        full = held + size > _GROUP_BYTES or len(group) >= _GROUP_COUNT
        if group and (full or entry.uids[0] != group[0].uids[0]):
            yield group
            group, held = [], 0
        group.append(entry)
        held += size
    if group:
        yield group


async def _each[T](pieces: Iterator[T]) -> AsyncIterator[T]:
    for piece in pieces:
        yield piece
