"""A real S3 server on loopback for tests and benchmarks: moto's, from PyPI, as a process."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request

from ports import free_port

__all__ = ["S3Server"]

_START_S = 240.0


class S3Server:
    """A server with the bucket ``archive``, until `stop`; what it holds is in its memory."""

    def __init__(self) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._make_bucket()
        except BaseException:
            self.stop()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """What tells a process where the server is, and who it is."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def _make_bucket(self) -> None:
        request = urllib.request.Request(f"{self.url}/archive", method="PUT")
        end = time.monotonic() + _START_S
        while self._process.poll() is None and time.monotonic() < end:
            try:
                urllib.request.urlopen(request, timeout=_START_S).close()
            except OSError:
                time.sleep(0.1)
            else:
                return
        raise RuntimeError("the S3 server does not start")
