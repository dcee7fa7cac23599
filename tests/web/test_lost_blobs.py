"""An instance whose blob is lost: it is listed, and whatever needs its bytes says so."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from mersey.engine.archive.blobs import Ready
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.transfer.body import BlobSlice, Segment
from mersey.engine.web import server
from mersey.engine.web.streamed import StreamedResponse

_STUDY = "1.2.3"
_LOST, _SOUND = "1.2.3.1.1", "1.2.3.1.2"
_MENDED = "1.2.4.1.3"
_CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary=bound'
_PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_ZIP = "application/zip; transfer-syntax=*"
_FRAME = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"


class Elsewhere(DirectoryBlobs):
    """A store whose blobs are no local files."""

    def path_of(self, key: str) -> None:  # type: ignore[override]
        return None


class Seen(NamedTuple):
    """A server whose blobs are elsewhere, and were there a moment ago: their files, by UID."""

    client: Any
    blobs: dict[str, Path]
    urls: dict[str, str]


@pytest.fixture
def seen(tmp_path: Path, monkeypatch, make_instance, make_ct_samples, run_server) -> Iterator[Seen]:
    monkeypatch.setattr(server, "open_blobs", lambda _, *, local: Elsewhere(local))
    files, blobs, urls = [], {}, {}
    for number in (1, 2, 3):
        uid = f"1.2.5.1.{number}"
        where = {"study": "1.2.5", "series": "1.2.5.1"}
        one = make_instance(tmp_path / uid, uid, make_ct_samples(2, 64, number), **where)
        files.append(one.path.read_bytes())
        key = f"{hashlib.sha256(files[-1]).hexdigest()}.dcm"
        blobs[uid], urls[uid] = tmp_path / "store" / "blobs" / key[:2] / key, one.url
    (tmp_path / "nothing").mkdir()
    with run_server(tmp_path / "nothing", tmp_path / "store") as client:
        assert post(client.address, files) == 200
        assert client.get("/studies/1.2.5", _PARTS).status == 200
        for url in urls.values():
            assert client.get(url, "application/dicom").status == 200
        yield Seen(client, blobs, urls)


class Archive(NamedTuple):
    """A served store with three instances; the blobs of all but `_SOUND` are lost."""

    client: Any
    originals: dict[str, bytes]
    urls: dict[str, str]
    blobs: dict[str, Path]


@pytest.fixture(params=["in a folder", "elsewhere"], scope="module")
def archive(
    request, tmp_path_factory, make_instance, make_ct_samples, run_server
) -> Iterator[Archive]:
    store, nothing = tmp_path_factory.mktemp("store"), tmp_path_factory.mktemp("nothing")
    made, files = {}, tmp_path_factory.mktemp("files")
    for seed, uid in enumerate((_LOST, _SOUND, _MENDED)):
        where = {"study": "1.2.4", "series": "1.2.4.1"} if uid == _MENDED else {}
        samples = make_ct_samples(2, 64, seed=seed)
        made[uid] = make_instance(files / f"{uid}.dcm", uid, samples, **where)
    originals = {uid: one.path.read_bytes() for uid, one in made.items()}
    blobs = {}
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "elsewhere":
            patch.setattr(server, "open_blobs", lambda _, *, local: Elsewhere(local))
        with run_server(nothing, store) as client:
            assert post(client.address, originals.values()) == 200
            for uid, data in originals.items():
                key = f"{hashlib.sha256(data).hexdigest()}.dcm"
                blobs[uid] = store / "blobs" / key[:2] / key
                if uid != _SOUND:
                    blobs[uid].unlink()
            urls = {uid: one.url for uid, one in made.items()}
            yield Archive(client, originals, urls, blobs)


def post(address: str, files: Any, path: str = "/dicom-web/studies") -> int:
    body = b"".join(
        b"--bound\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in files
    )
    return send(address, path, body + b"--bound--\r\n", _CONTENT_TYPE)[0]


def send(address: str, path: str, body: bytes, content_type: str) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=240)) as connection:
        connection.request("POST", path, body, {"Content-Type": content_type})
        answer = connection.getresponse()
        return answer.status, answer.read()


def served(data: bytes) -> bytes:
    return bytes(128) + data[128:]


def test_the_instance_is_an_error_in_every_form_and_the_others_are_not(archive: Archive) -> None:
    url = archive.urls[_LOST]
    for path, accept in (
        (url, "application/dicom"),
        (f"{url}/frames/1", _FRAME),
        (f"{url}/rendered", "image/jpeg"),
        (f"{url}/thumbnail", "image/jpeg"),
    ):
        assert archive.client.get(path, accept).status == 500, path
    assert "lost" in json.loads(archive.client.get(url, "application/dicom").body)["message"]
    sound = archive.client.get(archive.urls[_SOUND], "application/dicom")
    assert (sound.status, sound.body) == (200, served(archive.originals[_SOUND]))


@pytest.mark.parametrize("accept", [_PARTS, _ZIP])
@pytest.mark.parametrize("level", ["study", "series"])
def test_its_study_and_series_are_not_given_short(
    archive: Archive, accept: str, level: str
) -> None:
    path = f"/studies/{_STUDY}"
    if level == "series":
        path = archive.urls[_LOST].rpartition("/instances")[0]
    answer = archive.client.get(path, accept)
    message = json.loads(answer.body)["message"]
    assert answer.status == 500
    assert "1 of 2" in message
    assert _LOST in message
    assert _SOUND not in message


def test_who_pulls_its_study_is_told(archive: Archive) -> None:
    answer = archive.client.ask(f"/mersey/studies/{_STUDY}/parcels")
    assert (answer.status, _LOST in json.loads(answer.body)["message"]) == (500, True)
    instance = archive.urls[_SOUND]
    assert archive.client.ask(f"/mersey{instance}/parcels").status == 200


def test_pictures_of_its_series_are_refused_but_another_may_stand_for_it(archive: Archive) -> None:
    series = archive.urls[_LOST].rpartition("/instances")[0]
    parts = 'multipart/related; type="image/jpeg"'
    assert archive.client.get(f"{series}/rendered", parts).status == 500
    assert archive.client.get(f"{series}/thumbnail", "image/jpeg").status == 200


def test_it_is_found_and_described_as_before(archive: Archive) -> None:
    found = json.loads(
        archive.client.get(f"/studies/{_STUDY}/instances", "application/dicom+json").body
    )
    assert {one["00080018"]["Value"][0] for one in found} == {_LOST, _SOUND}
    whole = archive.client.get(f"/studies/{_STUDY}/metadata", "application/dicom+json")
    described = json.loads(whole.body)
    assert {one["00080018"]["Value"][0] for one in described} == {_LOST, _SOUND}
    alone = archive.client.get(f"{archive.urls[_LOST]}/metadata", "application/dicom+json")
    assert alone.status == 200
    assert json.loads(alone.body)[0] in described


def test_the_same_bytes_again_mend_it(archive: Archive) -> None:
    url, data = archive.urls[_MENDED], archive.originals[_MENDED]
    assert archive.client.get(url, "application/dicom").status == 500
    assert post(archive.client.address, [data]) == 200
    assert archive.blobs[_MENDED].read_bytes() == data
    mended = archive.client.get(url, "application/dicom")
    assert (mended.status, mended.body) == (200, served(data))
    assert archive.client.get("/studies/1.2.4", _PARTS).status == 200


def test_who_pushes_is_not_told_that_it_is_there(archive: Archive) -> None:
    pairs = [[uid, hashlib.sha256(archive.originals[uid]).hexdigest()] for uid in (_LOST, _SOUND)]
    status, answer = send(
        archive.client.address,
        "/mersey/inbound/known",
        json.dumps(pairs).encode(),
        "application/json",
    )
    assert status == 200
    assert [pairs[at][0] for at in json.loads(answer)["known"]] == [_SOUND]


@pytest.mark.parametrize("accept", [_PARTS, _ZIP])
def test_one_that_is_lost_where_an_answer_begins_is_an_error(seen: Seen, accept: str) -> None:
    uid = "1.2.5.1.1"
    seen.blobs[uid].unlink()
    answer = seen.client.get("/studies/1.2.5", accept)
    assert answer.status == 500
    assert json.loads(answer.body)["message"] == "the blob is gone"
    again = seen.client.get("/studies/1.2.5", accept)
    assert (again.status, uid in json.loads(again.body)["message"]) == (500, True)
    assert seen.client.get(seen.urls[uid], "application/dicom").status == 500


@pytest.mark.parametrize("accept", [_PARTS, _ZIP])
def test_one_that_is_lost_in_the_middle_cuts_the_connection_and_is_known_then(
    seen: Seen, accept: str
) -> None:
    uid = "1.2.5.1.2"
    seen.blobs[uid].unlink()
    with pytest.raises(http.client.IncompleteRead):
        seen.client.get("/studies/1.2.5", accept)
    again = seen.client.get("/studies/1.2.5", accept)
    assert (again.status, uid in json.loads(again.body)["message"]) == (500, True)


def test_a_parcel_of_one_that_is_lost_is_cut_and_refused_then(seen: Seen, wait_until) -> None:
    uid, path = "1.2.5.1.2", "/mersey/studies/1.2.5/parcels"
    assert seen.client.ask(f"{path}/0").status == 200
    seen.blobs[uid].unlink()
    with pytest.raises(http.client.IncompleteRead):
        seen.client.ask(f"{path}/0")
    wait_until(lambda: seen.client.ask(path).status == 500)
    assert uid in json.loads(seen.client.ask(path).body)["message"]


@pytest.mark.parametrize(("lost", "told"), [(1, [500, "ended"]), (2, [200])])
def test_what_is_streamed_while_it_is_made_ends_only_where_it_is_whole(
    tmp_path: Path, lost: int, told: list[Any]
) -> None:
    blobs, keys = Elsewhere(tmp_path), []
    for number in (1, 2):
        keys.append(f"{hashlib.sha256(bytes([number])).hexdigest()}.dcm")
        (blobs.incoming / keys[-1]).write_bytes(bytes([number]))
    blobs.commit([Ready(str(blobs.incoming / key), key) for key in keys])
    blobs.remove(keys[lost - 1])

    async def made() -> AsyncGenerator[tuple[Segment, ...]]:
        for key in keys:
            yield (b"head", BlobSlice(key, 0, 1))

    async def main() -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        answer = StreamedResponse(made, etag='"a"', content_type="text/plain", headers={})
        scope = {"type": "http", "method": "GET", "headers": []}
        await answer.reading(blobs)(scope, asyncio.Event().wait, send)
        ended = ["ended"] if not sent[-1].get("more_body", False) else []
        return [sent[0]["status"], *ended]

    assert asyncio.run(main()) == told
