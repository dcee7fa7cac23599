"""A client of tus 1.0, which can also do what one should not."""

from __future__ import annotations

import base64
import hashlib
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from .uploading import Reply, Wire

STREAM = "application/offset+octet-stream"


class Tus(Wire):
    """A server's tus endpoint."""

    def say(self, method: str, path: str, body: bytes | None = None, **fields: str) -> Reply:
        return self.ask(method, path, body, **{"Tus_Resumable": "1.0.0", **fields})

    def create(self, length: int | None, body: bytes | None = None, **fields: str) -> Reply:
        said = {"Upload_Defer_Length": "1"} if length is None else {"Upload_Length": str(length)}
        if body is not None:
            said["Content_Type"] = STREAM
        return self.say("POST", "/uploads", body, **said | fields)

    def patch(self, path: str, offset: int, body: bytes, **fields: str) -> Reply:
        said = {"Upload_Offset": str(offset), "Content_Type": STREAM}
        return self.say("PATCH", path, body, **said | fields)

    def head(self, path: str) -> Reply:
        return self.say("HEAD", path)


def metadata(**values: str) -> str:
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in values.items()
    )


def checksum(algorithm: str, data: bytes) -> str:
    if algorithm == "crc32":
        digest = zlib.crc32(data).to_bytes(4, "big")
    else:
        digest = hashlib.new(algorithm, data).digest()
    return f"{algorithm} {base64.b64encode(digest).decode()}"


@contextmanager
def begun_append(tus: Tus, path: str) -> Iterator[socket.socket]:
    """An append of 2000 bytes of which 1000 have come, and which the server has begun."""
    said = {"Upload_Offset": "0", "Content_Type": STREAM, "Tus_Resumable": "1.0.0"}
    with tus.begun("PATCH", path, bytes(1000), length_bytes=2000, **said) as link:
        # An offset that is wrong disturbs nobody.
        while tus.patch(path, 1, b"x").status != 423:
            pass
        yield link
