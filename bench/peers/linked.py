"""A server as it is reached over a link: `tools/link.py` before it, in a process of its own."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

from servers import Server

__all__ = ["BYTES_PER_S", "RTT_S", "Linked", "line_rate_s"]

RTT_S = 0.040
BYTES_PER_S = 20e6 / 8
_TOOL = Path(__file__).resolve().parents[2] / "tools" / "link.py"
_PASSED = re.compile(r"down ([0-9]+) bytes")
_PATIENCE_S = 30


class Linked:
    """`server` over 20 Mbit/s and 40 ms for the length of a block; itself a `Server`.

    `cut_at` is where its connection breaks: so many bytes after the block began.
    `received_bytes` is known at the end: all that the link carried to the client, heads too.
    """

    def __init__(self, server: Server, *, cut_at: int = 0) -> None:
        self.name, self.root, self.process_id = server.name, server.root, server.process_id
        command = [sys.executable, str(_TOOL), "--to", f"127.0.0.1:{server.port}"]
        command += ["--rate", f"{BYTES_PER_S:.0f}", "--rtt", f"{RTT_S * 1e3:.0f}ms"]
        if cut_at:
            command += ["--cut-at", str(cut_at)]
        self._tool = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._tool.stdout is not None
        told = self._tool.stdout.readline()
        assert told, "the link did not start"
        self.port = int(told.split(" ")[0].rpartition(":")[2])
        self.received_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tool.send_signal(signal.SIGTERM)
        told, _ = self._tool.communicate(timeout=_PATIENCE_S)
        if found := _PASSED.search(told):
            self.received_bytes = int(found[1])


def line_rate_s(length_bytes: int, *, connections: int = 1) -> float:
    """No client can be sooner: a round trip to connect, one to ask, and the bytes.

    `connections` are made one after the other.
    """
    return connections * 2 * RTT_S + length_bytes / BYTES_PER_S
