"""Which stage of the push parser follows which, and what they found together.

file meta → detection → elements → (offset table probe →) items → elements behind them.
Sees offsets and findings; the bytes go from the reader straight to the stage at hand.
"""

from __future__ import annotations

from typing import Protocol

from ...codecs.errors import DicomError
from ...codecs.syntaxes import DEFLATED_EXPLICIT_LE, transfer_syntax
from .element_scanner import ElementScanner
from .encoding import Encoding
from .encoding_detection import HEAD_BYTES, detect_encoding
from .file_meta import FileMetaParser
from .instance_assembly import Findings
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

__all__ = ["ReadingStages", "Stage"]


class Stage(Protocol):
    """What parses a window of the stream: see `ElementScanner.parse`."""

    done: bool
    wanted_bytes: int

    def parse(self, data: bytes, position: int, base_bytes: int) -> int: ...


class ReadingStages:
    """The stages for one file; `current` is None once nothing more is to be read."""

    def __init__(self, *, end_bytes: int, seekable: bool, source: str) -> None:
        self._end_bytes = end_bytes
        self._seekable = seekable
        self._source = source
        self._meta = FileMetaParser(end_bytes=end_bytes, source=source)
        self._detection = _Detection()
        self._scanner: ElementScanner | None = None
        self._walker: ItemWalker | None = None
        self._probe: TableProbe | None = None
        self._findings: Findings | None = None
        self._is_deflated = False
        self.current: Stage | None = self._meta

    @property
    def reads_items(self) -> bool:
        """Whether the stage at hand wants a few bytes of each item."""
        return self.current is not None and self.current in (self._walker, self._probe)

    @property
    def must_inflate(self) -> bool:
        """Whether the file meta is over and says that the data set is deflated."""
        return self._meta.done and self._meta.transfer_syntax_uid == DEFLATED_EXPLICIT_LE

    def start_inflated(self, *, end_bytes: int) -> None:
        """From here on offsets count in the inflated data set, whose end is not known."""
        self._is_deflated = True
        self._end_bytes = end_bytes

    def end(self) -> None:
        """No more bytes will come; the file meta may now end short."""
        self._meta.at_end = True

    def advance(self, offset_bytes: int) -> int:
        """Go on from a stage that is done at `offset_bytes`; returns where the next begins."""
        if self.current is self._meta:
            self.current = self._detection
        elif self.current is self._detection:
            self._start_dataset(self._detection.head)
        elif self.current is self._scanner:
            return self._leave_elements(offset_bytes)
        elif self._probe is not None and self.current is self._probe:
            return self._leave_probe(self._probe, offset_bytes)
        else:
            self._resume_elements(offset_bytes)
        return offset_bytes

    def _start_dataset(self, head: bytes) -> Findings:
        uid = self._meta.transfer_syntax_uid
        row = transfer_syntax(uid) if uid else None
        declared = Encoding(row.explicit_vr, row.little_endian) if row else None
        encoding = detect_encoding(head, declared=declared)
        self._scanner = ElementScanner(
            encoding=encoding, end_bytes=self._end_bytes, keep=KEPT_TAGS, source=self._source
        )
        self._findings = Findings(
            meta=self._meta,
            scanner=self._scanner,
            declared_uid=uid,
            declared=declared,
            encoding=encoding,
            deflated=self._is_deflated,
            source=self._source,
        )
        self.current = self._scanner
        return self._findings

    def _leave_elements(self, offset_bytes: int) -> int:
        assert self._scanner is not None
        assert self._findings is not None
        pixel_data = self._scanner.pixel_data
        if self._scanner.zeros_offset is not None:
            self.current = None
            return offset_bytes
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
        if not pixel_data.is_undefined:
            self._resume_elements(pixel_data.end_offset)
            return pixel_data.end_offset
        if pixel_data.tag != PIXEL_DATA or not self._scanner.encoding.little_endian:
            raise DicomError(
                f"{format_tag(pixel_data.tag)} at byte {pixel_data.offset_bytes} has undefined"
                " length, which only little-endian Pixel Data (7FE0,0010) may have",
                tag=pixel_data.tag,
                offset_bytes=pixel_data.offset_bytes,
                source=self._source,
            )
        self._probe = self._probe_of_table(offset_bytes)
        self.current = self._probe or self._start_walking(offset_bytes)
        return offset_bytes

    def _probe_of_table(self, offset_bytes: int) -> TableProbe | None:
        """A probe of the Extended Offset Table, where there is one and it can be used."""
        assert self._scanner is not None
        assert self._findings is not None
        offsets = self._scanner.offset_tables.get(EXTENDED_OFFSET_TABLE)
        lengths = self._scanner.offset_tables.get(EXTENDED_OFFSET_TABLE_LENGTHS)
        if not self._seekable or self._is_deflated or self._findings.must_sniff:
            return None
        if offsets is None or lengths is None:
            return None
        return TableProbe(
            offset_bytes=offset_bytes,
            end_bytes=self._end_bytes,
            tables=(offsets, lengths),
            frame_count=declared_frames(self._scanner.kept, source=self._source),
        )

    def _start_walking(self, offset_bytes: int) -> ItemWalker:
        assert self._findings is not None
        self._walker = ItemWalker(
            offset_bytes=offset_bytes,
            end_bytes=self._end_bytes,
            sniff=self._findings.must_sniff,
            source=self._source,
        )
        self._findings.walker = self._walker
        return self._walker

    def _leave_probe(self, probe: TableProbe, offset_bytes: int) -> int:
        assert self._findings is not None
        if probe.proved:
            self._findings.proved_table = (probe.offsets, probe.lengths)
            self._resume_elements(offset_bytes)
            return offset_bytes
        self.current = self._start_walking(probe.offset_bytes)
        return probe.offset_bytes

    def _resume_elements(self, offset_bytes: int) -> None:
        assert self._scanner is not None
        assert self._findings is not None
        self._findings.pixel_end = offset_bytes
        self._scanner.resume()
        self.current = self._scanner

    def complete(self, *, rest: bytes, offset_bytes: int, size_bytes: int) -> Findings:
        """What was found, after checking that a stream of `size_bytes` may end so.

        `rest` are the bytes at `offset_bytes` that the stage at hand did not take.

        Raises
        ------
        DicomError
            The stream ends inside something.
        """
        findings = self._findings
        if findings is None:
            findings = self._start_dataset(b"")
            findings.warnings.append("the data set is empty")
        findings.size_bytes = size_bytes
        if offset_bytes > size_bytes:
            tag = findings.scanner.last_tag
            raise DicomError(
                f"the data ends at byte {size_bytes}, but a value after {format_tag(tag)}"
                f" ends at byte {offset_bytes}",
                tag=findings.pixel_data.tag if findings.pixel_data else None,
                offset_bytes=size_bytes,
                source=self._source,
            )
        if self._walker is not None and self.current is self._walker:
            findings.warnings.append(self._walker.check_complete(rest, offset_bytes))
            findings.pixel_end = size_bytes
        elif self.current is not None:
            findings.scanner.check_complete(rest, offset_bytes)
        return findings


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
