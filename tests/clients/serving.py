"""`mersey serve` as a process of its own, which can be ended and started again at its address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ports import free_port

__all__ = ["Server"]

_MERSEY = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]

_START_S = 240.0
_PATIENCE_S = 120.0


class Server:
    """Serves a folder, or an archive alone, on a free loopback port that it keeps."""

    def __init__(self, folder: Path | None, store: Path) -> None:
        self.folder = folder
        self._store = store
        self._log = store.with_name(f"{store.name}.log")
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"http://127.0.0.1:{self._port}"
        self.root = f"{self.address}/dicom-web"

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when all files of the folder are indexed."""
        words = ["serve", "--store", str(self._store), "--port", str(self._port), "--jobs", "1"]
        files = 0
        if self.folder is not None:
            words.append(str(self.folder))
            files = sum(1 for path in self.folder.rglob("*.dcm"))
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_MERSEY, *words], stdout=subprocess.DEVNULL, stderr=log
            )
        end = time.monotonic() + _START_S
        while self._count() < files:
            said = self._log.read_text(errors="replace")[-2000:]
            assert self._process.poll() is None, f"mersey serve has ended: {said}"
            assert time.monotonic() < end, f"the files were not indexed: {said}"
            time.sleep(0.05)

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            assert self._process.wait(_PATIENCE_S) == 0
        finally:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it without a word, as a crash does; `start` begins it again."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def store(self, files: Sequence[Path]) -> None:
        """Give them to the archive in one STOW-RS request; all of them are taken."""
        parts = b"".join(
            b"--part\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % path.read_bytes()
            for path in files
        )
        kind = 'multipart/related; type="application/dicom"; boundary=part'
        request = urllib.request.Request(
            f"{self.root}/studies", data=parts + b"--part--\r\n", headers={"Content-Type": kind}
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as response:
            assert response.status == 200

    def get_json(self, path: str) -> list[dict]:
        request = urllib.request.Request(
            f"{self.root}{path}", headers={"Accept": "application/dicom+json"}
        )
        with urllib.request.urlopen(request, timeout=_PATIENCE_S) as response:
            return json.load(response)

    def _count(self) -> int:
        try:
            return len(self.get_json("/instances?limit=1000"))
        except OSError:
            return -1
