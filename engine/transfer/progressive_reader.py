"""A progressive answer, read as it comes: bytes are fed, what arrived comes out.

The other side of `progressive_body`. Holds the codestreams of the frames as far as they are
there, each until it is released. Every part is compared with its digest before it counts: what
was damaged on the way can be read again from where the last right part ended. Without I/O; any
split of the bytes gives the same events. A head is believed only as far as the bytes that
follow bear it out: nothing is allocated on it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...codecs.errors import FormatError, IntegrityError, UsageError
from .digest_fields import sha256_of
from .multipart_reader import End, MultipartReader, PartBegin, PartData, PartEnd
from .progressive_body import (
    CHECK_FIELD,
    CHECKED_FIELDS,
    DESCRIPTION_TYPE,
    REDUCTION_FIELD,
    head_check,
)
from .series_description import SeriesDescription, parse_left_out

__all__ = ["FrameArrived", "ProgressiveReader", "boundary_told"]

_MAX_DESCRIPTION_BYTES = 32 << 20
_LOCATION = re.compile(r"(?:|.*?/)(?:instances/([0-9.]{1,64})/)?frames/([0-9]{1,9})", re.DOTALL)
_RANGE = re.compile(r"bytes ([0-9]{1,15})-([0-9]{1,15})/([0-9]{1,15})")
_REDUCTION = re.compile(r"[0-9]{1,2}")
_BOUNDARY = re.compile(r'multipart/related\s*;.*?\bboundary=(?:"([^"]+)"|([^\s;"]+))', re.I | re.S)


@dataclass(frozen=True, slots=True)
class FrameArrived:
    """What there is of `frame`, counted over all instances from 0, is complete at `reduction`."""

    frame: int
    reduction: int
    is_whole: bool


class ProgressiveReader:
    """Reads one progressive answer.

    `left_out` has the UIDs of instances that do not come, with the reason, `verified_bytes` the
    length of what was read and found to be right.

    Parameters
    ----------
    content_type
        The Content-Type of the answer.

    Raises
    ------
    FormatError
        That is no multipart/related.
    """

    def __init__(self, content_type: str) -> None:
        self.boundary = boundary_told(content_type)
        try:
            self._multipart = MultipartReader(self.boundary)
        except UsageError as error:
            raise FormatError(error.message) from error
        self.description: SeriesDescription | None = None
        self.is_finished = False
        self.left_out: dict[str, str] = {}
        self.verified_bytes = 0
        self._begun_at = 0
        self._opening = self._delimiter
        self._first: dict[str, tuple[int, int]] = {}
        self._held: dict[int, bytearray] = {}
        self._lengths: dict[int, int] = {}
        self._wholes: dict[int, int] = {}
        self._most: list[int] = []
        self._json: bytearray | None = None
        self._part: tuple[int, int, int] | None = None
        self._expected = b""
        self._digest = hashlib.sha256()

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[FrameArrived]:
        """The frames that became sharper with the next bytes, to be taken up before the next call.

        Raises
        ------
        IntegrityError
            Something was damaged on the way: :meth:`rewind`, and feed the answer from
            `verified_bytes` on.
        FormatError
            The answer is not what it says; nothing more can be read of it.
        """
        if self._opening:
            self._open(data)
        for event in self._multipart.feed(data):
            match event:
                case PartBegin(headers):
                    self._begin(headers)
                case PartData(piece):
                    self._take(piece)
                case PartEnd(error):
                    if error is not None:
                        raise IntegrityError(error.message) from error
                    arrived = self._end()
                    self.verified_bytes = self._begun_at + self._multipart.part_end
                    if arrived is not None:
                        yield arrived
                case End(error):
                    if error is not None:
                        raise IntegrityError(error.message) from error
                    self.is_finished = True

    def rewind(self) -> None:
        """Forget what was read behind `verified_bytes`; what is fed next begins there."""
        if self._part is not None:
            frame = self._part[0]
            held = self._held.get(frame)
            if held is not None:
                del held[self._lengths.get(frame, 0) :]
        self._multipart = MultipartReader(self.boundary)
        self._begun_at = self.verified_bytes
        self._opening = (b"\r\n" if self._begun_at else b"") + self._delimiter
        self._part = self._json = None
        self.is_finished = False

    def prefix(self, frame: int) -> bytes:
        """What there is of the codestream of `frame`; only whole parts count."""
        return bytes(memoryview(self._held[frame])[: self._lengths[frame]])

    def release(self, frame: int) -> None:
        """Let go of the bytes of `frame`: nothing more is wanted of it."""
        self._held.pop(frame, None)

    def missing(self, *, until: int) -> list[int]:
        """The frames of which not all has come that belongs to an answer with that `until`."""
        count = 0 if self.description is None else self.description.frame_count
        gone = self.frames_left_out
        return [
            frame
            for frame in range(count)
            if frame not in gone
            and (
                frame not in self._lengths
                or (until == 0 and self._lengths[frame] < self._wholes[frame])
            )
        ]

    @property
    def frames_left_out(self) -> frozenset[int]:
        """The frames of instances that were described and do not come."""
        spans = (self._first[uid] for uid in self.left_out)
        return frozenset(frame for first, count in spans for frame in range(first, first + count))

    @property
    def _delimiter(self) -> bytes:
        return b"--" + self.boundary.encode("latin-1")

    def _open(self, data: bytes | bytearray | memoryview) -> None:
        """Nothing stands before the first delimiter: places are counted from there.

        Where HTTP's own head was damaged, its chunks may have been taken for the answer.
        """
        begin = bytes(memoryview(data)[: len(self._opening)])
        if not self._opening.startswith(begin):
            raise IntegrityError("something else stands where a part should begin")
        self._opening = self._opening[len(begin) :]

    def _begin(self, headers: Mapping[str, str]) -> None:
        values = [headers.get(name.lower(), "") for name in CHECKED_FIELDS]
        if headers.get(CHECK_FIELD.lower()) != head_check(values):
            raise IntegrityError("the head of a part is not what was sent")
        self._expected = sha256_of(headers.get("content-digest")) or b""
        self._digest = hashlib.sha256()
        if headers.get("content-type") == DESCRIPTION_TYPE:
            self._json = bytearray()
            return
        if self.description is None:
            raise IntegrityError("the answer does not begin with a description")
        self._json = None
        self._part = self._piece_of(headers)

    def _piece_of(self, headers: Mapping[str, str]) -> tuple[int, int, int]:
        span = _RANGE.fullmatch(headers.get("content-range", ""))
        reduction = _REDUCTION.fullmatch(headers.get(REDUCTION_FIELD.lower(), ""))
        if span is None or reduction is None:
            raise FormatError("a part that does not say which bytes of a frame it has")
        frame = self._frame_at(headers.get("content-location", ""))
        start, stop, whole = int(span[1]), int(span[2]) + 1, int(span[3])
        if self._wholes.get(frame, whole) != whole or not start < stop <= whole:
            raise FormatError(f"frame {frame + 1}: a range that is none of it").at(frame=frame + 1)
        if whole > self._most[frame]:
            raise FormatError(
                f"frame {frame + 1} has {whole} bytes, expected at most {self._most[frame]}"
            )
        if start != self._lengths.get(frame, 0):
            raise FormatError(
                f"frame {frame + 1} goes on at byte {start}, expected {self._lengths.get(frame, 0)}"
            )
        self._wholes[frame] = whole
        return frame, stop, int(reduction[0])

    def _frame_at(self, location: str) -> int:
        found = _LOCATION.fullmatch(location)
        assert self.description is not None
        instances = self.description.instances
        if found is None or (found[1] is None and len(instances) != 1):
            raise FormatError("a part without the URL of a frame")
        first, count = self._first.get(found[1] or instances[0].uid, (0, 0))
        number = int(found[2])
        if not 1 <= number <= count:
            raise FormatError("a part of a frame that was not described")
        return first + number - 1

    def _take(self, piece: bytes | memoryview) -> None:
        self._digest.update(piece)
        if self._json is not None:
            if len(self._json) + len(piece) > _MAX_DESCRIPTION_BYTES:
                raise FormatError(f"a description of more than {_MAX_DESCRIPTION_BYTES} bytes")
            self._json += piece
            return
        assert self._part is not None
        frame, stop, _ = self._part
        held = self._held.setdefault(frame, bytearray())
        if len(held) + len(piece) > stop:
            raise IntegrityError(f"a part of frame {frame + 1} is longer than it says")
        held += piece

    def _end(self) -> FrameArrived | None:
        if self._digest.digest() != self._expected:
            raise IntegrityError("a part with other bytes than its digest says")
        if self._json is not None:
            data, self._json = bytes(self._json), None
            if self.description is None:
                self._describe(SeriesDescription.parse(data))
            else:
                self._leave_out(data)
            return None
        assert self._part is not None
        frame, stop, reduction = self._part
        self._part = None
        if len(self._held.get(frame, b"")) != stop:
            raise FormatError(f"a part of frame {frame + 1} is shorter than it says")
        self._lengths[frame] = stop
        return FrameArrived(frame, reduction, is_whole=stop == self._wholes[frame])

    def _describe(self, description: SeriesDescription) -> None:
        self.description = description
        at = 0
        for instance in description.instances:
            self._first[instance.uid] = (at, instance.frame_count)
            at += instance.frame_count
            # Noise grows when it is encoded, by some hundredths.
            most = 2 * instance.pixels.decoded_bytes + (64 << 10)
            self._most += [most] * instance.frame_count

    def _leave_out(self, data: bytes) -> None:
        try:
            rows = parse_left_out(json.loads(data))
        except (ValueError, RecursionError) as error:
            raise FormatError("what is left out is not told as it should be") from error
        for uid, reason in rows:
            if uid not in self._first:
                raise FormatError("an instance is left out that was not described")
            self.left_out[uid] = reason


def boundary_told(content_type: str) -> str:
    """The boundary that a Content-Type tells.

    Raises
    ------
    FormatError
        It is no multipart/related.
    """
    found = _BOUNDARY.match(content_type)
    if found is None:
        raise FormatError("the answer is no multipart/related")
    return found[1] or found[2]
