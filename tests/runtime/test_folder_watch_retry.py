"""The scan of a server's folders survives a catalogue that fails for a while."""

from __future__ import annotations

import asyncio

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.folder_index import ScanProgress
from mersey.engine.runtime import folder_watch


class FailingIndex:
    """Fails so often, then scans."""

    roots = ()

    def __init__(self, failures: int) -> None:
        self.failures, self.scans = failures, 0

    def scan(self, *, executor, on_progress, stop) -> ScanProgress:
        self.scans += 1
        if self.scans <= self.failures:
            raise ResourceError("the catalogue cannot be used now")
        progress = ScanProgress(done=True)
        on_progress(progress)
        return progress


def test_a_scan_begins_anew_where_the_catalogue_failed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(folder_watch, "_AGAIN_S", 0.0)
    index = FailingIndex(2)
    told: list[ScanProgress] = []

    async def main() -> None:
        indexed = asyncio.Event()
        watch = folder_watch.FolderWatch(
            index, executor=None, follow=False, on_scan=told.append, on_indexed=indexed.set
        )
        task = asyncio.create_task(watch.run())
        await asyncio.wait_for(indexed.wait(), 240)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert (index.scans, len(told)) == (3, 1)
    assert caplog.text.count("looked at again") == 2
