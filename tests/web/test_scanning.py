"""The scan of a server's folders survives a catalogue that fails for a while."""

from __future__ import annotations

import asyncio

import pytest
from mersey.codecs.errors import ResourceError
from mersey.engine.archive.folder_index import ScanProgress
from mersey.engine.web import server


class FailingIndex:
    """Fails so often, then scans."""

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
    monkeypatch.setattr(server, "_SCAN_AGAIN_S", 0.0)
    index = FailingIndex(2)
    told: list[ScanProgress] = []
    asyncio.run(server._scan(index, None, told.append))
    assert (index.scans, len(told)) == (3, 1)
    assert caplog.text.count("begins anew") == 2
