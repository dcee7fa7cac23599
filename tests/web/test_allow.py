"""Which methods a path has: told by 405, and by OPTIONS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

READ = "GET, HEAD, OPTIONS"
STORE = "GET, HEAD, POST, OPTIONS"
UPLOAD = "GET, HEAD, PATCH, DELETE, OPTIONS"
STUDY, SERIES = "/dicom-web/studies/1.2", "/dicom-web/studies/1.2/series/1.2.3"
INSTANCE = f"{SERIES}/instances/1.2.3.4"
PATHS = {
    "/": READ,
    "/dicom-web": READ,
    "/dicom-web/studies": STORE,
    STUDY: STORE,
    "/dicom-web/series": READ,
    "/dicom-web/instances": READ,
    f"{STUDY}/series": READ,
    f"{STUDY}/instances": READ,
    f"{SERIES}/instances": READ,
    f"{STUDY}/metadata": READ,
    SERIES: READ,
    f"{SERIES}/progressive": READ,
    INSTANCE: READ,
    f"{INSTANCE}/frames/1": READ,
    f"{INSTANCE}/frames/1/rendered": READ,
    f"{INSTANCE}/bulkdata/a/b": READ,
    f"{INSTANCE}/thumbnail": READ,
    f"/dicom-web/uploads/{'0' * 48}": UPLOAD,
    "/dicom-web/commitment-requests/1.2": STORE,
    "/uploads": "POST, OPTIONS",
    f"/uploads/{'0' * 48}": "GET, HEAD, POST, PATCH, DELETE, OPTIONS",
    "/mersey": READ,
    "/mersey/studies/1.2/parcels/0": READ,
    "/mersey/inbound": "POST, OPTIONS",
    "/mersey/inbound/known": "GET, HEAD, POST, PUT, DELETE, OPTIONS",
    f"/mersey/inbound/{'0' * 64}": "GET, HEAD, PUT, DELETE, OPTIONS",
    f"/mersey/inbound/{'0' * 64}/finish": "POST, OPTIONS",
}


@pytest.fixture(scope="module")
def empty(run_server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder, store = tmp_path_factory.mktemp("empty"), tmp_path_factory.mktemp("store")
    with run_server(folder, store) as client:
        yield client


@pytest.mark.parametrize(("path", "allowed"), PATHS.items())
def test_a_method_that_a_path_has_not_is_refused_with_those_that_it_has(
    empty: Any, path: str, allowed: str
) -> None:
    has = allowed.split(", ")
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        fields = {"Tus-Resumable": "1.0.0"}
        if method == "POST":  # else there is nothing that an upload could be told to do
            fields["X-HTTP-Method-Override"] = "HEAD" if path.count("/") > 1 else "POST"
        answer = empty.ask(path, method=method, headers=fields)
        assert (answer.status == 405) == (method not in has), method
        if answer.status == 405 or method == "OPTIONS":
            described = "openapi" in answer.body.decode()  # that is more than its methods
            assert described or answer.headers["allow"] == allowed, method
        if answer.status == 405 and method != "HEAD":
            assert json.loads(answer.body)["message"]


def test_a_path_that_is_none_has_no_methods(empty: Any) -> None:
    for method in ("GET", "DELETE", "OPTIONS"):
        answer = empty.ask("/dicom-web/nothing", method=method)
        assert (answer.status, "allow" in answer.headers) == (404, False)
