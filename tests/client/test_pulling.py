"""A pull brings every file byte for byte, goes on where it stopped, and trusts nobody."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path

import pytest
from mersey.codecs.errors import FormatError, ResourceError, TransferError, UsageError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.pull_values import PullSettings
from mersey.engine.client.pulling import pull
from mersey.engine.runtime.worker_pool import WorkerPool
from mersey.engine.transfer.manifest import Item, Manifest

QUICK = Backoff(first_s=0.001, longest_s=0.01, most_tries=6)


def digests(folder: Path) -> set[str]:
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*.dcm")}


def settings(wire: str = "as-stored", **more) -> PullSettings:
    return PullSettings(wire=wire, backoff=QUICK, **more)


@pytest.mark.parametrize("wire", ["as-stored", "htj2k", "zstd", "auto"])
def test_every_form_restores_the_files_and_leaves_nothing_beside(
    served, tmp_path, pool, wire
) -> None:
    found = asyncio.run(pull(served.url, tmp_path, settings=settings(wire), executor=pool))
    assert found.pulled == len(served.files)
    assert digests(tmp_path) == digests(served.folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.2.7"]
    if wire in ("htj2k", "zstd"):
        assert found.wire_bytes < found.size_bytes


def test_what_is_there_does_not_travel_again_and_what_is_damaged_does(
    served, tmp_path, pool
) -> None:
    asyncio.run(pull(served.url, tmp_path, settings=settings(), executor=pool))
    damaged = next(tmp_path.rglob("*.dcm"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\1")
    found = asyncio.run(pull(served.url, tmp_path, settings=settings(), executor=pool))
    assert (found.pulled, found.there) == (1, len(served.files) - 1)
    assert digests(tmp_path) == digests(served.folder)


def test_progress_ends_with_everything(served, tmp_path, pool) -> None:
    told = []
    asyncio.run(
        pull(served.url, tmp_path, settings=settings(), executor=pool, on_progress=told.append)
    )
    last = told[-1]
    assert last.instances == last.total_instances == len(served.files)
    assert last.size_bytes == last.total_bytes


def test_a_connection_that_breaks_sends_nothing_twice(served, wire, tmp_path, pool) -> None:
    wire.cuts = [20_000, 20_000, 30_000, 90_000, 10_000]

    async def run():
        async with wire.open() as place:
            url = served.url.replace(f"{wire.target[0]}:{wire.target[1]}", place)
            return await pull(url, tmp_path, settings=settings(connections=1), executor=pool)

    found = asyncio.run(run())
    assert found.retries >= 1
    assert digests(tmp_path) == digests(served.folder)
    assert found.wire_bytes == found.size_bytes


def test_a_pull_that_was_interrupted_brings_only_what_is_missing(
    served, wire, tmp_path, pool
) -> None:
    size = sum(path.stat().st_size for path in served.files)
    # One connection is for questions; the other one breaks.
    wire.cuts = [None, size // 2, *[1] * 50]

    async def broken():
        async with wire.open() as place:
            url = served.url.replace(f"{wire.target[0]}:{wire.target[1]}", place)
            await pull(url, tmp_path, settings=settings(connections=1), executor=pool)

    with pytest.raises(TransferError):
        asyncio.run(broken())
    assert not list(tmp_path.rglob("*.dcm"))
    (hidden,) = tmp_path.iterdir()
    # The same pull has the same address; a proxy's is another.
    name = hashlib.sha256(served.url.encode()).hexdigest()[:24]
    hidden.rename(tmp_path / f".mersey-pull-{name}")
    found = asyncio.run(pull(served.url, tmp_path, settings=settings(), executor=pool))
    assert found.wire_bytes < size * 2 // 3
    assert digests(tmp_path) == digests(served.folder)


def test_a_url_without_a_study_is_wrong_usage(served, tmp_path) -> None:
    with pytest.raises(UsageError):
        asyncio.run(pull(served.base, tmp_path))


class Liar:
    """A server that says it is Mersey, with one parcel of `data`; `flips` are sent wrong first."""

    def __init__(self, item: Item, data: bytes, *, flips: int = 0) -> None:
        self.manifest = Manifest('"x"', (item,))
        self.data, self.flips = data, flips
        self.sent: list[tuple[int, int]] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ", 2)[1].decode()
                extra, status, body = "", "200 OK", b""
                if target == "/mersey":
                    body = b'{"mersey": "1", "protocol": 1, "forms": ["as-stored"]}'
                elif target.endswith("/parcels"):
                    size = self.manifest.size_bytes
                    body = json.dumps(
                        {"parcels": [{"number": 0, "items": 1, "bytes": size}], "bytes": size}
                    ).encode()
                elif "/manifest" in target:
                    body = self.manifest.to_json()
                elif "/digests" in target:
                    pieces = range(0, len(self.data), 1 << 20)
                    found = [
                        hashlib.sha256(self.data[at : at + (1 << 20)]).hexdigest() for at in pieces
                    ]
                    body = json.dumps({"etag": '"x"', "bytes": 1 << 20, "sha256": found}).encode()
                else:
                    status = "206 Partial Content"
                    asked = head.lower().split(b"range: bytes=")[1].split(b"\r\n")[0].decode()
                    first, last = map(int, asked.split("-"))
                    self.sent.append((first, last + 1))
                    body = self.data[first : last + 1]
                    extra = f"Content-Range: bytes {first}-{last}/{len(self.data)}\r\n"
                    if self.flips:
                        self.flips -= 1
                        body = body[:100] + bytes([body[100] ^ 1]) + body[101:]
                fields = f"Content-Length: {len(body)}\r\n{extra}"
                writer.write(f"HTTP/1.1 {status}\r\n{fields}\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def from_liar(liar: Liar, folder: Path, pool: WorkerPool):
    async def run():
        server = await asyncio.start_server(liar.answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            url = f"http://127.0.0.1:{port}/dicom-web/studies/1.2"
            return await pull(url, folder, settings=settings(), executor=pool)

    return asyncio.run(run())


def item_of(data: bytes, **changed) -> Item:
    fields = {
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.3",
        "sop_instance_uid": "1.4",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "form": "stored",
        "offset_bytes": 0,
        "length_bytes": len(data),
    }
    return Item(**(fields | changed))


def test_of_a_large_item_only_the_damaged_stretch_comes_again(tmp_path, pool) -> None:
    data = bytes(range(256)) * 40_000
    liar = Liar(item_of(data), data, flips=1)
    found = from_liar(liar, tmp_path, pool)
    assert not found.failures
    assert (tmp_path / "1.2" / "1.3" / "1.4.dcm").read_bytes() == data
    assert sum(stop - start for start, stop in liar.sent) == len(data) + (1 << 20)


def test_a_small_item_that_is_damaged_comes_again(tmp_path, pool) -> None:
    data = b"small" * 1000
    liar = Liar(item_of(data), data, flips=2)
    assert not from_liar(liar, tmp_path, pool).failures
    assert len(liar.sent) == 3


def test_a_digest_that_is_never_right_publishes_nothing(tmp_path, pool) -> None:
    data = b"small" * 1000
    liar = Liar(item_of(data, sha256="0" * 64), data)
    found = from_liar(liar, tmp_path, pool)
    assert [failure.kind for failure in found.failures] == ["IntegrityError"]
    assert not list(tmp_path.rglob("*.dcm"))
    assert len(liar.sent) <= 6


@pytest.mark.parametrize(
    "changed",
    [
        {"sop_instance_uid": ".."},
        {"series_instance_uid": "."},
        {"study_instance_uid": "1.9"},
        {"size_bytes": 1 << 47, "length_bytes": 1 << 47},
    ],
)
def test_what_a_manifest_lies_about_costs_nothing(tmp_path, pool, changed) -> None:
    data = b"small" * 1000
    with pytest.raises((FormatError, ResourceError)):
        from_liar(Liar(item_of(data, **changed), data), tmp_path, pool)
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".dcm", ".part")]
    assert not (tmp_path.parent / "1.4.dcm").exists()
