"""What another engine pulls: parcels, their manifests, and that no two studies are ever mixed."""

from __future__ import annotations

import hashlib
import json
import shutil

import pytest
from mersey.engine.transfer.manifest import Manifest

STUDY = "/mersey/studies/1.2.3"


@pytest.fixture
def own(samples, tmp_path, run_server):
    """A server over files that the test may change."""
    shutil.copytree(samples.ct.path.parent, tmp_path / "files")
    with run_server(tmp_path / "files", tmp_path / "store", watch=True) as running:
        yield running


def manifest(client, wire: str, path: str = STUDY) -> Manifest:
    answer = client.ask(f"{path}/parcels/0/manifest?wire={wire}")
    assert answer.status == 200, answer.body
    return Manifest.from_json(answer.body)


def test_a_server_says_that_it_is_mersey(client) -> None:
    found = json.loads(client.ask("/mersey").body)
    assert found["protocol"] == 1
    assert found["forms"] == ["as-stored", "zstd", "htj2k"]


def test_the_parcels_of_a_study_are_told_from_the_catalogue(client, samples) -> None:
    found = json.loads(client.ask(f"{STUDY}/parcels").body)
    files = [path for path in samples.ct.path.parent.rglob("*.dcm") if path.name != "cut.dcm"]
    whole = sum(path.stat().st_size for path in files)
    assert found == {
        "parcels": [{"number": 0, "items": len(files), "bytes": whole}],
        "bytes": whole,
    }


def test_as_stored_the_parcel_is_the_files_end_to_end(client) -> None:
    found = manifest(client, "as-stored")
    answer = client.ask(f"{STUDY}/parcels/0?wire=as-stored")
    assert answer.status == 200
    assert answer.headers["etag"] == found.etag
    assert len(answer.body) == found.length_bytes == found.size_bytes
    for item in found.items:
        data = answer.body[item.offset_bytes : item.end_bytes]
        assert hashlib.sha256(data).hexdigest() == item.sha256


@pytest.mark.parametrize("wire", ["zstd", "htj2k"])
def test_other_forms_are_shorter_and_the_same_each_time(client, wire) -> None:
    found = manifest(client, wire)
    assert found.length_bytes < found.size_bytes
    assert found == manifest(client, wire)
    assert found.etag != manifest(client, "as-stored").etag
    answer = client.ask(f"{STUDY}/parcels/0?wire={wire}", headers={"If-Match": found.etag})
    assert len(answer.body) == found.length_bytes


def test_a_series_and_an_instance_have_parcels_of_their_own(client, samples) -> None:
    series = manifest(client, "as-stored", f"{STUDY}/series/1.2.3.2")
    assert [item.series_instance_uid for item in series.items] == ["1.2.3.2"]
    instance = manifest(client, "as-stored", f"/mersey{samples.ct.url}")
    assert [item.sop_instance_uid for item in instance.items] == ["1.2.3.1.1"]


def test_a_range_is_of_the_whole_parcel(client) -> None:
    found = manifest(client, "htj2k")
    whole = client.ask(f"{STUDY}/parcels/0?wire=htj2k").body
    fields = {"Range": "bytes=1000-300000", "If-Range": found.etag}
    answer = client.ask(f"{STUDY}/parcels/0?wire=htj2k", headers=fields)
    assert answer.status == 206
    assert answer.body == whole[1000:300001]


def test_digests_of_stretches_tell_which_is_damaged(client, samples) -> None:
    path = f"/mersey{samples.ct.url}/parcels/0/digests?wire=as-stored&item=0"
    found = json.loads(client.ask(path).body)
    assert found["sha256"] == [hashlib.sha256(samples.ct.path.read_bytes()).hexdigest()]


def test_a_study_that_changed_is_never_continued(own, wait_until) -> None:
    before = manifest(own, "as-stored")
    (own.folder / "odd.dcm").unlink()
    fields = {"If-Match": before.etag}
    wait_until(lambda: own.ask(f"{STUDY}/parcels/0?wire=as-stored", headers=fields).status == 412)
    fields = {"Range": "bytes=10-", "If-Range": before.etag}
    answer = own.ask(f"{STUDY}/parcels/0?wire=as-stored", headers=fields)
    assert answer.status == 200
    assert len(answer.body) == manifest(own, "as-stored").length_bytes


def test_a_file_that_changed_a_moment_ago_is_not_sent_as_what_it_was(own) -> None:
    before = manifest(own, "as-stored")
    path = own.folder / "odd.dcm"
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    item = next(item for item in before.items if item.sha256 == digest)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    fields = {"Range": f"bytes={item.offset_bytes}-{item.end_bytes - 1}", "If-Match": before.etag}
    answer = own.ask(f"{STUDY}/parcels/0?wire=as-stored", headers=fields)
    assert answer.status in (412, 503)


def test_what_was_made_to_travel_is_made_again_with_the_same_tag(own, tmp_path) -> None:
    before = manifest(own, "zstd")
    body = own.ask(f"{STUDY}/parcels/0?wire=zstd").body
    shutil.rmtree(tmp_path / "store" / "wire")
    (tmp_path / "store" / "wire").mkdir()
    answer = own.ask(f"{STUDY}/parcels/0?wire=zstd", headers={"If-Match": before.etag})
    assert answer.status == 200
    assert answer.body == body


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/mersey/studies/9.9/parcels", 404),
        ("/mersey/studies/..%2f..%2fetc/parcels", 404),
        (f"{STUDY}/parcels/7/manifest", 404),
        (f"{STUDY}/parcels/-1/manifest", 400),
        (f"{STUDY}/parcels/{'9' * 40}", 400),
        (f"{STUDY}/parcels/0?wire=gzip", 400),
        (f"{STUDY}/parcels/0/digests?item=99", 400),
        (f"{STUDY}/parcels/0/digests?item=x", 400),
    ],
)
def test_what_is_not_there_or_cannot_be_is_refused(client, path, status) -> None:
    assert client.ask(path).status == status


def test_without_transfers_there_is_dicomweb_alone(samples, tmp_path, run_server) -> None:
    with run_server(samples.ct.path.parent, tmp_path / "store", transfers=False) as running:
        assert running.ask("/mersey").status == 404
        assert running.ask("/dicom-web/studies/1.2.3/series").status == 200
