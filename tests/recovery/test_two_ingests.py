"""Several processes store the same study at once, in one store: there is one result."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from served_store import MERSEY, ServedStore, acknowledged_in, blob_sha256, rows_of, run_json
from stored_files import Maker, Original

pytestmark = pytest.mark.long

_STUDY = 150


def changed(one: Original) -> Original:
    """Other bytes under the same UID."""
    return Original(one.uid, one.data[:-1] + bytes([one.data[-1] ^ 1]))


def verify(store: Path) -> None:
    code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
    assert code == 0, found
    assert not list((store / "incoming").iterdir())


def test_two_servers_and_an_import_take_one_study_at_once(tmp_path: Path) -> None:
    store, folder = tmp_path / "store", tmp_path / "folder"
    maker = Maker(3)
    study = [maker.make() for _ in range(_STUDY)] + [maker.make("document"), maker.make("large")]
    folder.mkdir()
    for one in study:
        (folder / one.uid).write_bytes(one.data)
    servers = [ServedStore(store), ServedStore(store)]
    importing = subprocess.Popen(
        [MERSEY, "import", str(folder), "--store", str(store), "--jobs", "1"],
        stdout=subprocess.DEVNULL,
    )
    try:
        requests = [study, *([one] for one in study[::10]), study[::-1]]
        with ThreadPoolExecutor(6) as threads:
            answers = list(
                threads.map(
                    lambda numbered: servers[numbered[0] % 2].post(numbered[1]),
                    enumerate([*requests, *requests]),
                )
            )
        assert importing.wait(timeout=240) == 0
    finally:
        importing.kill()
        importing.wait()
        for server in servers:
            server.stop()
    for (status, dataset), originals in zip(answers, [*requests, *requests], strict=True):
        assert status == 200
        assert acknowledged_in(dataset) == {one.uid for one in originals}
    rows = rows_of(store)
    assert {uid: sha256 for uid, (_, sha256) in rows.items()} == {
        one.uid: one.sha256 for one in study
    }
    assert len(list((store / "blobs").glob("*/*"))) == len(study)
    assert all(blob_sha256(store, key) == sha256 for key, sha256 in rows.values())
    verify(store)


def test_of_two_that_store_other_bytes_under_the_same_uids_one_is_told(tmp_path: Path) -> None:
    store = tmp_path / "store"
    maker = Maker(4)
    one = [maker.make() for _ in range(_STUDY)]
    other = [changed(original) for original in one]
    servers = [ServedStore(store), ServedStore(store)]
    try:
        with ThreadPoolExecutor(2) as threads:
            answers = list(
                threads.map(
                    lambda pair: pair[0].post(pair[1]), zip(servers, (one, other), strict=True)
                )
            )
    finally:
        for server in servers:
            server.stop()
    told = [acknowledged_in(dataset) for _, dataset in answers]
    assert told[0].isdisjoint(told[1])
    assert told[0] | told[1] == {original.uid for original in one}
    rows = rows_of(store)
    for originals, stored in zip((one, other), told, strict=True):
        for original in originals:
            if original.uid in stored:
                assert rows[original.uid][1] == original.sha256
    verify(store)


@pytest.mark.parametrize("kind", ["small", "document"])
def test_a_flipped_byte_is_found_and_the_blob_set_aside(tmp_path: Path, kind: str) -> None:
    store = tmp_path / "store"
    maker = Maker(5)
    damaged, sound = maker.make(kind), maker.make(kind)
    server = ServedStore(store)
    try:
        assert server.post([damaged, sound])[0] == 200
        key = rows_of(store)[damaged.uid][0]
        path = store / "blobs" / key[:2] / key
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 16
        path.chmod(0o640)
        path.write_bytes(data)
        code, found = run_json("store", "verify", "--store", str(store), "--no-renditions")
        assert (code, damaged.sha256 in str(found) or key in str(found)) == (1, True), found
        assert [one.name.split(".")[0] for one in (store / "quarantine").iterdir()] == [
            key.split(".")[0]
        ]
        series = f"/studies/1.2.3/series/1.2.3.{len(kind)}/instances"
        assert server.get(f"{series}/{damaged.uid}")[0] >= 400
        assert server.get(f"{series}/{sound.uid}")[0] == 200
        # The same bytes again mend it.
        assert server.post([damaged])[0] == 200
        assert blob_sha256(store, key) == damaged.sha256
        assert server.get(f"{series}/{damaged.uid}")[0] == 200
    finally:
        server.stop()
    verify(store)
