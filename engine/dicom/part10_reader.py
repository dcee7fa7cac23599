"""The push parser of Part 10 files: bytes go in at any split, an Instance comes out.

Sans-I/O: whoever has the bytes feeds them, and may ask which of the coming ones are not
needed and pass over them. Buffers an element's header and short value at most, never pixels.
"""

from __future__ import annotations

from typing import Protocol

from ...codecs.errors import DicomError, UsageError
from ...codecs.syntaxes import DEFLATED_EXPLICIT_LE, transfer_syntax
from .element_scanner import ElementScanner, Encoding
from .encoding_detection import HEAD_BYTES, detect_encoding
from .file_meta import FileMetaParser
from .inflation import PIECE_BYTES, Inflater
from .instance import Instance
from .instance_assembly import Findings, assemble
from .item_walker import ItemWalker
from .pixel_attributes import declared_frames
from .table_probe import TableProbe
from .tags import (
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    KEPT_TAGS,
    PIXEL_DATA,
    format_tag,
)
from .value_representations import UNDEFINED_LENGTH

__all__ = ["Part10Reader"]

_UNBOUNDED = 1 << 62


class _Stage(Protocol):
    done: bool
    wanted_bytes: int

    def parse(self, data: bytes, position: int, base_bytes: int) -> int: ...


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
        end_bytes = _UNBOUNDED if size_bytes is None else size_bytes
        self._size_bytes = size_bytes
        self._end_bytes = end_bytes
        self._seekable = seekable
        self._source = source
        self._meta = FileMetaParser(end_bytes=end_bytes, source=source)
        self._stage: _Stage | None = self._meta
        self._inflater: Inflater | None = None
        self._scanner: ElementScanner | None = None
        self._walker: ItemWalker | None = None
        self._findings: Findings | None = None
        self._fed_bytes = 0
        # The stream: the file, or what a deflated data set inflates to.
        self._received = 0
        self._next = 0
        self._buffer = b""
        self._finished = False

    @property
    def unneeded_bytes(self) -> int:
        """How many of the coming bytes of the source are not needed.

        0 inside a deflated data set. Before the end of a source of known size, at most what
        is left of it.
        """
        if self._inflater is not None:
            return 0
        if self._stage is None:
            return max(self._end_bytes - self._received, 0)
        return max(self._next - self._received, 0)

    @property
    def wanted_bytes(self) -> int:
        """How many bytes, after the unneeded ones, the next step cannot do without."""
        if self._inflater is not None:
            return PIECE_BYTES
        if self._stage is None:
            return 0
        return max(self._stage.wanted_bytes - len(self._buffer), 1)

    @property
    def reads_items(self) -> bool:
        """Whether it is among the fragments of Pixel Data, where a few bytes will do."""
        return self._stage is not None and self._stage is not self._scanner

    @property
    def is_complete(self) -> bool:
        """Whether no more bytes are needed: `finish` may be called."""
        if self._inflater is not None:
            return self._inflater.done
        return self._stage is None or self._next >= self._end_bytes

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
            self._push_inflated(data)

    def seek(self) -> int:
        """Pass over what is not needed; returns the offset to feed from."""
        if self._inflater is not None:
            return self._fed_bytes
        is_behind = self._seekable and self._next < self._received - len(self._buffer)
        if is_behind or self._next > self._received:
            self._buffer = b""
            self._received = self._next
        self._fed_bytes = self._received
        return self._received

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
        if self._inflater is not None:
            self._inflater.finish()
            self._end_bytes = self._received
        elif self._size_bytes is None:
            self._end_bytes = self._received
        elif self._stage is not None and max(self._next, self._received) < self._end_bytes:
            raise DicomError(
                f"the source ended at byte {self._received} of {self._end_bytes}",
                offset_bytes=self._received,
                source=self._source,
            )
        self._meta.at_end = True
        self._push(b"")
        return assemble(self._complete_findings())

    def _push(self, data: bytes) -> None:
        start = self._received
        self._received += len(data)
        if self._next >= self._received and not self._finished:
            return
        if self._buffer:
            start -= len(self._buffer)
            data = self._buffer + data
            self._buffer = b""
        position = self._next - start
        while self._stage is not None and position >= 0:
            stage = self._stage
            position = stage.parse(data, position, start)
            self._next = start + position
            if not stage.done:
                break
            if not self._enter_next_stage(data, position):
                return
            position = self._next - start
        if 0 <= position < len(data):
            self._buffer = data[position:] if position else data

    def _push_inflated(self, data: bytes) -> None:
        assert self._inflater is not None
        for piece in self._inflater.feed(data):
            self._push(piece)

    def _enter_next_stage(self, data: bytes, position: int) -> bool:
        """Go on to the stage after one that is done; False where `data` is used up."""
        if self._stage is self._meta:
            if self._meta.transfer_syntax_uid == DEFLATED_EXPLICIT_LE:
                self._start_inflating(data[position:])
                return False
            self._stage = _Detection()
        elif isinstance(self._stage, _Detection):
            self._start_dataset(self._stage.head)
        elif self._stage is self._scanner:
            self._enter_pixel_data()
        elif isinstance(self._stage, TableProbe):
            self._leave_probe(self._stage)
        else:
            self._resume_scanning()
        return True

    def _start_inflating(self, rest: bytes) -> None:
        self._inflater = Inflater(source=self._source)
        self._stage = _Detection()
        self._received = self._next = 0
        self._end_bytes = _UNBOUNDED
        self._push_inflated(rest)

    def _start_dataset(self, head: bytes) -> None:
        uid = self._meta.transfer_syntax_uid
        row = transfer_syntax(uid) if uid else None
        declared = Encoding(row.explicit_vr, row.little_endian) if row else None
        encoding = detect_encoding(head, declared=declared)
        self._findings = Findings(
            meta=self._meta,
            declared_uid=uid,
            declared=declared,
            encoding=encoding,
            deflated=self._inflater is not None,
            source=self._source,
        )
        self._scanner = ElementScanner(
            encoding=encoding, end_bytes=self._end_bytes, keep=KEPT_TAGS, source=self._source
        )
        self._stage = self._scanner

    def _enter_pixel_data(self) -> None:
        assert self._scanner is not None
        assert self._findings is not None
        if self._scanner.zeros_offset is not None:
            self._stage = None
            return
        pixel_data = self._scanner.pixel_data
        assert pixel_data is not None
        if self._findings.pixel_data is not None:
            raise DicomError(
                f"a second Pixel Data element {format_tag(pixel_data.tag)}"
                f" at byte {pixel_data.offset_bytes}",
                tag=pixel_data.tag,
                offset_bytes=pixel_data.offset_bytes,
                source=self._source,
            )
        self._findings.pixel_data = pixel_data
        if pixel_data.length_bytes != UNDEFINED_LENGTH:
            self._next = self._findings.pixel_end = pixel_data.end_offset
            self._scanner.resume()
            return
        if pixel_data.tag != PIXEL_DATA or not self._scanner.encoding.little_endian:
            raise DicomError(
                f"{format_tag(pixel_data.tag)} at byte {pixel_data.offset_bytes} has undefined"
                " length, which only little-endian Pixel Data (7FE0,0010) may have",
                tag=pixel_data.tag,
                offset_bytes=pixel_data.offset_bytes,
                source=self._source,
            )
        self._stage = self._probe() or self._start_walking()

    def _probe(self) -> TableProbe | None:
        """A probe of the Extended Offset Table, where there is one and it can be used."""
        assert self._scanner is not None
        assert self._findings is not None
        tables = self._scanner.offset_tables
        offsets = tables.get(EXTENDED_OFFSET_TABLE)
        lengths = tables.get(EXTENDED_OFFSET_TABLE_LENGTHS)
        if not self._seekable or self._inflater or self._findings.must_sniff:
            return None
        if offsets is None or lengths is None:
            return None
        return TableProbe(
            offset_bytes=self._next,
            end_bytes=self._end_bytes,
            tables=(offsets, lengths),
            frame_count=declared_frames(self._scanner.kept, source=self._source),
        )

    def _start_walking(self) -> ItemWalker:
        assert self._findings is not None
        self._walker = ItemWalker(
            offset_bytes=self._next,
            end_bytes=self._end_bytes,
            sniff=self._findings.must_sniff,
            source=self._source,
        )
        return self._walker

    def _leave_probe(self, probe: TableProbe) -> None:
        assert self._findings is not None
        if not probe.proved:
            self._next = probe.offset_bytes
            self._stage = self._start_walking()
            return
        self._findings.proved_table = (probe.offsets, probe.lengths)
        self._resume_scanning()

    def _resume_scanning(self) -> None:
        assert self._scanner is not None
        assert self._findings is not None
        self._findings.pixel_end = self._next
        self._scanner.resume()
        self._stage = self._scanner

    def _complete_findings(self) -> Findings:
        """What was found, after checking that the stream may end where it does."""
        findings = self._findings
        rest, offset = self._buffer, self._next
        if findings is None:
            self._start_dataset(b"")
            findings = self._findings
            assert findings is not None
            if any(rest):
                raise DicomError(
                    f"the data ends at byte {offset + len(rest)} inside its first element",
                    offset_bytes=offset,
                    source=self._source,
                )
            findings.warnings.append("the data set is empty")
        scanner = self._scanner
        assert scanner is not None
        if self._next > self._end_bytes:
            self._raise_too_short()
        if self._stage is self._walker and self._walker is not None:
            findings.warnings.append(self._walker.check_complete(rest, offset))
            findings.pixel_end = self._end_bytes
        elif self._stage is not None:
            scanner.check_complete(rest, offset)
        findings.walker = self._walker
        findings.scanner = scanner
        findings.size_bytes = self._end_bytes
        return findings

    def _raise_too_short(self) -> None:
        """The source of unknown size ended before the value that was being passed over did."""
        pixel_data = self._findings.pixel_data if self._findings else None
        tag = pixel_data.tag if pixel_data else self._scanner.last_tag if self._scanner else None
        raise DicomError(
            f"the data ends at byte {self._end_bytes}, but the value being read"
            f" ends at byte {self._next}",
            tag=tag,
            offset_bytes=self._end_bytes,
            source=self._source,
        )


class _Detection:
    """The stage that looks at the first bytes of the data set and consumes none."""

    def __init__(self) -> None:
        self.done = False
        self.wanted_bytes = HEAD_BYTES
        self.head = b""

    def parse(self, data: bytes, position: int, base_bytes: int) -> int:  # noqa: ARG002
        self.head = data[position : position + HEAD_BYTES]
        self.done = len(self.head) == HEAD_BYTES
        return position
