"""HTTP requests of the demo: printed as curl commands, performed as the same requests.

What is printed is what is done: both come out of one value.
"""

from __future__ import annotations

import http.client
import shlex
from dataclasses import dataclass, field
from urllib.parse import urlsplit

__all__ = ["Answer", "Request", "perform"]

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A GET: `why` says what it shows, `save_as` where curl is to put the body."""

    why: str
    url: str
    accept: str = ""
    byte_range: tuple[int, int] | None = None
    save_as: str = ""
    show_headers: bool = False
    then: str = field(default="", compare=False)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"Accept": self.accept} if self.accept else {}
        if self.byte_range is not None:
            headers["Range"] = f"bytes={self.byte_range[0]}-{self.byte_range[1]}"
        return headers

    def curl(self) -> str:
        """The command that does this request, and what to do with the result."""
        words = ["curl", "-s"]
        if self.show_headers:
            words += ["-D", "-"]
        if self.accept:
            words += ["-H", f"Accept: {self.accept}"]
        if self.byte_range is not None:
            words += ["-r", f"{self.byte_range[0]}-{self.byte_range[1]}"]
        if self.save_as:
            words += ["-o", self.save_as]
        return shlex.join([*words, self.url]) + self.then


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, read whole; header names in lower case."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    def transcript(self) -> str:
        """The status and the headers that matter here, one a line."""
        shown = ("content-type", "content-length", "content-range", "etag", "x-decode-level")
        lines = [f"{self.status} {self.reason}"]
        lines += [f"{name}: {self.headers[name]}" for name in shown if name in self.headers]
        return "\n".join(lines)


def perform(request: Request) -> Answer:
    """Do the request.

    Raises
    ------
    OSError, http.client.HTTPException
        The server is not there or speaks no HTTP.
    """
    url = urlsplit(request.url)
    assert url.hostname is not None
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=_TIMEOUT_S)
    try:
        target = f"{url.path}?{url.query}" if url.query else url.path
        connection.request("GET", target, headers=request.headers)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, response.reason, headers, response.read())
    finally:
        connection.close()
