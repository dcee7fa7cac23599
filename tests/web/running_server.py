"""`mersey serve` in a thread of the test, and a plain client."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PATIENCE_S = 240.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def parts(self) -> list[tuple[str, bytes]]:
        """The Content-Type and the bytes of each part of a multipart answer."""
        boundary = self.headers["content-type"].partition("boundary=")[2].encode()
        assert self.body.startswith(b"--" + boundary + b"\r\n")
        assert self.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        found = []
        inner = self.body[: -len(b"\r\n--" + boundary + b"--\r\n")]
        for piece in (b"\r\n" + inner).split(b"\r\n--" + boundary + b"\r\n")[1:]:
            head, _, data = piece.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            assert int(fields["Content-Length"]) == len(data)
            found.append((fields["Content-Type"], data))
        return found


@dataclass(frozen=True, slots=True)
class Client:
    """Asks the server at `address`, one connection a request."""

    address: str
    folder: Path

    def ask(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
    ) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=_PATIENCE_S)
        try:
            connection.request(method, path, headers=dict(headers or {}))
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, fields, response.read())
        finally:
            connection.close()

    def get(self, path: str, accept: str | None = None, **headers: str) -> Answer:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if accept is not None:
            fields["Accept"] = accept
        return self.ask(f"/dicom-web{path}", headers=fields)


class RunningServer:
    """`mersey serve` in a thread of its own, stopped by cancelling."""

    def __init__(self, folder: Path, store: Path, **settings: Any) -> None:
        self._folder, self._store = folder, store
        self._settings = settings
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self.address = ""
        self._scanned = threading.Event()

    def __enter__(self) -> Client:
        self._thread.start()
        assert self._ready.wait(_PATIENCE_S)
        assert self._scanned.wait(_PATIENCE_S), self._failure
        return Client(self.address, self._folder)

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        from mersey.engine.web.server import ServeSettings, serve

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            settings = ServeSettings((self._folder,), self._store, port=0, jobs=1, **self._settings)
            self._task = asyncio.create_task(
                serve(settings, on_listening=self._on_listening, on_scan=self._on_scan)
            )
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  raised again where the test is
            self._failure = error
        finally:
            self._ready.set()

    def _on_listening(self, address: str) -> None:
        self.address = address
        self._ready.set()

    def _on_scan(self, progress) -> None:
        if progress.done:
            self._scanned.set()
