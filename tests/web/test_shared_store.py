"""Two servers of one store, behind whatever sends a client now to one and now to the other."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mersey.engine.archive.part_file import PartFile
from mersey.engine.transfer.manifest import Item, Manifest
from mersey.engine.web.rendition_builder import RenditionBuilder
from pydicom.uid import HTJ2KLosslessRPCL

from .uploading import Reply, Wire, raw_file, stored_uids

_STREAM = "application/offset+octet-stream"
_PARTIAL = "application/partial-upload"
_INBOUND = "/mersey/inbound"
_FILE = {"Content_Type": "application/dicom"}


class Peer(Wire):
    """One of the two."""

    def tus(self, method: str, path: str, body: bytes | None = None, **fields: str) -> Reply:
        return self.ask(method, path, body, Tus_Resumable="1.0.0", **fields)

    def create(self, length: int) -> str:
        reply = self.tus("POST", "/uploads", Upload_Length=str(length))
        assert reply.status == 201
        return reply.name

    def patch(self, path: str, offset: int, body: bytes, **fields: str) -> Reply:
        said = {"Upload_Offset": str(offset), "Content_Type": _STREAM} | fields
        return self.tus("PATCH", path, body, **said)

    def holds(self, url: str) -> bytes:
        answer = self.ask("GET", f"/dicom-web{url}", Accept="application/dicom")
        assert answer.status == 200
        return answer.body


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def peers(run_server, store: Path, tmp_path_factory) -> Iterator[tuple[Peer, Peer]]:
    empty = tmp_path_factory.mktemp("empty")
    with run_server(empty, store) as one, run_server(empty, store) as other:
        yield Peer(one.address), Peer(other.address)


@dataclass(frozen=True, slots=True)
class Pushed:
    """A parcel of raw instances as they are, and the requests that bring it."""

    manifest: Manifest
    data: bytes

    @classmethod
    def of(cls, uids: list[str], *, size_bytes: int) -> Pushed:
        items, files = [], [raw_file(uid, size_bytes=size_bytes) for uid in uids]
        for at, (uid, file) in enumerate(zip(uids, files, strict=True)):
            offset, digest = sum(map(len, files[:at])), hashlib.sha256(file).hexdigest()
            size = len(file)
            items.append(Item("1.2.3", "1.2.3.1", uid, size, digest, "stored", offset, size))
        return cls(Manifest(f'"{uids[0]}"', tuple(items)), b"".join(files))

    def begin(self, peer: Peer) -> dict[str, Any]:
        reply = peer.ask("POST", _INBOUND, self.manifest.to_json())
        assert reply.status == 201
        return reply.json()

    def put(self, peer: Peer, path: str, start: int, stop: int) -> int:
        piece = self.data[start:stop]
        digest = base64.b64encode(hashlib.sha256(piece).digest()).decode()
        return peer.ask(
            "PUT",
            path,
            piece,
            Content_Range=f"bytes {start}-{start + len(piece) - 1}/{len(self.data)}",
            Content_Digest=f"sha-256=:{digest}:",
        ).status


def arrived_bytes(store: Path, name: str) -> int:
    """How much of an upload a server has taken from a connection that goes on."""
    return (store / "uploads" / name.rpartition("/")[2] / "data").stat().st_size


def url_of(uid: str) -> str:
    return f"/studies/1.2.3/series/1.2.3.1/instances/{uid}"


def test_an_upload_goes_on_at_whichever_server_is_asked(peers: tuple[Peer, Peer]) -> None:
    data, name = raw_file("1.2.3.9.1", size_bytes=90_000), ""
    for turn, start in enumerate(range(0, len(data), 20_000)):
        here, there = peers if turn % 2 else peers[::-1]
        name = name or here.create(len(data))
        assert there.tus("HEAD", name).offset == start
        reply = here.patch(name, start, data[start : start + 20_000])
        assert (reply.status, reply.offset) == (204, min(start + 20_000, len(data)))
        assert there.patch(name, start, data[start : start + 20_000]).status == 409
    for peer in peers:
        assert stored_uids(peer.ask("GET", name)) == ["1.2.3.9.1"]
        assert peer.holds(url_of("1.2.3.9.1"))[128:] == data[128:]


def test_of_two_that_append_at_two_servers_the_second_is_refused(
    peers: tuple[Peer, Peer], store: Path, wait_until
) -> None:
    here, there = peers
    data = raw_file("1.2.3.9.2", size_bytes=9_000_000)
    name = here.create(len(data))
    fields = {"Tus_Resumable": "1.0.0", "Upload_Offset": "0", "Content_Type": _STREAM}
    with here.begun("PATCH", name, data[:5_000_000], length_bytes=len(data), **fields) as link:
        wait_until(lambda: arrived_bytes(store, name) > 0)
        assert there.patch(name, 0, data[:100]).status == 423
        link.sendall(data[5_000_000:])
        with http.client.HTTPResponse(link) as response:
            response.begin()
            assert response.status == 204
    assert there.tus("HEAD", name).offset == len(data)
    assert there.holds(url_of("1.2.3.9.2"))[128:] == data[128:]


@pytest.mark.parametrize("protocol", ["tus", "ietf"])
def test_who_asks_how_far_it_is_ends_an_append_at_the_other_server(
    peers: tuple[Peer, Peer], store: Path, wait_until, protocol: str
) -> None:
    here, there = peers
    uid = "1.2.3.9.3" if protocol == "tus" else "1.2.3.9.4"
    data, sent, told = raw_file(uid, size_bytes=9_000_000), 5_000_000, list[int]()
    fields = {"Upload_Offset": "0", "Upload_Length": str(len(data))}
    if protocol == "tus":
        name = here.create(len(data))
        fields = {"Upload_Offset": "0", "Tus_Resumable": "1.0.0", "Content_Type": _STREAM}
        rest = {"Tus_Resumable": "1.0.0", "Content_Type": _STREAM}
    else:
        begun = here.ask(
            "POST",
            "/dicom-web/studies",
            b"",
            Content_Type="application/dicom",
            Upload_Complete="?0",
            Upload_Length=str(len(data)),
        )
        assert begun.status == 201
        name = begun.name
        rest = {"Upload_Complete": "?1", "Content_Type": _PARTIAL}
        fields |= rest
    with here.begun("PATCH", name, data[:sent], length_bytes=len(data), **fields):
        wait_until(lambda: arrived_bytes(store, name) > 0)

        def resumed() -> bool:
            told.append(there.ask("HEAD", name, **rest).offset)
            said = {"Upload_Offset": str(told[-1]), **rest}
            with suppress(ConnectionError):  # refused before all of it had left
                return there.ask("PATCH", name, data[told[-1] :], **said).status in (200, 204)
            return False

        wait_until(resumed)  # the client has lost the other connection, and tells nobody
    assert told[-1] > 0
    assert there.holds(url_of(uid))[128:] == data[128:]


def test_what_a_commitment_request_came_to_is_told_by_both(peers: tuple[Peer, Peer]) -> None:
    item = {
        "00081150": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.66"]},
        "00081155": {"vr": "UI", "Value": ["1.2.3.9.1"]},
    }
    lost = item | {"00081155": {"vr": "UI", "Value": ["1.2.3.9.99"]}}
    asked = json.dumps({"00081199": {"vr": "SQ", "Value": [item, lost]}}).encode()
    path = "/dicom-web/commitment-requests/2.25.7"
    answers = [peers[0].ask("POST", path, asked, Content_Type="application/dicom+json")]
    answers += [peer.ask("GET", path) for peer in peers]
    assert {(one.status, one.body) for one in answers} == {(202, answers[0].body)}


def test_a_parcel_is_pushed_to_both_at_once_and_stored_once(peers: tuple[Peer, Peer]) -> None:
    uids = [f"1.2.3.8.{number}" for number in range(1, 9)]
    pushed = Pushed.of(uids, size_bytes=50_000)
    states = [pushed.begin(peer) for peer in peers]
    assert states[0] == states[1]
    path, chance = f"{_INBOUND}/{states[0]['id']}", random.Random(4)
    starts = list(range(0, len(pushed.data), 30_000))
    turns = [(peer, start) for peer in peers for start in starts[::2]]  # each half to both
    turns += [(chance.choice(peers), start) for start in starts[1::2]]
    chance.shuffle(turns)
    with ThreadPoolExecutor(4) as threads:
        puts = [
            threads.submit(pushed.put, peer, path, start, start + 30_000) for peer, start in turns
        ]
        assert {put.result() for put in puts} == {204}
        asked = [threads.submit(peer.ask, "POST", f"{path}/finish") for peer in peers]
        answers = [one.result() for one in asked]
    for answer in answers:
        assert answer.status == 200
        assert stored_uids(answer) == uids
    for peer in peers:
        state = peer.ask("GET", path).json()
        assert (state["missing_bytes"], state["outcomes"]) == (0, {"new": len(uids)})
    for number, item in enumerate(pushed.manifest.items):
        original = pushed.data[item.offset_bytes : item.end_bytes]
        assert peers[number % 2].holds(url_of(item.sop_instance_uid))[128:] == original[128:]
    assert peers[1].ask("DELETE", path).status == 204
    for peer in peers:
        assert peer.ask("GET", path).status == 404
    assert pushed.begin(peers[0])["outcomes"] == {"same": len(uids)}


@pytest.mark.parametrize("wire", ["as-stored", "zstd", "htj2k"])
def test_a_parcel_that_one_began_to_send_the_other_goes_on_with(
    peers: tuple[Peer, Peer], store: Path, tmp_path: Path, make_instance, make_ct_samples, wire: str
) -> None:
    study = {"as-stored": "1.2.71", "zstd": "1.2.72", "htj2k": "1.2.73"}[wire]
    for number in (1, 2):
        sample = make_instance(
            tmp_path / "ct.dcm",
            f"{study}.1.{number}",
            make_ct_samples(4, 64, number),
            study=study,
            series=f"{study}.1",
        )
        data = sample.path.read_bytes()
        path = "/dicom-web/studies"
        assert peers[0].ask("POST", path, data, **_FILE).status == 200
    path = f"/mersey/studies/{study}/parcels/0?wire={wire}"
    whole = peers[0].ask("GET", path)
    made = {found: found.stat().st_ino for found in (store / "wire").iterdir()}
    for turn in range(4):
        peer, start = peers[(turn + 1) % 2], turn * len(whole.body) // 4
        said = {"Range": f"bytes={start}-", "If_Match": whole.headers["etag"]}
        answer = peer.ask("GET", path, **said)
        assert (answer.status, answer.body) == (206, whole.body[start:])
    assert {found: found.stat().st_ino for found in made} == made  # what either sends of


def test_a_rendition_that_another_server_is_building_is_waited_for(
    peers: tuple[Peer, Peer],
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_instance,
    make_ct_samples,
) -> None:
    left, leave = threading.Event(), RenditionBuilder._leave_to_other

    async def leave_seen(builder: RenditionBuilder, order: Any) -> None:
        left.set()
        await leave(builder, order)

    monkeypatch.setattr(RenditionBuilder, "_leave_to_other", leave_seen)
    where = {"study": "1.2.74", "series": "1.2.74.1"}
    sample = make_instance(tmp_path / "ct.dcm", "1.2.74.1.1", make_ct_samples(2, 64), **where)
    data, path = sample.path.read_bytes(), f"/dicom-web{sample.url}"
    assert peers[0].ask("POST", "/dicom-web/studies", data, **_FILE).status == 200
    accept = f"application/dicom; transfer-syntax={HTJ2KLosslessRPCL}"
    before = set((store / "renditions").rglob("*.dcm"))
    whole = peers[0].ask("GET", path, Accept=accept)
    assert whole.status == 200
    (target,) = set((store / "renditions").rglob("*.dcm")) - before
    target.unlink()
    with ThreadPoolExecutor(2) as threads:
        with PartFile(target, identity="of one that is being built"):
            asked = [threads.submit(peer.ask, "GET", path, Accept=accept) for peer in peers]
            assert left.wait(240)
        answers = [one.result() for one in asked]
    assert {(one.status, one.body) for one in answers} == {(200, whole.body)}
