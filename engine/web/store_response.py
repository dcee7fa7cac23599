"""The answer to a store request: what was stored, what was not, and why (PS3.18 §10.5.3).

The data set is that of PS3.18 Table 10.5.3-2. What failed and cannot be named by its UIDs is in
Other Failures Sequence. Reasons in words are in Error Comment (0000,0902), as other archives
give them; it is an LT here, because an LO ends after 64 characters.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

from ..archive.examination import Refusal, RefusedFor
from ..runtime.intake import Kept
from .status import store_status
from .stow import StoreReport

__all__ = ["FAILURE_REASONS", "store_response"]

FAILURE_REASONS: dict[RefusedFor, int] = {
    "failure": 0x0110,
    "conflict": 0x0111,
    "resources": 0xA700,
    "mismatch": 0xA900,
    "unreadable": 0xC000,
}
"""Failure Reason (0008,1197): PS3.4 Table B.2-1, PS3.7 Annex C, PS3.18 Table 10.5.3-1."""

_COERCED = 0xB000
"""Warning Reason (0008,1196) of an instance that is stored, but not with the bytes that came."""


def store_response(report: StoreReport, *, base: str) -> Response:
    """The answer to a request; `base` is the address of the service, for Retrieve URLs."""
    kept = [one for one in report.results if isinstance(one, Kept)]
    failed = [one for one in report.results if isinstance(one, Refusal)]
    named = [one for one in failed if one.sop_class_uid and one.sop_instance_uid]
    unnamed = [one for one in failed if not (one.sop_class_uid and one.sop_instance_uid)]
    dataset: dict[str, Any] = {}
    studies = {one.reference.study_instance_uid for one in kept}
    if report.study_uid is not None:
        studies = {report.study_uid}
    if kept and len(studies) == 1:
        dataset["00081190"] = _value("UR", f"{base}/studies/{studies.pop()}")
    _add(dataset, "00081198", [_failure(one) for one in named])
    _add(dataset, "00081199", [_reference(one, base) for one in kept])
    _add(dataset, "0008119A", [_failure(one) for one in unnamed])
    warned = any(one.settled.outcome == "kept" for one in kept)
    status = store_status(
        stored=len(kept),
        failed=len(failed),
        warned=warned,
        full=bool(failed) and all(one.reason == "resources" for one in failed),
    )
    body = json.dumps(dataset, separators=(",", ":")).encode()
    return Response(body, status_code=status, media_type="application/dicom+json")


def _reference(kept: Kept, base: str) -> dict[str, Any]:
    instance = kept.reference
    url = (
        f"{base}/studies/{instance.study_instance_uid}/series/{instance.series_instance_uid}"
        f"/instances/{instance.sop_instance_uid}"
    )
    item = {
        "00081150": _value("UI", instance.sop_class_uid),
        "00081155": _value("UI", instance.sop_instance_uid),
        "00081190": _value("UR", url),
    }
    if kept.settled.outcome == "kept":
        item["00081196"] = _value("US", _COERCED)
        item["00000902"] = _value("LT", kept.settled.message)
    return item


def _failure(refusal: Refusal) -> dict[str, Any]:
    item = {}
    if refusal.sop_class_uid:
        item["00081150"] = _value("UI", refusal.sop_class_uid)
    if refusal.sop_instance_uid:
        item["00081155"] = _value("UI", refusal.sop_instance_uid)
    item["00081197"] = _value("US", FAILURE_REASONS[refusal.reason])
    item["00000902"] = _value("LT", refusal.message)
    return item


def _add(dataset: dict[str, Any], tag: str, items: list[dict[str, Any]]) -> None:
    if items:
        dataset[tag] = {"vr": "SQ", "Value": items}


def _value(vr: str, value: str | int) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]}
