"""What a progressive answer begins with: which frames come, and what their samples are.

JSON, so that one request is enough to make room for a volume: the instances in order with the
Image Pixel attributes that a decoder needs, and which ones are left out, and why. Never holds
anything of a patient. What is read is checked as what anyone may have sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ...codecs.errors import FormatError, UsageError
from ...codecs.pixels import PixelFormat

__all__ = ["DescribedInstance", "SeriesDescription", "parse_left_out"]

_UID = re.compile(r"[0-9.]{1,64}")
_MAX_FRAMES = 1 << 24
_NUMBERS = ("rows", "columns", "samples", "bits_allocated", "bits_stored", "high_bit", "planar")


@dataclass(frozen=True, slots=True)
class DescribedInstance:
    """One instance: its frames' samples, as beside codestreams in `transfer_syntax_uid`."""

    uid: str
    frame_count: int
    pixels: PixelFormat
    transfer_syntax_uid: str


@dataclass(frozen=True, slots=True)
class SeriesDescription:
    """The instances whose frames come, in order; `left_out` has UIDs, with the reason."""

    instances: tuple[DescribedInstance, ...]
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def frame_count(self) -> int:
        return sum(instance.frame_count for instance in self.instances)

    def to_json(self) -> bytes:
        """The description as it is sent; the same instances give the same bytes."""
        formats: dict[tuple[PixelFormat, str], int] = {}
        rows = []
        for instance in self.instances:
            known = (instance.pixels, instance.transfer_syntax_uid)
            number = formats.setdefault(known, len(formats))
            row: dict[str, Any] = {"uid": instance.uid, "frames": instance.frame_count}
            if number:
                row["format"] = number
            rows.append(row)
        content = {
            "formats": [_format_json(pixels, uid) for pixels, uid in formats],
            "instances": rows,
            "left_out": [{"uid": uid, "reason": reason} for uid, reason in self.left_out],
        }
        return json.dumps(content, separators=(",", ":")).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        FormatError
            It is something else.
        """
        try:
            content = json.loads(data)
            formats = [_format_of(row) for row in content["formats"]]
            instances = tuple(_instance_of(row, formats) for row in content["instances"])
            left_out = _left_out_of(content)
        except (ValueError, KeyError, TypeError, IndexError, RecursionError, UsageError) as error:
            raise FormatError("the description of a series is none") from error
        if len({instance.uid for instance in instances}) != len(instances):
            raise FormatError("the description of a series names an instance twice")
        described = cls(instances, left_out)
        if described.frame_count > _MAX_FRAMES:
            raise FormatError(f"{described.frame_count} frames described, at most {_MAX_FRAMES}")
        return described


def parse_left_out(content: Any) -> tuple[tuple[str, str], ...]:
    """The UIDs and reasons of what a further part of an answer leaves out.

    Raises
    ------
    FormatError
        It is something else.
    """
    try:
        return _left_out_of(content)
    except (ValueError, KeyError, TypeError) as error:
        raise FormatError("a part that should name what is left out does not") from error


def _left_out_of(content: Any) -> tuple[tuple[str, str], ...]:
    return tuple((_uid(row["uid"]), str(row["reason"])) for row in content["left_out"])


def _format_json(pixels: PixelFormat, uid: str) -> dict[str, Any]:
    found: dict[str, Any] = {name: getattr(pixels, name) for name in _NUMBERS}
    found["signed"] = pixels.signed
    found["photometric"] = pixels.photometric
    found["transfer_syntax"] = uid
    return found


def _format_of(row: Mapping[str, Any]) -> tuple[PixelFormat, str]:
    numbers: dict[str, Any] = {name: _integer(row[name]) for name in _NUMBERS}
    photometric = str(row["photometric"])[:16]
    pixels = PixelFormat(**numbers, signed=row["signed"] is True, photometric=photometric)
    return pixels, _uid(row["transfer_syntax"])


def _instance_of(
    row: Mapping[str, Any], formats: list[tuple[PixelFormat, str]]
) -> DescribedInstance:
    number = _integer(row.get("format", 0))
    frames = _integer(row["frames"])
    if number < 0 or not 1 <= frames <= _MAX_FRAMES:
        raise ValueError
    pixels, uid = formats[number]
    return DescribedInstance(_uid(row["uid"]), frames, pixels, uid)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _uid(value: Any) -> str:
    if not isinstance(value, str) or not _UID.fullmatch(value):
        raise ValueError
    return value
