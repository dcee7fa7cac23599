"""The contract of blob stores, on a folder and on an S3 server on this machine."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from blob_store_contract import BlobStoreContract
from mersey.engine.archive.blob_stores import open_blobs
from mersey.engine.archive.blobs import BlobStore
from s3_server import S3Server


class TestDirectory(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return open_blobs(tmp_path / "store", local=tmp_path)


@pytest.fixture(scope="module")
def s3_server() -> Iterator[S3Server]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    server = S3Server()
    try:
        yield server
    finally:
        server.stop()


class TestS3(BlobStoreContract):
    @pytest.fixture
    def store(
        self, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> BlobStore:
        for name, value in s3_server.environment.items():
            monkeypatch.setenv(name, value)
        return open_blobs(f"s3://archive/{uuid.uuid4().hex}", local=tmp_path)
