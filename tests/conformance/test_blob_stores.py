"""The contract of blob stores, on a folder and on an S3 server on this machine."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from blob_store_contract import BlobStoreContract
from mersey.engine.archive.blob_stores import open_blobs
from mersey.engine.archive.blobs import BlobStore


class TestDirectory(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return open_blobs(tmp_path / "store", local=tmp_path)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
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
            yield url
        finally:
            server.terminate()


class TestS3(BlobStoreContract):
    @pytest.fixture
    def store(self, endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        return open_blobs(f"s3://archive/{uuid.uuid4().hex}", local=tmp_path)
