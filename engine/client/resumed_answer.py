"""A progressive answer, received over as many connections as it takes.

A connection that breaks is made again, and the answer goes on where it stopped (Range, If-Range;
RFC 8673 where the server still makes it), so that no byte is sent twice that was read. What was
damaged on the way is noticed by its digest, and read again from the last part that was right.
Where the series is another by now, nothing of it is mixed with what it was.

A server that sends no entity tag, or no part, sends the answer from its beginning: what was read
of it is passed over. Its boundary tells whether it is the same one. Decodes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp

from ...codecs.errors import FormatError, IntegrityError, MerseyError, TransferError
from ..transfer.live_range import live_range
from ..transfer.progressive_body import progressive_boundary
from ..transfer.progressive_reader import FrameArrived, ProgressiveReader, boundary_told
from .connections import Backoff, tried_again
from .remote import RefusedByPeerError, Remote

__all__ = ["ResumedAnswer"]

_MOST_DAMAGED = 5
"""What is wrong so often in one place was not damaged on the way."""


class ResumedAnswer:
    """The answer at `url`. `received_bytes` and `total_bytes`, where it is known, tell how far.

    `on_arrived` is called with every frame that became sharper.
    """

    def __init__(self, url: str, *, on_arrived: Callable[[FrameArrived], None]) -> None:
        self._url = url
        self._on_arrived = on_arrived
        self._reader: ProgressiveReader | None = None
        self._etag = ""
        self._damaged = (0, 0)
        self.received_bytes = 0
        self.total_bytes: int | None = None

    @property
    def reader(self) -> ProgressiveReader:
        """What was read, once anything has arrived."""
        assert self._reader is not None
        return self._reader

    async def receive(self, remote: Remote, *, backoff: Backoff, until: int) -> None:
        """Receive all of it, up to the reduction `until`.

        Raises
        ------
        TransferError
            The server refuses, is away for too long, or the series changed meanwhile.
        FormatError
            What it sends is not what it says.
        IntegrityError
            It was damaged on the way, over and over.
        """
        await tried_again(lambda: self._receive_once(remote), backoff=backoff)
        missing = self.reader.missing(until=until)
        if missing:
            raise FormatError(f"the answer ended, {len(missing)} frames are not all there")

    async def _receive_once(self, remote: Remote) -> None:
        """Read on from where the last connection broke, or what was read stopped being right."""
        if self._reader is None or not self._reader.verified_bytes:
            self._reader, self.received_bytes = None, 0
        fields = {}
        if self.received_bytes:
            fields["Range"] = live_range(self.received_bytes)
            if self._etag:
                fields["If-Range"] = self._etag
        try:
            async with remote.request(
                "GET", self._url, headers=fields, may_answer=frozenset({200, 206})
            ) as response:
                skipped = self._begin(response)
                async for piece in response.content.iter_any():
                    fresh = piece[skipped:]
                    skipped -= len(piece) - len(fresh)
                    if fresh:
                        self._take(fresh)
            if not self.reader.is_finished:
                raise IntegrityError("the answer ended before its end")
        except IntegrityError as error:
            again = self._again(error)
            if again is error:
                raise
            raise again from error
        except TransferError as error:
            if error.resume_from is None:
                error.resume_from = self.received_bytes
            raise

    def _begin(self, response: aiohttp.ClientResponse) -> int:
        """Take up the answer; how many bytes of it are known already."""
        content_type = response.headers.get("Content-Type", "")
        etag, boundary = response.headers.get("ETag", ""), boundary_told(content_type)
        if etag.startswith('"') and boundary != progressive_boundary(etag):
            raise IntegrityError("the head of the answer is not what was sent")
        length_bytes = response.content_length
        if self._reader is None:
            self._reader, self._etag = ProgressiveReader(content_type), etag
            self.received_bytes, self.total_bytes = 0, length_bytes
            return 0
        if boundary != self._reader.boundary or (self._etag and etag != self._etag):
            # Trying again is of no use: what is there would be mixed with something else.
            raise RefusedByPeerError("the series changed while it was streamed", status=412)
        self._etag = etag
        if length_bytes is not None:
            # It is all made by now.
            known = self.received_bytes if response.status == 206 else 0
            self.total_bytes = known + length_bytes
        if response.status == 200:
            return self.received_bytes
        begin = f"bytes {self.received_bytes}-"
        if not response.headers.get("Content-Range", "").startswith(begin):
            raise IntegrityError("the server sends another range than was asked for")
        return 0

    def _again(self, error: IntegrityError) -> MerseyError:
        """What to raise for `error`: something to be tried again, unless that was of no use."""
        if self._reader is None:
            return TransferError(error.message, resume_from=0)
        self._reader.rewind()
        self.received_bytes = place = self._reader.verified_bytes
        self._damaged = (place, self._damaged[1] + 1 if place == self._damaged[0] else 1)
        if self._damaged[1] >= _MOST_DAMAGED:
            return error
        return TransferError(error.message, resume_from=place)

    def _take(self, data: bytes) -> None:
        self.received_bytes += len(data)
        for arrived in self.reader.feed(data):
            self._on_arrived(arrived)
        if self.reader.is_finished:
            self.total_bytes = self.received_bytes
