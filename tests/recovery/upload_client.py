"""A client of resumable uploads, by tus or the IETF's draft, which goes on with one it lost.

It may be killed: what the server acknowledged is kept where the next client sees it.
"""

from __future__ import annotations

import http.client
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Any, Literal

__all__ = ["Upload", "start_upload"]

_STREAM = "application/offset+octet-stream"
_PIECE_BYTES = 64 << 10
_PATIENCE_S = 400
_BUSY = frozenset({408, 409, 423, 503})
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["upload_client", "push_client"])


@dataclass(slots=True)
class Upload:
    """`data` on its way to a server, `at_once` bytes of it in a request.

    `told` is the highest offset that the server acknowledged; a lower one raises AssertionError.
    """

    protocol: Literal["tus", "ietf"]
    content_type: str
    data: bytes
    at_once: int
    told: Any
    path: str = ""

    @classmethod
    def of(
        cls, protocol: Literal["tus", "ietf"], content_type: str, data: bytes, at_once: int
    ) -> Upload:
        return cls(protocol, content_type, data, at_once, _CONTEXT.Value("q", 0))

    def begin(self, host: str) -> int:
        """Begin it; the status of the answer."""
        fields = {"Content-Type": self.content_type, "Upload-Complete": "?0"}
        path = "/dicom-web/studies"
        if self.protocol == "tus":
            kind = _base64(self.content_type)
            path, fields = "/uploads", {"Upload-Metadata": f"contentType {kind}"}
        fields["Upload-Length"] = str(len(self.data))
        status, found = self._ask(host, "POST", path, fields)
        if status == 201:
            self.path = found["location"].partition("://")[2].partition("/")[2]
            self.path = f"/{self.path}"
        return status

    def look(self, host: str) -> tuple[int, int]:
        """The status, and the offset that is acknowledged."""
        status, _ = self._ask(host, "HEAD", self.path, {})
        return status, self.told.value

    def append(self, host: str, offset: int) -> int:
        """The next bytes, or none where all are there; the status of the answer."""
        stop = min(offset + self.at_once, len(self.data))
        fields = {"Upload-Offset": str(offset), "Content-Type": _STREAM}
        if self.protocol == "ietf":
            fields["Content-Type"] = "application/partial-upload"
            fields["Upload-Complete"] = "?1" if stop == len(self.data) else "?0"
        return self._ask(host, "PATCH", self.path, fields, (offset, stop))[0]

    def carry(self, host: str) -> int:
        """Begin or go on, for as long as it takes; the status of the last answer."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            try:
                if not self.path and (status := self.begin(host)) != 201:
                    return status
                status, offset = self.look(host)
                while status < 300:
                    status = self.append(host, offset)
                    if offset + self.at_once >= len(self.data) and status not in _BUSY:
                        return status
                    offset = self.told.value
                if status not in _BUSY:
                    return status
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise AssertionError("the upload does not come to its end")

    def _ask(
        self,
        host: str,
        method: str,
        path: str,
        fields: dict[str, str],
        body: tuple[int, int] = (0, 0),
    ) -> tuple[int, dict[str, str]]:
        start, stop = body
        if self.protocol == "tus":
            fields["Tus-Resumable"] = "1.0.0"
        if method != "HEAD":
            fields["Content-Length"] = str(stop - start)
        with closing(http.client.HTTPConnection(host, timeout=_PATIENCE_S)) as connection:
            connection.request(method, path, self._pieces(start, stop), fields)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            response.read()
        if method in ("HEAD", "PATCH") and response.status < 300 and "upload-offset" in found:
            offset = int(found["upload-offset"])
            assert self.told.value <= offset <= len(self.data)
            self.told.value = offset
        return response.status, found

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        for at in range(start, stop, _PIECE_BYTES):
            yield self.data[at : min(at + _PIECE_BYTES, stop)]


def start_upload(upload: Upload, host: str) -> BaseProcess:
    """The same in a process of its own, whose exit code is 0 where it was all stored."""
    process = _CONTEXT.Process(target=_run, args=(upload, host))
    process.start()
    return process


def _run(upload: Upload, host: str) -> None:
    status = upload.carry(host)
    raise SystemExit(0 if status in (200, 204) else status // 100)


def _base64(text: str) -> str:
    import base64

    return base64.b64encode(text.encode()).decode()
