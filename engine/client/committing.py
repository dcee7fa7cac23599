"""Storage Commitment: asking an archive whether it keeps what it got (PS3.18 chapter 13)."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Mapping
from io import BytesIO
from itertools import batched
from typing import Any

from ...codecs.errors import FormatError, TransferError
from .connections import Connections
from .remote import RefusedByPeerError, Remote, read_bounded

__all__ = ["commit"]

_AT_ONCE = 5000
_ANSWER_BYTES = 64 << 20
_MOST_POLLS = 60
_SLOWEST_S = 10.0
_ANSWERS = frozenset({200, 202, 409})


async def commit(
    remote: Remote, connections: Connections, classes: Mapping[str, str], failed: dict[str, str]
) -> int | None:
    """How many of the instances are committed; those that are not are put into `failed`.

    Parameters
    ----------
    classes
        SOP Class UIDs by SOP Instance UIDs.

    Returns
    -------
    int, or None
        None where the archive offers no Storage Commitment, or its answer says nothing.

    Raises
    ------
    TransferError
        The archive cannot be reached.
    """
    committed = 0
    for some in batched(classes.items(), _AT_ONCE):
        try:
            found = await _asked(remote, connections, dict(some))
        except RefusedByPeerError as error:
            if error.is_passing:
                raise
            return None
        except FormatError:
            return None
        committed += len(found[0] & {uid for uid, _ in some})
        for uid, reason in found[1].items():
            failed[uid] = f"the archive does not commit itself to it (0x{reason:04X})"
    return committed


async def _asked(
    remote: Remote, connections: Connections, classes: Mapping[str, str]
) -> tuple[set[str], dict[str, int]]:
    """The committed ones, and the failed ones with their reasons."""
    transaction = f"2.25.{uuid.uuid4().int}"
    url = f"{remote.address.base}/commitment-requests/{transaction}"
    items = [
        {
            "00081150": {"vr": "UI", "Value": [class_uid]},
            "00081155": {"vr": "UI", "Value": [uid]},
        }
        for uid, class_uid in classes.items()
    ]
    body = json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()
    found = await connections.tried(lambda: _answer(remote, "POST", url, body))
    delay_s = 0.5
    for _ in range(_MOST_POLLS):
        if found is not None:
            return found
        await asyncio.sleep(delay_s)
        delay_s = min(2 * delay_s, _SLOWEST_S)
        found = await connections.tried(lambda: _answer(remote, "GET", url, None))
    raise TransferError("the archive did not come to an end with Storage Commitment")


async def _answer(
    remote: Remote, method: str, url: str, body: bytes | None
) -> tuple[set[str], dict[str, int]] | None:
    """What is told; None where nothing is told yet."""
    fields = {"Accept": "application/dicom+json"}
    if body is not None:
        fields["Content-Type"] = "application/dicom+json"
    async with remote.request(
        method, url, headers=fields, data=body and BytesIO(body), may_answer=_ANSWERS
    ) as response:
        data = await read_bounded(response, _ANSWER_BYTES)
        status = response.status
    try:
        model: Any = json.loads(data) if data.strip() else {}
        model = model[0] if isinstance(model, list) and model else model
        committed = {
            str(item["00081155"]["Value"][0]) for item in model.get("00081199", {}).get("Value", [])
        }
        refused = {
            str(item["00081155"]["Value"][0]): int(
                item.get("00081197", {}).get("Value", [0x0110])[0]
            )
            for item in model.get("00081198", {}).get("Value", [])
        }
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise FormatError("the answer about Storage Commitment is no data set") from error
    if not committed and not refused:
        if status == 202:
            return None
        raise FormatError("the answer about Storage Commitment says nothing")
    return committed, refused
