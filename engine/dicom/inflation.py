"""Inflating a deflated data set piece by piece, with a bound on what a bomb can do.

Holds one piece at a time (PS3.5 §A.5: a raw deflate stream, RFC 1951).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from ...codecs.errors import DicomError, ResourceError

__all__ = ["FREE_BYTES", "MAX_RATIO", "PIECE_BYTES", "Inflater", "inflate"]

PIECE_BYTES = 1 << 18
FREE_BYTES = 1 << 28
"""Up to here any ratio is accepted: an empty segmentation really shrinks a thousandfold."""
MAX_RATIO = 200
"""Beyond `FREE_BYTES` the stream may not be longer than this many times what was fed."""


class Inflater:
    """Inflates a raw deflate stream fed in any split."""

    def __init__(self, *, source: str = "") -> None:
        self._engine = zlib.decompressobj(-zlib.MAX_WBITS)
        self._source = source
        self.fed_bytes = 0
        self.inflated_bytes = 0

    @property
    def done(self) -> bool:
        """Whether the end of the deflate stream was reached; what follows is padding."""
        return self._engine.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that `data` inflates to, each at most `PIECE_BYTES` long.

        Raises
        ------
        DicomError
            The bytes are not a deflate stream.
        ResourceError
            They inflate to more than is sane.
        """
        self.fed_bytes += len(data)
        while not self._engine.eof:
            try:
                piece = self._engine.decompress(data, PIECE_BYTES)
            except zlib.error as error:
                raise DicomError(
                    f"the deflated data set is damaged after {self.inflated_bytes} inflated"
                    f" bytes: {error}",
                    offset_bytes=self.inflated_bytes,
                    source=self._source,
                ) from error
            data = self._engine.unconsumed_tail
            self.inflated_bytes += len(piece)
            if self.inflated_bytes > max(FREE_BYTES, MAX_RATIO * self.fed_bytes):
                raise ResourceError(
                    f"the deflated data set inflates to more than {self.inflated_bytes} bytes"
                    f" from {self.fed_bytes}"
                )
            if piece:
                yield piece
            if not data and len(piece) < PIECE_BYTES:
                return

    def finish(self) -> None:
        """Assert that the deflate stream is complete."""
        if not self._engine.eof:
            raise DicomError(
                f"the deflated data set ends early, after {self.inflated_bytes} inflated bytes",
                offset_bytes=self.inflated_bytes,
                source=self._source,
            )


def inflate(chunks: Iterable[bytes], *, source: str = "") -> Iterator[bytes]:
    """The inflated data set, in bounded pieces, of a deflated one read in `chunks`."""
    inflater = Inflater(source=source)
    for chunk in chunks:
        yield from inflater.feed(chunk)
        if inflater.done:
            return
    inflater.finish()
