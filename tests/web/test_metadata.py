"""Metadata as an answer: the same bytes and the same entity tag wherever it comes from."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

LEVELS = ("/studies/1.2.3", "/studies/1.2.3/series/1.2.3.1")


def change_kept(store, statement: str) -> None:
    file = store / "catalogue.sqlite"
    with closing(sqlite3.connect(file, timeout=240)) as connection, connection:
        connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE instances SET metadata_json = NULL",
        "UPDATE instances SET metadata_json = NULL WHERE instance_number = 2",
        "UPDATE instances SET metadata_json = x'28b52ffd00' WHERE instance_number = 1",
    ],
    ids=["none is kept", "one is not kept", "one is damaged"],
)
def test_what_is_not_kept_is_made_again_and_is_the_same(
    tmp_path, run_server, make_instance, make_ct_samples, statement
) -> None:
    folder, store = tmp_path / "files", tmp_path / "store"
    folder.mkdir()
    samples = [
        make_instance(folder / f"{n}.dcm", f"1.2.3.1.{n}", make_ct_samples(1, 16)) for n in (1, 2)
    ]
    paths = [f"{path}/metadata" for path in (*LEVELS, *(sample.url for sample in samples))]
    with run_server(folder, store) as client:
        before = [client.get(path) for path in paths]
        kept = [client.get(path) for path in paths]
        change_kept(store, statement)
        after = [client.get(path) for path in paths]
        again = [client.get(path) for path in paths]
    for one, *others in zip(before, kept, after, again, strict=True):
        assert one.status == 200
        for other in others:
            assert (other.body, other.headers["etag"]) == (one.body, one.headers["etag"])
    assert len(json.loads(before[0].body)) == 2


def test_the_metadata_of_a_series_is_its_instances_end_to_end(client, samples) -> None:
    series = json.loads(client.get("/studies/1.2.3/series/1.2.3.1/metadata").body)
    (one,) = json.loads(client.get(f"{samples.ct.url}/metadata").body)
    assert one in series
    numbers = [found["00200013"]["Value"][0] for found in series]
    assert numbers == sorted(numbers)


def test_an_entity_tag_spares_the_transfer(client, samples) -> None:
    path = f"{samples.ct.url}/metadata"
    etag = client.get(path).headers["etag"]
    answer = client.get(path, If_None_Match=etag)
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/studies/1.2.3/series/9.9/metadata",
        "/studies/9.9/metadata",
        "/studies/1.2.3/series/1.2.3.2/instances/1.2.3.1.1/metadata",
        "/studies/1..3%00/metadata",
        "/studies/a/series/b/instances/c/metadata",
    ],
)
def test_what_there_is_not_has_no_metadata(client, path) -> None:
    assert client.get(path).status == 404
