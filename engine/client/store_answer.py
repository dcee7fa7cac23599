"""The data set that answers a store request, as sent by any archive (PS3.18 Table 10.5.3-2)."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from ...codecs.errors import FormatError

__all__ = ["StoreAnswer"]

_PASSING = range(0xA700, 0xA800)
_FAILURE = 0x0110
_CONFLICT = 0x0111


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """By SOP Instance UID: what is `stored`, with a comment or "", and what `failed`, with why."""

    stored: dict[str, str] = field(default_factory=dict)
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: bytes) -> StoreAnswer:
        """Read DICOM JSON.

        Raises
        ------
        FormatError
            It is something else.
        """
        try:
            model = json.loads(data)
            model = model[0] if isinstance(model, list) and model else model
            stored = {_uid(item): _comment(item) for item in _items(model, "00081199")}
            failed = {
                _uid(item): (_number(item), _comment(item)) for item in _items(model, "00081198")
            }
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise FormatError("the answer to a store request is no data set") from error
        return cls(stored, failed)

    def may_pass(self, uid: str) -> bool:
        """Whether what failed may go better at another time: the archive was out of resources."""
        reason = self.failed[uid][0]
        return reason in _PASSING or reason == _FAILURE

    def why(self, uid: str) -> str:
        """Why it failed, in words."""
        reason, comment = self.failed[uid]
        if not comment and reason == _CONFLICT:
            comment = "the archive has it already, with other bytes"
        return f"{comment or 'the archive refused it'} (0x{reason:04X})"


def _items(model: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    found = model.get(tag, {}).get("Value", [])
    return [item for item in found if "00081155" in item]


def _uid(item: dict[str, Any]) -> str:
    return str(item["00081155"]["Value"][0])


def _number(item: dict[str, Any]) -> int:
    return int((item.get("00081197", {}).get("Value") or [_FAILURE])[0])


def _comment(item: dict[str, Any]) -> str:
    return str((item.get("00000902", {}).get("Value") or [""])[0])[:300]
