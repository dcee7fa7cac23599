"""A progressive answer, read as it comes: bytes are fed, what arrived comes out.

The other side of `progressive_body`. Holds the codestreams of the frames as far as they are
there, each until it is released. Without I/O; any split of the bytes gives the same events. A
head is believed only as far as the bytes that follow bear it out: nothing is allocated on it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ...codecs.errors import FormatError
from .multipart_reader import End, MultipartReader, PartBegin, PartData, PartEnd
from .progressive_body import REDUCTION_FIELD
from .series_description import SeriesDescription

__all__ = ["FrameArrived", "ProgressiveReader"]

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
        found = _BOUNDARY.match(content_type)
        if found is None:
            raise FormatError("the answer is no multipart/related")
        self._multipart = MultipartReader(found[1] or found[2])
        self.description: SeriesDescription | None = None
        self.is_finished = False
        self._root = bytearray()
        self._first: dict[str, int] = {}
        self._held: dict[int, bytearray] = {}
        self._lengths: dict[int, int] = {}
        self._wholes: dict[int, int] = {}
        self._most: list[int] = []
        self._part: tuple[int, int, int] | None = None

    def feed(self, data: bytes | bytearray | memoryview) -> Iterator[FrameArrived]:
        """The frames that became sharper with the next bytes, to be taken up before the next call.

        Raises
        ------
        FormatError
            The answer is not what it says; nothing more can be read of it.
        """
        for event in self._multipart.feed(data):
            match event:
                case PartBegin(headers):
                    if self.description is not None:
                        self._part = self._begin(headers)
                case PartData(piece):
                    self._take(piece)
                case PartEnd(error):
                    if error is not None:
                        raise error
                    arrived = self._end()
                    if arrived is not None:
                        yield arrived
                case End(error):
                    if error is not None:
                        raise error
                    self.is_finished = True

    def prefix(self, frame: int) -> bytes:
        """What there is of the codestream of `frame`; only whole parts count."""
        return bytes(memoryview(self._held[frame])[: self._lengths[frame]])

    def release(self, frame: int) -> None:
        """Let go of the bytes of `frame`: nothing more is wanted of it."""
        self._held.pop(frame, None)

    def missing(self, *, until: int) -> list[int]:
        """The frames of which not all has come that belongs to an answer with that `until`."""
        count = 0 if self.description is None else self.description.frame_count
        return [
            frame
            for frame in range(count)
            if frame not in self._lengths
            or (until == 0 and self._lengths[frame] < self._wholes[frame])
        ]

    def _begin(self, headers: Mapping[str, str]) -> tuple[int, int, int]:
        span = _RANGE.fullmatch(headers.get("content-range", ""))
        reduction = _REDUCTION.fullmatch(headers.get(REDUCTION_FIELD.lower(), ""))
        if span is None or reduction is None:
            raise FormatError("a part that does not say which bytes of a frame it has")
        frame = self._frame_at(headers.get("content-location", ""))
        start, stop, whole = int(span[1]), int(span[2]) + 1, int(span[3])
        if self._wholes.setdefault(frame, whole) != whole or not start < stop <= whole:
            raise FormatError(f"frame {frame + 1}: a range that is none of it").at(frame=frame + 1)
        if whole > self._most[frame]:
            raise FormatError(
                f"frame {frame + 1} has {whole} bytes, expected at most {self._most[frame]}"
            )
        if start != self._lengths.get(frame, 0):
            raise FormatError(
                f"frame {frame + 1} goes on at byte {start}, expected {self._lengths.get(frame, 0)}"
            )
        return frame, stop, int(reduction[0])

    def _frame_at(self, location: str) -> int:
        found = _LOCATION.fullmatch(location)
        assert self.description is not None
        instances = self.description.instances
        if found is None or (found[1] is None and len(instances) != 1):
            raise FormatError("a part without the URL of a frame")
        uid = found[1] or instances[0].uid
        first, number = self._first.get(uid, -1), int(found[2])
        count = next((one.frame_count for one in instances if one.uid == uid), 0)
        if first < 0 or not 1 <= number <= count:
            raise FormatError("a part of a frame that was not described")
        return first + number - 1

    def _take(self, piece: bytes | memoryview) -> None:
        if self.description is None:
            if len(self._root) + len(piece) > _MAX_DESCRIPTION_BYTES:
                raise FormatError(f"a description of more than {_MAX_DESCRIPTION_BYTES} bytes")
            self._root += piece
            return
        assert self._part is not None
        frame, stop, _ = self._part
        held = self._held.setdefault(frame, bytearray())
        if len(held) + len(piece) > stop:
            raise FormatError(f"a part of frame {frame + 1} is longer than it says")
        held += piece

    def _end(self) -> FrameArrived | None:
        if self.description is None:
            self.description = SeriesDescription.parse(bytes(self._root))
            self._root.clear()
            at = 0
            for instance in self.description.instances:
                self._first[instance.uid] = at
                at += instance.frame_count
                # Noise grows when it is encoded, by some hundredths.
                most = 2 * instance.pixels.decoded_bytes + (64 << 10)
                self._most += [most] * instance.frame_count
            return None
        assert self._part is not None
        frame, stop, reduction = self._part
        self._part = None
        if len(self._held.get(frame, b"")) != stop:
            raise FormatError(f"a part of frame {frame + 1} is shorter than it says")
        self._lengths[frame] = stop
        return FrameArrived(frame, reduction, is_whole=stop == self._wholes[frame])
