"""One worker process as its parent sees it: call it, or find out how it died.

A Worker is used by one thread. It starts its process when it is first called and again
after a death.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ...codecs.errors import ResourceError
from .beacon import Beacon
from .exchange import Exchange

__all__ = ["Worker", "WorkerError"]

# One process a core already: a library's own threads would only fight each other.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# Frames come and go by the MiB: memory that glibc keeps need not be faulted in again, which
# costs a fifth of encoding (mallopt(3)).
_KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(256 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
}


class WorkerError(ResourceError):
    """The worker process died, or was killed at its time limit, in the middle of a call.

    `frame_index` is the frame it was at, counted from 0, where it had said so.
    """

    def __init__(self, message: str, *, frame_index: int | None) -> None:
        super().__init__(message)
        self.frame_index = frame_index


class Worker:
    """A process that runs one call at a time, in bounded memory and time."""

    def __init__(self, *, memory_limit_bytes: int) -> None:
        self._memory_limit_bytes = memory_limit_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._exchange: Exchange
        self._beacon: Beacon

    def call(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        keywords: dict[str, Any],
        *,
        time_limit_s: float,
    ) -> Any:
        """Run `function` in the process and return what it returns, or raise what it raises.

        Raises
        ------
        WorkerError
            The process crashed or did not answer within `time_limit_s`; it is gone.
        """
        if self._process is None or self._process.poll() is not None:
            self.stop()
            self._start()
        try:
            call = (function, arguments, keywords)
            self._exchange.send(call, slot=self._exchange.free_slot())
            if not self._exchange.connection.poll(time_limit_s):
                raise self._death(f"gave no answer within {time_limit_s:.3g} s and was killed")
            (succeeded, value), _ = self._exchange.receive(lend=True)
        except (EOFError, ConnectionError):
            raise self._death("") from None
        if not succeeded:
            raise value
        return value

    def stop(self) -> None:
        """End the process at once; a call in another thread sees WorkerError."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        self._exchange.close()
        self._beacon.close()

    @property
    def process_id(self) -> int | None:
        return None if self._process is None else self._process.pid

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self._beacon = Beacon.create()
            self._exchange = Exchange.create(Connection(ours.detach()))
            descriptors = (theirs.fileno(), self._exchange.descriptor, self._beacon.descriptor)
            words = [str(number) for number in (*descriptors, self._memory_limit_bytes)]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mersey.engine.runtime.worker_process", *words],
                stdin=subprocess.DEVNULL,
                # Codec libraries write to C's streams whenever they please.
                stdout=subprocess.DEVNULL,
                stderr=None if os.environ.get("MERSEY_WORKER_STDERR") else subprocess.DEVNULL,
                pass_fds=descriptors,
                process_group=0,
                env=os.environ | _ONE_THREAD | _KEEP_MEMORY,
            )

    def _death(self, how: str) -> WorkerError:
        frame_index = self._beacon.frame_index
        process = self._process
        if process is not None and not how:
            how = _describe(process.wait())
        self.stop()
        return WorkerError(f"the worker process {how}", frame_index=frame_index)


def _describe(status: int) -> str:
    if status < 0:
        return f"died of {signal.Signals(-status).name} (memory limit or a fault in a codec)"
    return f"ended with status {status}"
