"""Clients of uploads that break off where a test wants them to, and what they send."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, RawDataStorage

from .samples import part10

__all__ = ["Reply", "Wire", "broken_file", "multipart", "raw_file", "stored_uids"]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def name(self) -> str:
        """The path of the upload that Location tells."""
        return urlsplit(self.headers["location"]).path

    @property
    def offset(self) -> int:
        return int(self.headers["upload-offset"])

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Wire:
    """A server's address, and what one says to it."""

    address: str

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        **fields: str,
    ) -> Reply:
        """One request; `fields` have underscores where headers have hyphens."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=240)
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    @contextmanager
    def begun(
        self, method: str, path: str, sent: bytes, *, length_bytes: int, **fields: str
    ) -> Iterator[socket.socket]:
        """A request of which only `sent` has come so far; leaving it cuts the connection."""
        host, _, port = urlsplit(self.address).netloc.rpartition(":")
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{port}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        lines += [f"Content-Length: {length_bytes}", "", ""]
        with socket.create_connection((host, int(port)), timeout=240) as link:
            link.sendall("\r\n".join(lines).encode() + sent)
            yield link


def raw_file(uid: str, *, size_bytes: int = 1000, study: str = "1.2.3") -> bytes:
    """A Part 10 file of about so many bytes."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RawDataStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.PatientID = "P1"
    dataset.add_new(0x00291010, "OB", bytes(range(256)) * (size_bytes // 256 + 1))
    return part10(dataset)


def broken_file(uid: str) -> bytes:
    """A Part 10 file that no archive takes: it belongs to no study."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, uid
    return part10(dataset)


def multipart(*files: bytes, boundary: str = "bound") -> tuple[str, bytes]:
    """The media type and the bytes of a store request."""
    parts = b"".join(
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (boundary.encode(), file)
        for file in files
    )
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    return kind, parts + b"--%b--\r\n" % boundary.encode()


def stored_uids(reply: Reply) -> list[str]:
    """The SOP Instance UIDs that a store response says are stored."""
    items = reply.json().get("00081199", {}).get("Value", [])
    return [item["00081155"]["Value"][0] for item in items]
