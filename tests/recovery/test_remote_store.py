"""A real `mersey serve` over a real S3 server: what was stored there is there after a restart."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "conformance"))

from s3_server import S3Server
from served_store import ServedStore
from stored_files import Maker, served, url_of

pytestmark = pytest.mark.long


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server on this machine, which the environment tells processes of."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    server = S3Server()
    try:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield "s3://archive/originals"
    finally:
        server.stop()


def test_what_was_stored_elsewhere_is_served_after_a_restart(bucket: str, tmp_path: Path) -> None:
    local = tmp_path / "local"
    maker = Maker(5)
    originals = [maker.make(kind) for kind in ("small", "document", "large")]
    for is_again in (False, True, True):
        server = ServedStore(bucket, "--local", str(local), "--copies-size", "1MB")
        try:
            if not is_again:
                assert server.post(originals)[0] == 200
            for one in originals:
                assert server.get(url_of(one)) == (200, served(one))
        finally:
            server.stop()
        if is_again:  # then the catalogue is lost, and made of what is in the bucket
            (local / "catalogue.sqlite").unlink(missing_ok=True)
    assert not [path for path in local.rglob("*.dcm") if path.parent.name != "copies"]
    # The document alone was copied: images are read where they are.
    assert len(list((local / "copies").iterdir())) == 1


def test_a_lost_catalogue_is_made_of_the_blobs_before_anything_is_served(tmp_path: Path) -> None:
    maker = Maker(6)
    originals = [maker.make(kind) for kind in ("small", "document")]
    server = ServedStore(tmp_path)
    try:
        assert server.post(originals)[0] == 200
    finally:
        server.stop()
    (tmp_path / "catalogue.sqlite").unlink()
    server = ServedStore(tmp_path)
    try:
        for one in originals:
            assert server.get(url_of(one))[0] == 200
    finally:
        server.stop()
