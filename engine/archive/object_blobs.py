"""Blobs as objects below a URL: ``s3://bucket/prefix``, by obstore.

Credentials and the endpoint come from the environment (``AWS_*`` and the like). Small blobs are
put on condition that there is none, large ones in parts of `_PART_BYTES`, which become an object
all at once or never. No condition can be set on that; none is needed, because nobody publishes
anything under a key but the bytes that it names: they are hashed on their way out, and an upload
whose last part would not fit is not completed. Each request is signed with the digest of its body,
which the server compares. Only `incoming` is on this machine.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from ...codecs.errors import IntegrityError, ResourceError, UsageError
from .blob_unpacking import BlobUnpacking
from .blobs import Ready, is_key
from .directory_blobs import collect_incoming, require_key

__all__ = ["ObjectBlobs"]

_PART_BYTES = 8 << 20
_AT_ONCE = 8
_PARTS_AT_ONCE = 3
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ObjectBlobs:
    """The blobs below `url`; `local` is the folder that `incoming` is in.

    Raises
    ------
    UsageError
        The URL, or what the environment says of it, is not understood.
    ResourceError
        The local folder cannot be made.
    """

    def __init__(self, url: str, *, local: Path) -> None:
        self._incoming = local / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ResourceError(f"no folder for uploads: {error.strerror}") from error
        try:
            self._store: Any = from_url(url, client_options={"allow_http": _may_be_plain()})
        except (BaseError, ValueError) as error:
            raise UsageError(f"no object store there: {error}") from error

    @property
    def incoming(self) -> Path:
        return self._incoming

    def commit(self, ready: Sequence[Ready]) -> None:
        for item in ready:
            require_key(item.key)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # One of a key is enough, and its path is not read twice at once.
            done = [threads.submit(self._put, item) for item in ready]
        for future in done:
            future.result()

    def size(self, key: str) -> int | None:
        try:
            return int(obstore.head(self._store, _path(key))["size"])
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise _failure(error) from error

    def path_of(self, key: str) -> None:
        require_key(key)

    def read_at(self, key: str, offset_bytes: int, length_bytes: int, /) -> bytes:
        if not length_bytes:
            return b""
        try:
            found = obstore.get_range(
                self._store, _path(key), start=offset_bytes, length=length_bytes
            )
        except FileNotFoundError:
            raise IntegrityError("the blob is gone") from None
        except BaseError as error:
            size_bytes = self.size(key)
            if size_bytes is None:
                raise IntegrityError("the blob is gone") from None
            if offset_bytes >= size_bytes:
                return b""
            raise _failure(error) from error
        return bytes(found)

    def remove(self, key: str) -> None:
        try:
            with suppress(FileNotFoundError):
                obstore.delete(self._store, _path(key))
        except BaseError as error:
            raise _failure(error) from error

    def quarantine(self, key: str) -> None:
        try:
            with suppress(FileNotFoundError):
                obstore.copy(self._store, _path(key), f"quarantine/{key}.{uuid.uuid4().hex[:8]}")
                obstore.delete(self._store, _path(key))
        except BaseError as error:
            raise _failure(error) from error

    def keys(self) -> Iterator[str]:
        return (key for key, _ in self.dated_keys())

    def dated_keys(self) -> Iterator[tuple[str, int]]:
        try:
            for page in obstore.list(self._store, prefix="blobs"):
                for found in page:
                    key = found["path"].rpartition("/")[2]
                    if is_key(key):
                        yield key, int(found["last_modified"].timestamp() * 1e9)
        except BaseError as error:
            raise _failure(error) from error

    def collect(self, *, older_than_s: float) -> int:
        return collect_incoming(self._incoming, older_than_s=older_than_s)

    def _put(self, item: Ready) -> None:
        try:
            size_bytes = os.stat(item.path).st_size
            held = self.size(item.key)
            if held not in (None, size_bytes):
                self.quarantine(item.key)
            if held != size_bytes:
                self._upload(item, size_bytes)
            with suppress(FileNotFoundError):
                os.unlink(item.path)
        except OSError as error:
            raise ResourceError(f"the file cannot be read: {error.strerror}") from error
        except BaseError as error:
            raise _failure(error) from error

    def _upload(self, item: Ready, size_bytes: int) -> None:
        path = _path(item.key)
        with open(item.path, "rb", buffering=0) as file:
            pieces = _checked_pieces(file, item.key, size_bytes)
            if size_bytes > _PART_BYTES:
                self._upload_in_parts(path, pieces)
            else:
                with suppress(AlreadyExistsError):  # another process was first
                    data = b"".join(pieces)
                    obstore.put(self._store, path, data, mode="create", use_multipart=False)
                    return
        held = self.size(item.key)
        if held != size_bytes:
            raise ResourceError(f"the object store kept {held} of {size_bytes} bytes of a blob")

    def _upload_in_parts(self, path: str, pieces: Iterator[bytes]) -> None:
        refused: list[IntegrityError] = []

        def told() -> Iterator[bytes]:
            try:
                yield from pieces
            except IntegrityError as error:
                refused.append(error)
                raise

        try:
            obstore.put(
                self._store,
                path,
                told(),
                use_multipart=True,
                chunk_size=_PART_BYTES,
                max_concurrency=_PARTS_AT_ONCE,
            )
        except Exception:
            if refused:  # whatever became of it on its way through the client
                raise refused[0] from None
            raise


def _checked_pieces(file: FileIO, key: str, size_bytes: int) -> Iterator[bytes]:
    """The bytes of `file`, and an IntegrityError for an end where they are not those of `key`."""
    digest, unpacking, left = hashlib.sha256(), BlobUnpacking(key), size_bytes
    while piece := file.read(_PART_BYTES):
        for original in unpacking.feed(piece):
            digest.update(original)
        left -= len(piece)
        if left <= 0:  # before the last piece goes out
            break
        yield piece
    unpacking.finish()
    if left or digest.hexdigest() != key[:64]:
        raise IntegrityError("the file has other bytes than its key names")
    yield piece


def _path(key: str) -> str:
    require_key(key)
    return f"blobs/{key[:2]}/{key}"


def _may_be_plain() -> bool:
    """Whether the endpoint is on this machine: only there may bytes go without TLS."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL") or os.environ.get("AWS_ENDPOINT") or ""
    return urlsplit(endpoint).hostname in _LOOPBACK


def _failure(error: BaseError) -> ResourceError:
    return ResourceError(f"the object store fails: {type(error).__name__}")
