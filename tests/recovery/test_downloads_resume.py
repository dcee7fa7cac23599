"""A study is downloaded over a link that breaks, as curl does, while server or study change.

What is put together is one answer of the server, never a mixture of two.
"""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places

sys.path.insert(0, str(Path(__file__).resolve().parent))

from faults import ReturningServer
from stored_files import CONTENT_TYPE, Maker, Original, as_parts

pytestmark = pytest.mark.long

STUDY = "/dicom-web/studies/1.2.3"
KINDS = {
    "zip": "application/zip",
    "multipart": 'multipart/related; type="application/dicom"; transfer-syntax=*',
}


class Download:
    """What came so far of a study, and the entity tag that it belongs to."""

    def __init__(self, accept: str, *, condition: str = "If-Range") -> None:
        self._accept = accept
        self._condition = condition
        self.data = bytearray()
        self.etag = ""
        self.statuses: list[int] = []

    def go_on(self, host: str) -> bool:
        """One request for what is missing; whether that was all of it."""
        fields = {"Accept": self._accept}
        if self.etag:
            fields |= {"Range": f"bytes={len(self.data)}-", self._condition: self.etag}
        with closing(http.client.HTTPConnection(host, timeout=240)) as connection:
            connection.request("GET", STUDY, headers=fields)
            response = connection.getresponse()
            self.statuses.append(response.status)
            if response.status not in (200, 206):
                return True
            if response.status == 200:
                self.data.clear()
                self.etag = response.headers["ETag"]
            assert response.headers["ETag"] == self.etag
            left = int(response.headers["Content-Length"])
            while left and (piece := response.read1(64 << 10)):
                self.data += piece
                left -= len(piece)
        return not left

    async def run(self, link: Link, between: Callable[[int], None] = lambda _: None) -> None:
        """Go on until it is whole; `between` is called after each break, with their number."""
        for number in range(200):
            try:
                if await asyncio.to_thread(self.go_on, f"127.0.0.1:{link.port}"):
                    return
            except (OSError, http.client.HTTPException):
                pass
            await asyncio.to_thread(between, number)
        raise AssertionError("the download does not come to its end")


@pytest.fixture
def originals() -> list[Original]:
    maker = Maker(77)
    return [maker.make(kind) for kind in ["small"] * 40 + ["document"] * 3 + ["large"]]


@pytest.fixture
def server(tmp_path: Path, originals: list[Original]) -> Iterator[ReturningServer]:
    found = ReturningServer(tmp_path / "store")
    assert store(found, originals) == 200
    yield found
    found.stop()


def store(server: ReturningServer, originals: list[Original]) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=240)) as connection:
        fields = {"Content-Type": CONTENT_TYPE}
        connection.request("POST", "/dicom-web/studies", as_parts(originals), fields)
        return connection.getresponse().status


def straight(server: ReturningServer, accept: str) -> Download:
    whole = Download(accept)
    assert whole.go_on(f"127.0.0.1:{server.port}")
    return whole


def broken_link(server: ReturningServer) -> Link:
    down = Direction(40e6, 0.001, cuts=Places(about=600_000))
    return Link("127.0.0.1", server.port, profile=LinkProfile(Direction(), down, 5))


@pytest.mark.parametrize("kind", KINDS)
def test_a_download_goes_on_at_a_server_that_was_killed(
    server: ReturningServer, originals: list[Original], kind: str
) -> None:
    whole, broken = straight(server, KINDS[kind]), Download(KINDS[kind])

    def between(number: int) -> None:
        if number in (2, 6):
            server.kill(with_workers=True)
            server.start()

    async def run() -> None:
        async with broken_link(server) as link:
            await broken.run(link, between)
            twice = link.down.passed_bytes - len(broken.data)
            assert twice < link.connections * (512 << 10)

    asyncio.run(run())
    assert len(broken.statuses) > 7
    assert broken.statuses == [200] + [206] * (len(broken.statuses) - 1)
    assert (broken.etag, broken.data) == (whole.etag, whole.data)
    if kind == "zip":
        found = zipfile.ZipFile(io.BytesIO(bytes(broken.data)))
        digests = {hashlib.sha256(found.read(name)).hexdigest() for name in found.namelist()}
        assert digests == {one.sha256 for one in originals}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("condition", ["If-Range", "If-Match"])
def test_a_study_that_changes_meanwhile_is_never_mixed(
    server: ReturningServer, kind: str, condition: str
) -> None:
    accept = KINDS[kind]
    before, broken = straight(server, accept), Download(accept, condition=condition)

    def between(number: int) -> None:
        if number == 3:
            assert store(server, [Maker(78).make()]) == 200

    async def run() -> None:
        async with broken_link(server) as link:
            await broken.run(link, between)

    asyncio.run(run())
    after = straight(server, accept)
    assert before.etag != after.etag
    if condition == "If-Match":
        assert broken.statuses == [200, 206, 206, 206, 412]
        assert broken.data == before.data[: len(broken.data)]
        return
    assert broken.statuses[:5] == [200, 206, 206, 206, 200]
    assert set(broken.statuses[5:]) <= {206}
    assert (broken.etag, broken.data) == (after.etag, after.data)
