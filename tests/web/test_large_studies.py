"""A study of ten thousand instances costs the segments of its answer, and no file is touched."""

from __future__ import annotations

import asyncio
import os
import sys
import tracemalloc
from dataclasses import replace

import pytest
from mersey.engine.archive.entry import Entry
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.transfer.body import FileStamp
from mersey.engine.web.object_source import ObjectSource
from mersey.engine.web.served_digests import ServedDigests
from mersey.engine.web.wado import answer_instances
from starlette.requests import Request

COUNT = 10_000
SIZE = 526_000


@pytest.fixture(scope="module")
def entries(make_instance, make_ct_samples, tmp_path_factory) -> list[Entry]:
    """Instances of one series whose files are nowhere."""
    path = tmp_path_factory.mktemp("one") / "a.dcm"
    make_instance(path, "1.2.3.1.1", make_ct_samples(1, 16))
    data = path.read_bytes()
    instance = index_instance(
        lambda offset, length: data[offset : offset + length], size_bytes=len(data)
    )
    return [
        Entry(
            replace(instance, sop_instance_uid=f"1.2.3.1.{number}"),
            f"/nowhere/{number}.dcm",
            FileStamp(SIZE, number, number),
            served_crc32=number,
        )
        for number in range(1, COUNT + 1)
    ]


class _NoRenditions:
    """Stands in for the source of frames: nothing is there, and nothing is asked for."""

    async def stored(self, keys):
        assert not keys
        return []

    def failure(self, key):
        raise AssertionError(key)


async def _answer(entries, accept):
    scope = {
        "type": "http",
        "method": "GET",
        "headers": [(b"accept", accept.encode())],
        "query_string": b"",
        "path_params": {"study": "1.2.3"},
    }
    source = ObjectSource(_NoRenditions(), executor=None)
    digests = ServedDigests(None, executor=None)
    return await answer_instances(
        Request(scope), entries, may_be_single=False, source=source, digests=digests
    )


@pytest.mark.parametrize(
    "accept", ["application/zip", 'multipart/related; type="application/dicom"; transfer-syntax=*']
)
def test_ten_thousand_instances_are_laid_out_without_touching_a_file(
    entries, accept, monkeypatch
) -> None:
    def refusing(touch):
        def maybe(path, *words, **named):
            assert not str(path).startswith("/nowhere"), "a file was touched"
            return touch(path, *words, **named)

        return maybe

    async def main():
        with monkeypatch.context() as patch:
            for name in ("stat", "open", "lstat"):
                patch.setattr(os, name, refusing(getattr(os, name)))
            return await _answer(entries, accept)

    asyncio.run(_answer(entries[:1], accept))  # imports the codecs, which negotiation asks
    tracemalloc.start()
    body = asyncio.run(main()).body
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert body.length_bytes > COUNT * SIZE
    assert len(body.parts) == 3 * COUNT + 1
    assert held_bytes < COUNT * 2000
    # A slice has the segments of the whole, and reads on from its place.
    part = body.slice(COUNT // 2 * SIZE, COUNT // 2 * SIZE + 100)
    assert part.parts is body.parts
    assert sum(1 for _ in part.segments()) == 1
    assert sys.getsizeof(part) < 200


def test_the_event_loop_goes_on_while_a_large_answer_is_laid_out(entries) -> None:
    async def main() -> int:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        turning = asyncio.create_task(turn())
        await asyncio.sleep(0)
        await _answer(entries, "application/zip")
        turning.cancel()
        return turns

    assert asyncio.run(main()) > 10
