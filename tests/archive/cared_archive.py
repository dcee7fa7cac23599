"""An archive that is taken care of: its blobs in one flat folder, its catalogue beside them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import zstandard
from mersey.engine.archive.blobs import PLAIN, Ready
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.describing import Described, describe_blob
from mersey.engine.archive.examination import Examined
from mersey.engine.archive.ingest import Ingest
from mersey.engine.archive.stored import Settled
from mersey.engine.archive.tables import instances
from mersey.engine.archive.verifying import check_blobs
from sqlalchemy import select


class FolderBlobs:
    """Blobs in one flat folder: the seam, and nothing more."""

    def __init__(self, root: Path) -> None:
        self._root = root / "blobs"
        self._aside = root / "quarantine"
        self.incoming = root / "incoming"
        for folder in (self._root, self._aside, self.incoming):
            folder.mkdir(parents=True, exist_ok=True)

    def commit(self, ready: Sequence[Ready]) -> None:
        for one in ready:
            os.replace(one.path, self._root / one.key)

    def size(self, key: str) -> int | None:
        path = self._root / key
        return path.stat().st_size if path.exists() else None

    def path_of(self, key: str) -> str | None:
        return str(self._root / key)

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        return (self._root / key).read_bytes()[offset_bytes:][:length_bytes]

    def remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    def quarantine(self, key: str) -> None:
        os.replace(self._root / key, self._aside / key)

    def keys(self) -> Iterator[str]:
        yield from sorted(os.listdir(self._root))

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        return ((key, (self._root / key).stat().st_mtime_ns) for key in self.keys())

    def collect(self, *, older_than_s: float) -> int:
        return 0


@dataclass
class Archive:
    root: Path
    blobs: FolderBlobs
    catalogue: Catalogue

    def describe(self, key: str) -> Future[Described]:
        future: Future[Described] = Future()
        future.set_result(describe_blob(self.blobs, key))
        return future

    def examined(self, data: bytes, *, ending: str = PLAIN) -> Examined:
        """A file that is to be stored, as ingest would have it."""
        digest = hashlib.sha256(data).hexdigest()
        kept = data if ending == PLAIN else zstandard.ZstdCompressor().compress(data)
        path = self.blobs.incoming / f"{digest}.{time.monotonic_ns()}"
        path.write_bytes(data)
        os.replace(path, self.blobs.incoming / "probe.dcm")
        probe = FolderBlobs(self.root / "probe")
        probe.commit([Ready(str(self.blobs.incoming / "probe.dcm"), digest + PLAIN)])
        described = describe_blob(probe, digest + PLAIN)
        assert described.stored is not None, described.message
        made = described.stored
        path.write_bytes(kept)
        stored = type(made)(
            made.instance,
            digest + ending,
            made.size_bytes,
            made.sha256,
            made.served_sha256,
            made.served_crc32,
            made.metadata,
        )
        return Examined(stored, str(path))

    def put(self, data: bytes, *, ending: str = PLAIN) -> str:
        one = self.examined(data, ending=ending)
        (settled,) = Ingest(self.blobs, self.catalogue, on_conflict="replace").commit([one])
        assert isinstance(settled, Settled)
        return one.stored.blob_key

    def rows(self) -> list[tuple[object, ...]]:
        columns = [column for column in instances.c if column.name != "received"]
        statement = select(*columns).order_by(instances.c.sop_instance_uid)
        with self.catalogue.database.reading() as connection:
            return [tuple(row) for row in connection.execute(statement)]

    def check(self):
        return list(
            check_blobs(
                self.blobs, self.catalogue, self.blobs.keys(), describe=self.describe, ahead=2
            )
        )


def flip(path: str, offset_bytes: int) -> None:
    """Damage a file in one place."""
    data = bytearray(Path(path).read_bytes())
    data[offset_bytes] ^= 4
    Path(path).write_bytes(data)
