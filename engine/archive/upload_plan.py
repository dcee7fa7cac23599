"""What an upload is, as it was said when it began, and what it came to: values that are kept."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, Self

from ...codecs.errors import UsageError

__all__ = ["Fault", "UploadError", "UploadPlan", "UploadResult", "UploadState"]

type Fault = Literal[
    "unknown", "gone", "busy", "complete", "offset", "length", "excess", "size", "digest"
]
"""Why something cannot be done with an upload.

unknown: there is none of that name. gone: it expired, or its bytes are lost. busy: somebody else
appends to it. complete: nothing more can be appended. offset: the bytes do not begin where those
that are there end. length: its length is another. excess: more bytes came than were said to. size:
it is longer than any may be. digest: the bytes are not those that were sent.
"""


class UploadError(UsageError):
    """Something that cannot be done with an upload; `offset_bytes` where one is of use."""

    def __init__(self, message: str, *, fault: Fault, offset_bytes: int = 0) -> None:
        super().__init__(message)
        self.fault = fault
        self.offset_bytes = offset_bytes


@dataclass(frozen=True, slots=True)
class UploadPlan:
    """What was said when an upload began.

    `base` is the address of the service as the client knew it. `metadata` is given back as it
    came. `concat` says whether it is a part of another upload, or is made of `parts`, which are
    names of uploads. `sha256` is what all of it should have, in hexadecimal, or "".
    """

    protocol: Literal["ietf", "tus"]
    content_type: str = "application/dicom"
    study_uid: str | None = None
    base: str = ""
    metadata: str = ""
    concat: Literal["", "partial", "final"] = ""
    parts: tuple[str, ...] = ()
    sha256: str = ""

    def to_json(self) -> bytes:
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Self:
        """Raises ValueError where it is none."""
        found: dict[str, Any] = json.loads(data)
        names = {field.name for field in fields(cls)}
        if not isinstance(found, dict) or not set(found) <= names or "protocol" not in found:
            raise ValueError("no plan of an upload")
        found["parts"] = tuple(found.get("parts", ()))
        return cls(**found)


@dataclass(frozen=True, slots=True)
class UploadResult:
    """The answer that an upload came to once it was complete; `status` is HTTP's."""

    status: int
    content_type: str
    body: bytes

    def to_bytes(self) -> bytes:
        head = {"status": self.status, "type": self.content_type, "bytes": len(self.body)}
        return json.dumps(head).encode() + b"\n" + self.body

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises ValueError where it is none."""
        line, _, body = data.partition(b"\n")
        match json.loads(line):
            case {"status": int(status), "type": str(kind), "bytes": int(size)} if size == len(
                body
            ):
                return cls(status, kind, body)
        raise ValueError("no result of an upload")


@dataclass(frozen=True, slots=True)
class UploadState:
    """An upload as it is now. `offset_bytes` is durable; `expires_s` is in seconds since 1970.

    `is_complete` says that no more can come, `result` what it then came to, once that is known.
    """

    name: str
    plan: UploadPlan
    offset_bytes: int
    length_bytes: int | None
    is_complete: bool
    expires_s: float
    result: UploadResult | None = None
