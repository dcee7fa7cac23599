"""The servers of the comparison, each of its own process for the length of a block.

Ports are fixed: they run in a network of their own.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Protocol, Self

__all__ = ["Mersey", "Nginx", "Orthanc", "Server"]

_PATIENCE_S = 60
_ORTHANC_PLUGINS = Path("/usr/share/orthanc/plugins")


class Server(Protocol):
    """What the rows need of a server; `root` is the path of its DICOMweb service."""

    name: str
    port: int
    root: str

    @property
    def process_id(self) -> int: ...


class _Process:
    """A child process that is stopped when the block ends."""

    def __init__(self, command: list[str], *, port: int, log: Path, **env: str) -> None:
        self.port = port
        self._log = log.open("wb")
        self.process = subprocess.Popen(
            command, stdout=self._log, stderr=subprocess.STDOUT, env=os.environ | env
        )
        self._await(log)

    @property
    def process_id(self) -> int:
        return self.process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def _await(self, log: Path) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"a server did not start: {log.read_text(errors='replace')}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                connection.getresponse().read()
            except OSError:
                time.sleep(0.05)
            else:
                return
            finally:
                connection.close()
        raise TimeoutError(f"a server did not answer: {log.read_text(errors='replace')}")


class Mersey(_Process):
    """`mersey serve` over `folders`, with a store that takes STOW."""

    name = "mersey"
    root = "/dicom-web"

    def __init__(self, work: Path, *folders: Path, port: int = 8042) -> None:
        self.store = work / "mersey-store"
        command = [str(Path(sys.executable).with_name("mersey")), "serve", *map(str, folders)]
        command += ["--store", str(self.store), "--port", str(port)]
        super().__init__(command, port=port, log=work / "mersey.log")
        count = sum(1 for folder in folders for _ in folder.rglob("*.dcm"))
        if count:
            self._await_instances(count)

    def _await_instances(self, count: int) -> None:
        """Wait until the folders are indexed: peers have theirs before they are asked, too."""
        deadline = time.monotonic() + _PATIENCE_S
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        try:
            while time.monotonic() < deadline:
                connection.request("GET", f"{self.root}/instances?limit=1&offset={count - 1}")
                response = connection.getresponse()
                body = response.read()
                if response.status == 200 and json.loads(body):
                    return
                time.sleep(0.05)
        finally:
            connection.close()
        raise TimeoutError(f"{count} instances were not indexed within {_PATIENCE_S} s")


class Orthanc(_Process):
    """Orthanc with the DICOMweb and GDCM plugins, its storage in `work`.

    The study fits its storage cache, and no transfer is compressed, which it does by default.
    Its threads get stacks of 8 MiB where there is a C compiler: with its own it crashes when it
    transcodes (`stacks.c`).
    """

    name = "orthanc"
    root = "/dicom-web"

    def __init__(self, work: Path, *, port: int = 8043) -> None:
        storage = work / "orthanc-storage"
        storage.mkdir(parents=True, exist_ok=True)
        settings: dict[str, Any] = {
            "Name": "peer",
            "StorageDirectory": str(storage),
            "IndexDirectory": str(storage),
            "HttpPort": port,
            "DicomServerEnabled": False,
            "RemoteAccessAllowed": True,
            "AuthenticationEnabled": False,
            "HttpCompressionEnabled": False,
            "SaveJobs": False,
            "MaximumStorageCacheSize": 1024,
            "StableAge": 60,
            "Plugins": [
                str(_ORTHANC_PLUGINS / f"lib{name}.so")
                for name in ("OrthancDicomWeb", "OrthancGdcm")
            ],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        }
        config = work / "orthanc.json"
        config.write_text(json.dumps(settings))
        program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
        super().__init__(
            [program, str(config)], port=port, log=work / "orthanc.log", **_larger_stacks(work)
        )

    def upload(self, paths: list[Path]) -> None:
        """Put files in through Orthanc's own REST interface."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
        for path in paths:
            connection.request("POST", "/instances", path.read_bytes())
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, (path, response.status, body[:200])
        connection.close()


def _larger_stacks(work: Path) -> dict[str, str]:
    """What to set in the environment of a program for stacks of 8 MiB."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return {}
    library = work / "stacks.so"
    source = Path(__file__).with_name("stacks.c")
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library)}


class Nginx(_Process):
    """nginx with sendfile over a folder: what the kernel and a C server give for plain files."""

    name = "nginx"
    root = ""

    def __init__(self, work: Path, folder: Path, *, port: int = 8044) -> None:
        config = work / "nginx.conf"
        config.write_text(
            f"""daemon off; worker_processes 2; pid {work}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
  sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 10000000; access_log off;
  client_body_temp_path {work}/nginx-body; proxy_temp_path {work}/nginx-proxy;
  fastcgi_temp_path {work}/nginx-fastcgi; uwsgi_temp_path {work}/nginx-uwsgi;
  scgi_temp_path {work}/nginx-scgi;
  server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
user root;
"""
        )
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        command = [program, "-p", str(work), "-c", str(config)]
        super().__init__(command, port=port, log=work / "nginx.log")
