"""The SHA-256 of Bodies, for those who ask (RFC 9530): of the whole once for each entity tag.

Nobody who does not ask pays. The whole is read once, before the answer begins, and its digest
kept. What is sent is hashed in memory where it is short; of more than that the digest is the
whole's, or read for first: a field in front of the bytes has to know them, and trailers are what
few clients look at.
"""

from __future__ import annotations

import asyncio
import hashlib

from ..archive.blobs import BlobStore
from ..archive.bounded_cache import BoundedCache
from ..transfer.body import Body
from .file_reading import pieces

__all__ = ["MAX_SENT_BYTES", "MAX_WHOLE_BYTES", "BodyDigests", "sha256_of_bytes"]

MAX_SENT_BYTES = 16 << 20
"""That much is read once, hashed and sent; engines ask for 8 MiB at a time. More is read twice."""

MAX_WHOLE_BYTES = 16 << 30
"""Nobody waits for the digest of more than that: it is left out."""

_KEPT = 10_000
_AT_ONCE_BYTES = 4 << 20


async def sha256_of_bytes(data: bytes) -> bytes:
    """The SHA-256 of `data`, made in a thread."""
    return await asyncio.to_thread(lambda: hashlib.sha256(data).digest())


class BodyDigests:
    """The digests of whole Bodies, by entity tag. For one event loop."""

    def __init__(self) -> None:
        self._kept: BoundedCache[str, bytes] = BoundedCache(limit_bytes=_KEPT, weigh=lambda _: 1)
        self._making: dict[str, asyncio.Task[bytes]] = {}

    async def of(self, body: Body, *, blobs: BlobStore | None) -> bytes | None:
        """The SHA-256 of the whole `body`; None where that is too long.

        Raises
        ------
        MerseyError
            It cannot be read.
        """
        if body.length_bytes > MAX_WHOLE_BYTES:
            return None
        kept = self._kept.get(body.etag)
        if kept is not None:
            return kept
        making = self._making.get(body.etag)
        if making is None:
            making = asyncio.create_task(_read_and_hash(body, blobs))
            self._making[body.etag] = making
            making.add_done_callback(lambda done: self._made(body.etag, done))
        # One client that goes away takes nothing from others that ask for the same.
        return await asyncio.shield(making)

    def _made(self, etag: str, making: asyncio.Task[bytes]) -> None:
        del self._making[etag]
        if not making.cancelled() and making.exception() is None:
            self._kept.put(etag, making.result())


async def _read_and_hash(body: Body, blobs: BlobStore | None) -> bytes:
    digest = hashlib.sha256()
    held: list[bytes] = []
    count = 0
    async for piece in pieces(body, blobs=blobs):
        held.append(bytes(piece))
        count += len(held[-1])
        if count >= _AT_ONCE_BYTES:
            await asyncio.to_thread(digest.update, b"".join(held))
            held, count = [], 0
    await asyncio.to_thread(digest.update, b"".join(held))
    return digest.digest()
