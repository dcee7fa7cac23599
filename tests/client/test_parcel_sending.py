"""Sending parcels: what the wire changes in a question or an answer does no harm."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from mersey.codecs.errors import TransferError
from mersey.engine.client.connections import Backoff, Connections
from mersey.engine.client.parcel_sending import ParcelSender
from mersey.engine.client.push_parcels import OutgoingParcel
from mersey.engine.client.push_report import PushReport
from mersey.engine.client.rates import RateLimit
from mersey.engine.client.remote import RefusedByPeerError
from mersey.engine.transfer.body import Body
from mersey.engine.transfer.manifest import Item, Manifest

DATA = b"bytes of an instance"
MANIFEST = Manifest(
    '"a"', (Item("1.2", "1.2.3", "1.2.3.4", 20, hashlib.sha256(DATA).hexdigest(), "stored", 0, 20),)
)
ID = hashlib.sha256(MANIFEST.to_json()).hexdigest()


class FakeRemote:
    """Answers with `answers`, one after the other; notes what is asked."""

    def __init__(self, answers: Sequence[dict[str, Any] | int]) -> None:
        self.address = SimpleNamespace(mersey="http://there/mersey")
        self.asked: list[str] = []
        self._answers = list(answers)

    async def read(self, method: str, url: str, **_: Any) -> bytes:
        self.asked.append(f"{method} {url.rpartition('/')[2]}")
        answer = self._answers.pop(0)
        if isinstance(answer, int):
            raise RefusedByPeerError("refused", status=answer)
        return json.dumps(answer).encode()


def state(parcel_id: str, *missing: tuple[int, int]) -> dict[str, Any]:
    return {"id": parcel_id, "missing": list(missing), "outcomes": {}, "damaged": []}


def send(answers: Sequence[dict[str, Any] | int]) -> list[str]:
    """What is asked where the other end gives these answers."""
    remote = FakeRemote(answers)
    connections = Connections(most=1, backoff=Backoff(first_s=0.0, longest_s=0.0))
    sender = ParcelSender(
        remote,  # type: ignore[arg-type]
        connections,
        RateLimit(None),
        PushReport(),
        lambda _: None,
    )
    parcel = OutgoingParcel((), MANIFEST, Body.of((DATA,), etag='"a"'), Path("absent"))
    assert asyncio.run(sender.send(parcel)) == ID
    return remote.asked


def test_what_is_missing_is_sent_and_asked_for_again() -> None:
    asked = send([state(ID, (0, 20)), {}, state(ID)])
    assert asked == ["POST inbound", f"PUT {ID}", "POST inbound"]


@pytest.mark.parametrize("answer", [state("0" * 64, (0, 20)), {}, [], 400, 503])
def test_a_manifest_that_was_changed_on_its_way_is_sent_again(answer: Any) -> None:
    asked = send([answer, state(ID)])
    assert asked == ["POST inbound", "POST inbound"]


def test_a_manifest_that_is_refused_again_and_again_is_given_up() -> None:
    with pytest.raises(TransferError):
        send([400] * 4)


@pytest.mark.parametrize("status", [400, 404, 503])
def test_a_piece_that_is_refused_is_sent_again(status: int) -> None:
    again = [state(ID, (0, 20))] if status == 404 else []
    asked = send([state(ID, (0, 20)), status, *again, {}, state(ID)])
    assert asked.count(f"PUT {ID}") == 2
