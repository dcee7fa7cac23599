"""A `mersey serve` of its own process, for the length of a block."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

from footprint import pss_bytes

__all__ = ["Served"]

_PATIENCE_S = 60
_QUIET_S = 2
_GROWTH_BYTES = 1 << 20


class Served:
    """Serves `folder`; `get` asks over one connection that is kept open."""

    def __init__(self, folder: Path, store: Path, *options: str) -> None:
        command = [str(Path(sys.executable).with_name("mersey")), "serve", str(folder)]
        self.process = subprocess.Popen(
            [*command, "--store", str(store), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        address = self.process.stdout.readline().split("http://")[1].split("/")[0]
        self.connection = http.client.HTTPConnection(address, timeout=_PATIENCE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=_PATIENCE_S)

    def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        """The status and the whole body of one GET under /dicom-web."""
        self.connection.request("GET", f"/dicom-web{path}", headers=headers)
        response = self.connection.getresponse()
        return response.status, response.read()

    def download(self, path: str, **headers: str) -> int:
        """The length of what one GET gives, read piece by piece and not kept."""
        self.connection.request("GET", f"/dicom-web{path}", headers=headers)
        response = self.connection.getresponse()
        assert response.status == 200, response.status
        length = 0
        while piece := response.read(1 << 20):
            length += len(piece)
        return length

    def instances(self, count: int) -> list[dict[str, Any]]:
        """The instances, once the scan has found `count` of them."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            _, body = self.get("/instances?limit=5000")
            found: list[dict[str, Any]] = json.loads(body or b"[]")
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise TimeoutError(f"{count} instances were not indexed within {_PATIENCE_S} s")

    def settle(self) -> None:
        """Wait until the server has warmed up: its memory has not grown for two seconds."""
        deadline = time.monotonic() + _PATIENCE_S
        largest, grown = 0, time.monotonic()
        while time.monotonic() < min(deadline, grown + _QUIET_S):
            now = pss_bytes(self.process.pid)
            if now > largest + _GROWTH_BYTES:
                largest, grown = now, time.monotonic()
            time.sleep(0.1)

    def frame_path(self, instance: dict[str, Any], number: int) -> str:
        study, series, uid = (
            instance[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")
        )
        return f"/studies/{study}/series/{series}/instances/{uid}/frames/{number}"
