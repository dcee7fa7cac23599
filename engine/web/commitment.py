"""Storage Commitment: whether named instances are safe here (PS3.18 chapter 13, PS3.4 Annex J).

An instance is committed if the catalogue knows it, with that SOP Class, and its blob or its file
is there. That is looked up while the client waits, so the answer to POST is final. For GET it is
kept in the catalogue: any server that shares that gives it, and one that was started anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ...codecs.errors import MerseyError, UsageError
from ..archive.blobs import BlobStore
from ..archive.catalogue import Catalogue
from ..archive.commitment_answers import CommitmentAnswers
from ..archive.entry import Place, is_uid
from .holdings import is_current, require_uid
from .status import Reason, RefusedError, commitment_status

__all__ = ["Commitments"]

_MAX_BODY_BYTES = 64 << 20
_MAX_INSTANCES = 100_000

_NO_SUCH_INSTANCE = 0x0112
_CLASS_CONFLICT = 0x0119
_FAILURE = 0x0110
_SOP_CLASS, _SOP_INSTANCE = "00081150", "00081155"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Asked:
    sop_class_uid: str
    sop_instance_uid: str


class Commitments:
    """Answers commitment requests from `catalogue` and `blobs`. For one event loop."""

    def __init__(self, catalogue: Catalogue, blobs: BlobStore) -> None:
        self._catalogue = catalogue
        self._blobs = blobs
        self._answers = CommitmentAnswers(catalogue.database)

    async def request(self, request: Request, transaction_uid: str) -> Response:
        """``POST /commitment-requests/{uid}``: look, and answer at once.

        Raises
        ------
        UsageError
            The body has no Referenced SOP Sequence, or one that is too long.
        RefusedError
            The transaction's UID is none, or the body is too long.
        """
        require_uid(transaction_uid)
        try:
            asked = _parse(await _body(request))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is there to read it
        found = await asyncio.to_thread(self._look, asked)
        answer = json.dumps(found, separators=(",", ":")).encode()
        try:
            await asyncio.to_thread(self._answers.keep, transaction_uid, answer)
        except MerseyError as error:  # it is no less true
            _log.warning("the answer to a commitment request is not kept: %s", error)
        return _response(answer)

    async def result(self, transaction_uid: str) -> Response:
        """``GET /commitment-requests/{uid}``: the answer again, as long as it is kept.

        Raises
        ------
        RefusedError
            There is no such transaction.
        """
        require_uid(transaction_uid)
        answer = await asyncio.to_thread(self._answers.find, transaction_uid)
        if answer is None:
            raise RefusedError("no such transaction", reason=Reason.NOT_FOUND)
        return _response(answer)

    def _look(self, asked: list[_Asked]) -> dict[str, Any]:
        committed, failed = [], []
        places = self._catalogue.places([one.sop_instance_uid for one in asked])
        for one in asked:
            reason = self._reason_against(one, places.get(one.sop_instance_uid))
            item: dict[str, Any] = {
                _SOP_CLASS: {"vr": "UI", "Value": [one.sop_class_uid]},
                _SOP_INSTANCE: {"vr": "UI", "Value": [one.sop_instance_uid]},
            }
            if reason is None:
                committed.append(item)
            else:
                failed.append(item | {"00081197": {"vr": "US", "Value": [reason]}})
        dataset: dict[str, Any] = {}
        if failed:
            dataset["00081198"] = {"vr": "SQ", "Value": failed}
        if committed:
            dataset["00081199"] = {"vr": "SQ", "Value": committed}
        return dataset

    def _reason_against(self, asked: _Asked, place: Place | None) -> int | None:
        if place is None:
            return _NO_SUCH_INSTANCE
        if place.sop_class_uid != asked.sop_class_uid:
            return _CLASS_CONFLICT
        return None if self._is_there(place) else _FAILURE

    def _is_there(self, place: Place) -> bool:
        if place.blob_key:
            return self._blobs.size(place.blob_key) is not None
        return is_current(place)


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > _MAX_BODY_BYTES:
            message = f"a body of more than {_MAX_BODY_BYTES} bytes"
            raise RefusedError(message, reason=Reason.TOO_LARGE)
    return bytes(data)


def _parse(body: bytes) -> list[_Asked]:
    """The Referenced SOP Sequence (0008,1199) of the request."""
    try:
        model = json.loads(body)
        model = model[0] if isinstance(model, list) else model
        items = model["00081199"]["Value"]
        asked = [
            _Asked(item[_SOP_CLASS]["Value"][0], item[_SOP_INSTANCE]["Value"][0]) for item in items
        ]
    except (LookupError, TypeError, ValueError, RecursionError):
        message = "expected a data set in DICOM JSON with a Referenced SOP Sequence"
        raise UsageError(message) from None
    if not asked or len(asked) > _MAX_INSTANCES:
        raise UsageError(f"{len(asked)} instances named, expected 1 to {_MAX_INSTANCES}")
    for one in asked:
        for uid in (one.sop_class_uid, one.sop_instance_uid):
            if not isinstance(uid, str) or not is_uid(uid):
                raise UsageError("a reference whose UID is none")
    return asked


def _response(answer: bytes) -> Response:
    model = json.loads(answer)
    status = commitment_status(committed="00081199" in model, failed="00081198" in model)
    return Response(answer, status_code=status, media_type="application/dicom+json")
