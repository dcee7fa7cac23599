"""A real `mersey serve` over a real S3 server: what was stored there is there after a restart."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pydicom import dcmread
from served_store import ServedStore
from stored_files import Maker, Original

pytestmark = pytest.mark.long


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A bucket on a server on this machine, which the environment tells processes of."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(300):
                try:
                    request = urllib.request.Request(f"{url}/archive", method="PUT")
                    urllib.request.urlopen(request, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.1)
            else:
                pytest.fail("the S3 server does not start")
            monkeypatch.setenv("AWS_ENDPOINT_URL", url)
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
            monkeypatch.setenv("AWS_REGION", "us-east-1")
            yield "s3://archive/originals"
        finally:
            server.terminate()


def url_of(one: Original) -> str:
    held = dcmread(BytesIO(one.data), stop_before_pixels=True)
    return (
        f"/studies/{held.StudyInstanceUID}/series/{held.SeriesInstanceUID}"
        f"/instances/{held.SOPInstanceUID}"
    )


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
                status, body = server.get(url_of(one))
                assert (status, body[128:]) == (200, one.data[128:])
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
