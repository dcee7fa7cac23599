"""The errors of Mersey: one tree, which says whose fault it is.

MerseyError
├─ UsageError          the caller broke a documented rule
├─ FormatError         the producer's bytes are wrong        .offset_bytes .source
│  ├─ DicomError       .tag
│  └─ CodestreamError  .marker
├─ UnsupportedError    valid, but not by us                  .feature
├─ IntegrityError      digest or length mismatch
├─ TransferError       the peer or the wire                  .resume_from
└─ ResourceError       budget, disk, time limit

Every error survives pickling with its fields (it crosses process borders), and
every message says what was found, what was expected and where.
"""

from __future__ import annotations

from typing import Any, Self

__all__ = [
    "CodestreamError",
    "DicomError",
    "FormatError",
    "IntegrityError",
    "MerseyError",
    "ResourceError",
    "TransferError",
    "UnsupportedError",
    "UsageError",
]


class MerseyError(Exception):
    """Anything that Mersey raises on purpose.

    `instance` and `frame` say which image it was about, once a layer that knows them has
    called :meth:`at`; `frame` is a DICOM frame number, counted from 1.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.instance: str | None = None
        self.frame: int | None = None

    def at(self, *, instance: str | None = None, frame: int | None = None) -> Self:
        """Name the instance and the frame this error is about, where not yet named."""
        if self.instance is None:
            self.instance = instance
        if self.frame is None:
            self.frame = frame
        return self

    def __str__(self) -> str:
        place = []
        if self.instance is not None:
            place.append(f"instance {self.instance}")
        if self.frame is not None:
            place.append(f"frame {self.frame}")
        return f"{', '.join(place)}: {self.message}" if place else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.message, self.__dict__))


def _rebuild(kind: type[MerseyError], message: str, fields: dict[str, Any]) -> MerseyError:
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    error.__dict__.update(fields)
    return error


class UsageError(MerseyError):
    """The caller broke a documented rule."""


class FormatError(MerseyError):
    """The producer's bytes are wrong, at `offset_bytes` of `source`."""

    def __init__(
        self, message: str, *, offset_bytes: int | None = None, source: str | None = None
    ) -> None:
        super().__init__(message)
        self.offset_bytes = offset_bytes
        self.source = source


class DicomError(FormatError):
    """A data set breaks PS3.5 or PS3.10; `tag` is (gggg,eeee) as an int, where one is known."""

    def __init__(
        self,
        message: str,
        *,
        tag: int | None = None,
        offset_bytes: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(message, offset_bytes=offset_bytes, source=source)
        self.tag = tag


class CodestreamError(FormatError):
    """A codestream breaks its standard; `marker` is the code of the marker, e.g. 0xFF51."""

    def __init__(
        self,
        message: str,
        *,
        marker: int | None = None,
        offset_bytes: int | None = None,
        source: str | None = None,
    ) -> None:
        super().__init__(message, offset_bytes=offset_bytes, source=source)
        self.marker = marker


class UnsupportedError(MerseyError):
    """Valid, but not by us; `feature` names what is missing."""

    def __init__(self, message: str, *, feature: str) -> None:
        super().__init__(message)
        self.feature = feature


class IntegrityError(MerseyError):
    """A digest, a length or a decoded image is not what it should be."""


class TransferError(MerseyError):
    """The peer or the wire failed; the transfer can go on from byte `resume_from`."""

    def __init__(self, message: str, *, resume_from: int | None = None) -> None:
        super().__init__(message)
        self.resume_from = resume_from


class ResourceError(MerseyError):
    """A budget, the disk, a memory limit or a time limit is exhausted."""
