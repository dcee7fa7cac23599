"""A real `mersey serve --store` to be killed, and what it left on the disk."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import zstandard
from mersey.engine.runtime.process_tree import process_tree
from stored_files import CONTENT_TYPE, Original, as_parts

__all__ = [
    "MERSEY",
    "ServedStore",
    "acknowledged_in",
    "blob_sha256",
    "rows_of",
    "run_json",
    "wait_until_empty",
]

MERSEY = str(Path(sys.executable).with_name("mersey"))
_PATIENCE_S = 240


class ServedStore:
    """The server of `store`, which is a process of its own until `kill` or `stop`."""

    def __init__(self, store: Path | str, *arguments: str) -> None:
        command = [MERSEY, "serve", "--store", str(store), "--port", "0", "--no-prebuild"]
        with TemporaryFile("w+") as told:
            self.process = subprocess.Popen(
                [*command, *arguments], stdout=subprocess.PIPE, stderr=told, text=True
            )
            assert self.process.stdout is not None
            line = self.process.stdout.readline()
            if "http://" not in line:
                self.process.communicate(timeout=_PATIENCE_S)
                told.seek(0)
                raise RuntimeError(f"the server does not start: {told.read()}")
        self.host = line.split("http://")[1].split("/")[0]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=_PATIENCE_S)

    def post(self, originals: list[Original]) -> tuple[int, dict[str, Any]]:
        """The status and the data set of the answer to one store request."""
        with closing(self.connect()) as connection:
            headers = {"Content-Type": CONTENT_TYPE}
            connection.request("POST", "/dicom-web/studies", as_parts(originals), headers)
            response = connection.getresponse()
            body = response.read()
        return response.status, json.loads(body) if body.startswith(b"{") else {}

    def get(self, path: str, accept: str = "application/dicom") -> tuple[int, bytes]:
        with closing(self.connect()) as connection:
            connection.request("GET", f"/dicom-web{path}", headers={"Accept": accept})
            response = connection.getresponse()
            return response.status, response.read()

    def kill(self, *, with_workers: bool) -> None:
        """SIGKILL to the server, before or without its workers."""
        _, *workers = process_tree(self.process.pid)
        self.process.kill()
        if with_workers:
            for worker in workers:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
        self.process.communicate(timeout=_PATIENCE_S)

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=_PATIENCE_S)


def acknowledged_in(dataset: dict[str, Any]) -> set[str]:
    """The SOP Instance UIDs that a store response says are stored."""
    items = dataset.get("00081199", {}).get("Value", [])
    return {item["00081155"]["Value"][0] for item in items}


def rows_of(store: Path) -> dict[str, tuple[str, str]]:
    """SOP Instance UID to blob key and SHA-256, as the catalogue's file has them."""
    with closing(sqlite3.connect(store / "catalogue.sqlite")) as connection:
        found = connection.execute("SELECT sop_instance_uid, blob_key, sha256 FROM instances")
        return {uid: (key, sha256) for uid, key, sha256 in found}


def blob_sha256(store: Path, key: str) -> str:
    """The digest of the original that a blob holds."""
    data = (store / "blobs" / key[:2] / key).read_bytes()
    if key.endswith(".zst"):
        data = zstandard.ZstdDecompressor().decompress(data, max_output_size=1 << 30)
    return hashlib.sha256(data).hexdigest()


def run_json(*arguments: str) -> tuple[int, Any]:
    """The exit code of a command, and the JSON that it printed."""
    done = subprocess.run(
        [MERSEY, *arguments, "--json"], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout) if done.stdout.strip() else {}


def wait_until_empty(folder: Path) -> None:
    """Raise AssertionError where files stay in `folder`."""
    deadline = time.monotonic() + _PATIENCE_S
    while names := os.listdir(folder):
        assert time.monotonic() < deadline, f"{len(names)} files were not collected: {names[:3]}"
        time.sleep(0.01)
