"""Where worker processes come from: one process that has imported what they need, and forks.

An interpreter that starts cold computes for a quarter of a second before it can do anything; a
fork of one that is ready takes milliseconds, and shares its memory. The nursery has one thread
and runs nothing but imports, so that forking it is safe, whatever its parent is.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Self

from ...codecs.errors import ResourceError
from .nursery_process import BEAR, BURY, MESSAGE, PREPARE, UNKNOWN, raise_children

__all__ = ["Nursery"]

# One process a core already: a library's own threads would only fight each other.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
# Frames come and go by the MiB: memory that glibc keeps need not be faulted in again, which
# costs a fifth of encoding. Each by its variable, its number for mallopt(3), and its value.
_KEEP_MEMORY = (
    ("MALLOC_MMAP_THRESHOLD_", -3, 256 << 20),
    ("MALLOC_TRIM_THRESHOLD_", -1, 128 << 20),
    ("MALLOC_TOP_PAD_", -2, 16 << 20),
)


class Nursery:
    """A process that bears worker processes; it starts when the first is asked for.

    One for several pools is enough; whoever made it closes it when their workers have ended. For
    any number of threads. `preparations` counts what was prepared: a worker that was born before
    has less than one that is born now.
    """

    def __init__(self) -> None:
        self.preparations = 0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process_id = 0
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    def forked(cls) -> Self:
        """A nursery made of this process as it is now, with what it has imported.

        For a program that will import the same as its workers, at a moment when it holds
        nothing that they should not have: a second start is saved. Where this process has more
        than one thread it is not safe to fork, and the nursery starts as any other.
        """
        nursery = cls()
        if len(os.listdir("/proc/self/task")) == 1:
            nursery._fork()
        return nursery

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process now, and do not wait for it."""
        with self._lock:
            if self._socket is None:
                self._start()

    def prepare(self, steps: Iterable[int]) -> None:
        """Take steps of `preparation`, one after the other, for the workers to come.

        Blocks for as long as that takes; workers are borne between the steps. What cannot be
        had, or not any more, is left out.
        """
        for step in steps:
            with self._lock, suppress(OSError, EOFError):
                self._ask(PREPARE, step)
        self.preparations += 1

    def bear(self, descriptors: Sequence[int], *, memory_limit_bytes: int) -> int:
        """A new worker process with these `descriptors`; its process ID.

        It must be buried in the end. All of them die with the nursery.

        Raises
        ------
        ResourceError
            No process could be started.
        """
        with self._lock:
            for _ in range(2):
                if self._socket is None:
                    self._start()
                with suppress(OSError, EOFError):
                    process_id = self._ask(BEAR, memory_limit_bytes, descriptors)
                    if process_id > 0:
                        return process_id
                self._stop()  # it is gone, killed from outside
        raise ResourceError("no worker process can be started")

    def bury(self, process_id: int) -> int | None:
        """End a worker at once: its exit code, or below 0 the signal it died of before.

        None where that is not known: the nursery itself has ended.
        """
        with self._lock, suppress(OSError, EOFError):
            status = self._ask(BURY, process_id)
            return None if status == UNKNOWN else status
        return None

    def close(self) -> None:
        """End the process, and with it what it bore; the next worker starts another one."""
        with self._lock:
            self._stop()

    def _ask(self, kind: int, number: int, descriptors: Sequence[int] = ()) -> int:
        if self._socket is None:
            raise EOFError
        socket.send_fds(self._socket, [MESSAGE.pack(kind, number)], list(descriptors))
        answer = self._socket.recv(MESSAGE.size)
        if not answer:
            raise EOFError
        return int(MESSAGE.unpack(answer)[1])

    def _start(self) -> None:
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            keep_memory = {name: str(value) for name, _, value in _KEEP_MEMORY}
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mersey.engine.runtime.nursery_process", str(number)],
                stdin=subprocess.DEVNULL,
                # Codec libraries write to C's streams whenever they please.
                stdout=subprocess.DEVNULL,
                stderr=None if _shows_stderr() else subprocess.DEVNULL,
                pass_fds=(number,),
                process_group=0,
                env=os.environ | _ONE_THREAD | keep_memory,
            )
        self._socket = ours

    def _fork(self) -> None:
        ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        # Ctrl-C is the parent's to handle, from the first moment on.
        held = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._process_id = os.fork()
            if self._process_id == 0:
                _become_nursery(theirs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, held)
        theirs.close()
        self._socket = ours

    def _stop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()  # it may be importing yet
            self._process.wait()
            self._process = None
        if self._process_id:
            with suppress(ChildProcessError):
                os.waitpid(self._process_id, 0)
            self._process_id = 0


def _shows_stderr() -> bool:
    return bool(os.environ.get("MERSEY_WORKER_STDERR"))


def _become_nursery(connection: socket.socket) -> None:
    """In the forked process: let go of all that was the parent's, and go on as a nursery."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        os.setpgid(0, 0)
        nothing = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1) if _shows_stderr() else (0, 1, 2):
            os.dup2(nothing, stream)
        kept = connection.fileno()
        os.closerange(3, kept)
        os.closerange(kept + 1, os.sysconf("SC_OPEN_MAX"))
        os.environ.update(_ONE_THREAD)
        mallopt = ctypes.CDLL(None).mallopt
        for _, option, value in _KEEP_MEMORY:
            mallopt(option, value)
        raise_children(connection)
        status = 0
    finally:
        os._exit(status)
