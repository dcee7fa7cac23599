"""Searching a catalogue of 1,000 studies: in process, and by QIDO-RS over one connection."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.archive.search import Match, Search, run_search
from mersey.engine.archive.stored import StoredInstance
from pydicom.data import get_testdata_file
from served import Served

_STUDIES, _SERIES, _INSTANCES = 1000, 2, 5
_PATIENT_ID, _PATIENT_NAME = 0x00100020, 0x00100010


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose catalogue knows 10,000 instances in 1,000 studies, without their blobs."""
    root = tmp_path_factory.mktemp("query")
    catalogue = Catalogue.open(root / "catalogue.sqlite")
    for chunk in _chunks(_made()):
        catalogue.store(chunk, on_conflict="reject")
    catalogue.close()
    return root


def _made() -> Iterator[StoredInstance]:
    path = Path(str(get_testdata_file("CT_small.dcm")))
    found = index_file(str(path.parent), path.name)
    assert found is not None
    model = found.instance
    assert model is not None
    for study in range(_STUDIES):
        attributes = dict(model.attributes)
        for tag, value in ((_PATIENT_ID, f"P{study:05}"), (_PATIENT_NAME, f"NAME{study:04}^A")):
            attributes[tag] = replace(attributes[tag], value=value.encode())
        for series in range(_SERIES):
            for number in range(_INSTANCES):
                uid = f"1.2.3.{study}.{series}"
                instance = replace(
                    model,
                    study_instance_uid=f"1.2.3.{study}",
                    series_instance_uid=uid,
                    sop_instance_uid=f"{uid}.{number}",
                    attributes=attributes,
                )
                sha256 = f"{study:032x}{series:016x}{number:016x}"
                yield StoredInstance(instance, f"{sha256}.dcm", 1000, sha256, sha256, 0, b"")


def _chunks(stored: Iterator[StoredInstance]) -> Iterator[list[StoredInstance]]:
    held: list[StoredInstance] = []
    for one in stored:
        held.append(one)
        if len(held) == 1000:
            yield held
            held = []
    if held:
        yield held


CASES = {
    "studies-all": (Search("study", limit=_STUDIES), _STUDIES),
    "studies-101": (Search("study", limit=101), 101),
    "studies-by-id": (Search("study", (Match("00100020", "P00500"),)), 1),
    "studies-by-name-wildcard": (Search("study", (Match("00100010", "NAME05*"),)), 100),
    "series-of-a-study": (Search("series", study_uid="1.2.3.7"), _SERIES),
    "instances-of-a-study": (Search("instance", study_uid="1.2.3.7"), _SERIES * _INSTANCES),
}


@pytest.mark.parametrize("case", CASES)
def bench_query_catalogue(benchmark: Any, store: Path, case: str) -> None:
    search, count = CASES[case]
    catalogue = Catalogue.open(store / "catalogue.sqlite")
    assert len(run_search(catalogue, search).found) == count
    benchmark(run_search, catalogue, search)
    catalogue.close()
    benchmark.extra_info["p50 ms"] = round(benchmark.stats.stats.median * 1e3, 2)


@pytest.mark.parametrize(
    ("path", "count"),
    [
        (f"/studies?limit={_STUDIES}", _STUDIES),
        ("/studies?PatientName=name05*&limit=101", 100),
        (f"/series?limit={_STUDIES}", _STUDIES),
        (f"/instances?limit={_STUDIES}", _STUDIES),
    ],
    ids=["studies-1000", "studies-by-name", "series-1000", "instances-1000"],
)
def bench_query_over_http(
    benchmark: Any, store: Path, tmp_path: Path, path: str, count: int
) -> None:
    with Served(tmp_path, store) as served:
        status, body = served.get(path)
        assert status == 200
        assert len(json.loads(body)) == count
        benchmark.pedantic(served.get, args=(path,), rounds=50, warmup_rounds=3)
    benchmark.extra_info["p50 ms"] = round(benchmark.stats.stats.median * 1e3, 2)
