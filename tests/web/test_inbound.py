"""Parcels that are pushed: what is refused counts for nothing, what counts is stored as it was."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from mersey.engine.transfer.manifest import Item, Manifest
from pydicom import dcmread

ROOT = "/mersey/inbound"


class Pusher:
    """Plain requests to the server at `address`, whose store is `store`."""

    def __init__(self, address: str, store: Path, files: list[Path]) -> None:
        self._host, self.store, self.files = urlsplit(address).netloc, store, files
        self._before: set[str] = set()
        self._before = self.blobs()
        self.data = b"".join(file.read_bytes() for file in files)

    def ask(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(self._host, timeout=240)
        try:
            fields = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            data = response.read()
            return response.status, json.loads(data) if data else {}
        finally:
            connection.close()

    def manifest(self, etag: str, **changes: Any) -> Manifest:
        """The manifest of the files, the first item with `changes`."""
        items, offset = [], 0
        for file in self.files:
            ds, data = dcmread(file, stop_before_pixels=True), file.read_bytes()
            item = Item(
                str(ds.StudyInstanceUID),
                str(ds.SeriesInstanceUID),
                str(ds.SOPInstanceUID),
                len(data),
                hashlib.sha256(data).hexdigest(),
                "stored",
                offset,
                len(data),
            )
            items.append(replace(item, **changes) if not items else item)
            offset += len(data)
        return Manifest(f'"{etag}"', tuple(items))

    def begin(self, manifest: Manifest) -> tuple[int, dict[str, Any]]:
        return self.ask("POST", ROOT, manifest.to_json())

    def put(
        self,
        parcel: str,
        start: int,
        stop: int,
        *,
        data: bytes | None = None,
        total: int | None = None,
        digest: bytes | None = None,
    ) -> int:
        data = self.data[start:stop] if data is None else data
        digest = hashlib.sha256(data).digest() if digest is None else digest
        return self.ask(
            "PUT",
            f"{ROOT}/{parcel}",
            data,
            Content_Range=f"bytes {start}-{stop - 1}/{len(self.data) if total is None else total}",
            Content_Digest=f"sha-256=:{base64.b64encode(digest).decode()}:",
        )[0]

    def blobs(self) -> set[str]:
        """What is stored since the test began."""
        return {path.name for path in (self.store / "blobs").rglob("*.dcm*")} - self._before


@pytest.fixture(scope="module")
def served(tmp_path_factory, run_server) -> Iterator[tuple[str, Path]]:
    empty, store = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("store")
    with run_server(empty, store) as client:
        yield client.address, store


@pytest.fixture
def pusher(
    tmp_path: Path, served: tuple[str, Path], make_instance, make_ct_samples
) -> Iterator[Pusher]:
    address, store = served
    series = f"1.2.9.{uuid.uuid4().int % 10**12}"
    files = []
    for number in (1, 2, 3):
        path = tmp_path / f"{number}.dcm"
        samples = make_ct_samples(1, 64, number)
        make_instance(path, f"{series}.{number}", samples, series=series)
        files.append(path)
    pusher = Pusher(address, store, files)
    yield pusher
    shutil.rmtree(store / "inbound", ignore_errors=True)


def test_a_parcel_arrives_byte_for_byte_in_pieces_of_any_order_sent_twice(pusher: Pusher) -> None:
    status, state = pusher.begin(pusher.manifest("a"))
    assert status == 201
    assert state["missing"] == [[0, len(pusher.data)]]
    cuts = list(range(0, len(pusher.data), 5000))
    for start in [*reversed(cuts), *cuts]:
        assert pusher.put(state["id"], start, min(start + 5000, len(pusher.data))) == 204

    status, answer = pusher.ask("POST", f"{ROOT}/{state['id']}/finish")

    assert status == 200
    assert len(answer["00081199"]["Value"]) == 3
    found = {hashlib.sha256(file.read_bytes()).hexdigest() + ".dcm" for file in pusher.files}
    assert pusher.blobs() == found
    assert pusher.ask("DELETE", f"{ROOT}/{state['id']}")[0] == 204
    assert pusher.ask("GET", f"{ROOT}/{state['id']}")[0] == 404
    assert pusher.begin(pusher.manifest("b"))[1]["outcomes"] == {"same": 3}


def test_finish_says_that_bytes_are_missing(pusher: Pusher) -> None:
    _, state = pusher.begin(pusher.manifest("a"))
    assert pusher.put(state["id"], 0, 100) == 204
    assert pusher.ask("POST", f"{ROOT}/{state['id']}/finish")[0] == 409
    _, state = pusher.ask("GET", f"{ROOT}/{state['id']}")
    assert state["missing"] == [[100, len(pusher.data)]]


def test_what_is_wrong_with_a_piece_is_told_and_counts_for_nothing(pusher: Pusher) -> None:
    _, state = pusher.begin(pusher.manifest("a"))
    parcel, length = state["id"], len(pusher.data)
    path = f"{ROOT}/{parcel}"
    assert pusher.put(parcel, 0, 100, digest=bytes(32)) == 400
    assert pusher.put(parcel, 0, 100, data=bytes(100), digest=b"short") == 400
    assert pusher.put(parcel, 0, 100, data=bytes(99)) == 400
    assert pusher.put(parcel, 0, 100, data=bytes(101)) == 400
    assert pusher.put(parcel, 0, 100, total=length + 1) == 416
    assert pusher.put(parcel, length, length + 10, data=bytes(10)) == 416
    assert pusher.put("ab" * 32, 0, 100) == 404
    assert pusher.put("..", 0, 100) == 404
    for field in ("", "bytes 9-5/10", "bytes -5/10", "bytes 0-99/*", "lines 0-99/100"):
        assert pusher.ask("PUT", path, bytes(100), Content_Range=field)[0] == 400
    undigested = f"bytes 0-99/{length}"
    assert pusher.ask("PUT", path, pusher.data[:100], Content_Range=undigested)[0] == 400
    assert pusher.ask("GET", path)[1]["missing"] == [[0, length]]
    assert pusher.blobs() == set()


def test_a_manifest_that_lies_in_form_begins_nothing(pusher: Pusher) -> None:
    good = json.loads(pusher.manifest("a").to_json())
    for place, value in (
        (0, "../../etc/passwd"),
        (2, "1.2/../3"),
        (3, -1),
        (3, 1 << 60),
        (4, "AB" * 32),
        (5, "gzip"),
        (6, 7),
    ):
        bad = json.loads(json.dumps(good))
        bad["items"][0][place] = value
        assert pusher.ask("POST", ROOT, json.dumps(bad).encode())[0] == 400
    assert pusher.ask("POST", ROOT, b"[" * 100_000)[0] == 400
    assert pusher.ask("POST", ROOT, b" " * (5 << 20))[0] == 413
    assert pusher.ask("POST", f"{ROOT}/known", b'{"a": 1}')[0] == 400
    folder = pusher.store / "inbound"
    assert not folder.exists() or not list(folder.iterdir())


def test_a_manifest_larger_than_the_disk_is_refused_unread(pusher: Pusher) -> None:
    size = 1 << 46
    huge = pusher.manifest("huge", size_bytes=size, length_bytes=size).to_json()
    assert pusher.ask("POST", ROOT, huge)[0] == 507


def test_bytes_without_the_digest_of_the_manifest_are_missing_again_then_given_up(
    pusher: Pusher,
) -> None:
    manifest = pusher.manifest("a", sha256="cd" * 32)
    _, state = pusher.begin(manifest)
    path, first = f"{ROOT}/{state['id']}", manifest.items[0].length_bytes
    assert pusher.put(state["id"], first, len(pusher.data)) == 204
    for _ in range(2):
        assert pusher.put(state["id"], 0, first) == 204
        assert pusher.ask("POST", f"{path}/finish")[0] == 409
        assert pusher.ask("GET", path)[1]["missing"] == [[0, first]]
    assert pusher.put(state["id"], 0, first) == 204
    status, _ = pusher.ask("POST", f"{path}/finish")
    assert status == 202
    assert pusher.ask("GET", path)[1]["damaged"] == [0]
    assert len(pusher.blobs()) == 2


def test_an_instance_under_another_name_is_refused(pusher: Pusher) -> None:
    _, state = pusher.begin(pusher.manifest("a", sop_instance_uid="1.2.9.1.77"))
    assert pusher.put(state["id"], 0, len(pusher.data)) == 204
    status, answer = pusher.ask("POST", f"{ROOT}/{state['id']}/finish")
    assert status == 202
    assert answer["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]
    assert len(pusher.blobs()) == 2
