"""The push parser of Part 10 files: bytes go in at any split, an Instance comes out.

Sans-I/O: whoever has the bytes feeds them, and may ask which of the coming ones are not
needed and pass over them. Buffers an element's header and short value at most, never pixels.
"""

from __future__ import annotations

from ...codecs.errors import DicomError, UsageError
from .inflation import PIECE_BYTES, Inflater
from .instance import Instance
from .instance_assembly import assemble
from .reading_stages import ReadingStages

__all__ = ["Part10Reader"]

_UNBOUNDED = 1 << 62


class Part10Reader:
    """Reads one Part 10 file, or a data set without file meta.

    Parameters
    ----------
    size_bytes
        The length of the source, None where it is not known; then lengths can be checked
        only when the source ends.
    seekable
        The caller can go to any offset that `seek` returns, back as well as forth. Then an
        Extended Offset Table that proves right spares the items between first and last.
    source
        A name for errors; never opened.
    """

    def __init__(
        self, *, size_bytes: int | None = None, seekable: bool = False, source: str = ""
    ) -> None:
        self._size_bytes = size_bytes
        self._end_bytes = _UNBOUNDED if size_bytes is None else size_bytes
        self._seekable = seekable
        self._source = source
        self._stages = ReadingStages(end_bytes=self._end_bytes, seekable=seekable, source=source)
        self._inflater: Inflater | None = None
        self._fed_bytes = 0
        # Offsets in the stream: the file, or what a deflated data set inflates to. What was
        # received and is still needed, from `_next` on, is in `_buffer`.
        self._received = 0
        self._next = 0
        self._buffer = b""
        self._finished = False

    @property
    def unneeded_bytes(self) -> int:
        """How many of the coming bytes of the source are not needed; 0 while inflating."""
        if self._inflater is not None:
            return 0
        if self._stages.current is None:
            return max(self._end_bytes - self._received, 0)
        return max(self._next - self._received, 0)

    @property
    def wanted_bytes(self) -> int:
        """How many bytes, after the unneeded ones, the next step cannot do without."""
        if self._inflater is not None:
            return PIECE_BYTES
        if self._stages.current is None:
            return 0
        return max(self._stages.current.wanted_bytes - len(self._buffer), 1)

    @property
    def reads_items(self) -> bool:
        """Whether it is among the fragments of Pixel Data, where a few bytes will do."""
        return self._stages.reads_items

    @property
    def is_complete(self) -> bool:
        """Whether no more bytes are needed: `finish` may be called."""
        if self._inflater is not None:
            return self._inflater.done
        return self._stages.current is None or self._next >= self._end_bytes

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the source.

        Raises
        ------
        DicomError
            The bytes break PS3.5 or PS3.10.
        ResourceError
            A deflated data set inflates beyond reason.
        """
        self._fed_bytes += len(data)
        if self._inflater is None:
            self._push(data)
        else:
            self._inflate(self._inflater, data)

    def seek(self) -> int:
        """Pass over what is not needed; returns the offset in the source to feed from."""
        if self._inflater is None:
            is_behind = self._seekable and self._next < self._received - len(self._buffer)
            if is_behind or self._next > self._received:
                self._buffer = b""
                self._received = self._next
            self._fed_bytes = self._received
        return self._fed_bytes

    def finish(self) -> Instance:
        """The Instance, once the source has ended or `is_complete`.

        Raises
        ------
        DicomError
            The source ends early, or its attributes and Pixel Data contradict each other.
        UnsupportedError
            Its pixels are of a kind that is not handled.
        """
        if self._finished:
            raise UsageError("Part10Reader.finish was called twice")
        self._finished = True
        self._stages.end()
        self._push(b"")
        if self._inflater is not None:
            self._inflater.finish()
            self._end_bytes = self._received
        elif self._size_bytes is None:
            self._end_bytes = self._received
        elif not self.is_complete and max(self._next, self._received) < self._end_bytes:
            raise DicomError(
                f"the source ended at byte {self._received} of {self._end_bytes}",
                offset_bytes=self._received,
                source=self._source,
            )
        findings = self._stages.complete(
            rest=self._buffer, offset_bytes=self._next, size_bytes=self._end_bytes
        )
        return assemble(findings)

    def _push(self, data: bytes) -> None:
        """Give the stages the next bytes of the stream."""
        base = self._received
        self._received += len(data)
        if self._next >= self._received and not self._finished:
            return
        if self._buffer:
            base -= len(self._buffer)
            data = self._buffer + data
            self._buffer = b""
        position = self._next - base
        while position >= 0 and (stage := self._stages.current) is not None:
            position = stage.parse(data, position, base)
            self._next = base + position
            if not stage.done:
                break
            self._next = self._stages.advance(self._next)
            if self._inflater is None and self._stages.must_inflate:
                self._start_inflating(data[position:])
                return
            position = self._next - base
        if 0 <= position < len(data):
            self._buffer = data[position:] if position else data

    def _start_inflating(self, rest: bytes) -> None:
        self._inflater = Inflater(source=self._source)
        self._stages.start_inflated(end_bytes=_UNBOUNDED)
        self._received = self._next = 0
        self._inflate(self._inflater, rest)

    def _inflate(self, inflater: Inflater, data: bytes) -> None:
        for piece in inflater.feed(data):
            self._push(piece)
