"""What pages of other origins may send and read: the preflights of viewers and of uploads."""

from __future__ import annotations

import pytest

ORIGIN = "https://viewer.example"
TUS = "tus-resumable"
IETF = "upload-draft-interop-version,upload-complete"

FRAME = "/dicom-web/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1.1/frames/1"

REQUESTS = [
    ("/dicom-web/studies/1.2.3", "GET", "accept,range,if-range,authorization"),
    ("/dicom-web/studies/1.2.3", "HEAD", "accept,want-repr-digest"),
    (FRAME, "GET", "accept,range,if-range,authorization"),
    ("/dicom-web/studies/1.2.3/series/1.2.3.1/progressive", "GET", "range,want-content-digest"),
    ("/dicom-web/studies", "POST", f"content-type,authorization,{IETF},upload-length,repr-digest"),
    ("/dicom-web/uploads/1", "HEAD", "upload-draft-interop-version"),
    ("/dicom-web/uploads/1", "PATCH", f"content-type,upload-offset,content-digest,{IETF}"),
    ("/dicom-web/uploads/1", "DELETE", "upload-draft-interop-version"),
    ("/uploads", "POST", f"{TUS},upload-length,upload-metadata,upload-concat,content-type"),
    ("/uploads", "POST", f"{TUS},upload-defer-length,x-request-id,x-http-method-override"),
    ("/uploads/1", "HEAD", TUS),
    ("/uploads/1", "PATCH", f"{TUS},upload-offset,upload-checksum,upload-length,content-type"),
    ("/uploads/1", "DELETE", TUS),
    ("/mersey/inbound", "POST", "content-type,authorization"),
    ("/mersey/inbound/1", "PUT", "content-range,content-digest,content-type"),
    ("/mersey/inbound/1", "DELETE", "authorization"),
]


@pytest.mark.parametrize(("path", "method", "fields"), REQUESTS)
def test_a_preflight_allows_what_a_page_sends(client, path, method, fields) -> None:
    answer = client.ask(
        path,
        method="OPTIONS",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": fields,
        },
    )
    assert answer.status == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    # Names, not "*": that one never allows Authorization (Fetch standard §4.8).
    assert set(fields.split(",")) <= set(allowed)
    assert int(answer.headers["access-control-max-age"]) > 600


def test_pages_may_read_what_progressive_loading_needs(client) -> None:
    answer = client.ask(FRAME, headers={"Origin": ORIGIN, "Range": "bytes=0-9"})
    assert answer.status == 206
    exposed = answer.headers["access-control-expose-headers"].lower()
    for name in ("content-range", "content-length", "etag", "x-decode-level"):
        assert name in exposed
    assert answer.headers["access-control-allow-origin"] == "*"


def test_pages_may_read_what_an_upload_or_a_resumed_download_goes_on_by(client) -> None:
    answer = client.ask("/uploads", method="OPTIONS", headers={"Origin": ORIGIN})
    exposed = set(answer.headers["access-control-expose-headers"].lower().split(", "))
    assert exposed >= {
        "location",
        "retry-after",
        "upload-offset",
        "upload-length",
        "upload-complete",
        "upload-limit",
        "upload-expires",
        "upload-metadata",
        "upload-concat",
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "tus-checksum-algorithm",
        "etag",
        "accept-ranges",
        "content-range",
        "content-length",
        "content-digest",
        "repr-digest",
    }


def test_only_pages_of_named_origins_are_let_in_where_some_are_named(tmp_path, run_server) -> None:
    (tmp_path / "files").mkdir()
    with run_server(tmp_path / "files", tmp_path / "store", origins=(ORIGIN,)) as client:
        for origin, expected in ((ORIGIN, ORIGIN), ("https://other.example", None)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "PATCH"}
            for headers in ({"Origin": origin}, asked):
                answer = client.ask("/uploads", method="OPTIONS", headers=headers)
                assert answer.headers.get("access-control-allow-origin") == expected
                assert "Origin" in answer.headers["vary"]
