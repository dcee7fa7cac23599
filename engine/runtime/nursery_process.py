"""The nursery process: imports what workers need, then forks one whenever it is asked to.

Started by a Nursery, as ``python -m mersey.engine.runtime.nursery_process FD`` or by a fork. It
ends when its parent closes the connection, or dies.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import socket
import struct
import sys
import time

__all__ = ["BEAR", "BURY", "MESSAGE", "PREPARE", "UNKNOWN", "main", "raise_children"]

MESSAGE = struct.Struct("<qq")
"""What is asked for, or 0 in an answer, and a number."""
BEAR = 1
"""Fork a worker, with a memory limit in bytes and three descriptors; answered by its process ID."""
BURY = 2
"""End the worker with a process ID; answered by its exit code, or minus its signal."""
PREPARE = 3
"""Take a step of `preparation`; answered by 0, or 1 where it cannot be taken."""
UNKNOWN = 256
"""In the place of an exit code: there is no such worker, or it cannot be ended."""

_DESCRIPTORS = 3
_END_WITHIN_S = 5.0
"""What is killed ends at once, unless it waits for a disk or a server that does not answer."""
_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Serve a parent that started this process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    connection = socket.socket(fileno=int(arguments[0]))
    _import_what_runs_need()
    raise_children(connection)
    os._exit(0)  # there is nothing to put away


def raise_children(connection: socket.socket) -> None:
    """Bear and bury workers until the connection closes; those that are left end with it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    gc.freeze()  # what is here now is shared with the workers as long as nobody touches it
    workers: set[int] = set()
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, MESSAGE.size, _DESCRIPTORS)
        if not message:
            return
        kind, number = MESSAGE.unpack(message)
        if kind == BEAR:
            answer = _bear(connection, descriptors, number)
            workers.add(answer)
        elif kind == PREPARE:
            answer = _prepare(number)
        else:
            answer = _bury(number) if number in workers else UNKNOWN
            workers.discard(number)
        try:
            connection.send(MESSAGE.pack(0, answer))
        except OSError:
            return


def _bear(connection: socket.socket, descriptors: list[int], memory_limit_bytes: int) -> int:
    nursery_id = os.getpid()
    try:
        process_id = os.fork()
    except OSError:
        process_id = -1
    if process_id == 0:
        _become_worker(connection, descriptors, memory_limit_bytes, nursery_id)
    for descriptor in descriptors:
        os.close(descriptor)
    return process_id


def _become_worker(
    connection: socket.socket, descriptors: list[int], memory_limit_bytes: int, nursery_id: int
) -> None:
    status = 1
    try:
        connection.close()
        os.setpgid(0, 0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() == nursery_id:
            from .worker_process import work

            work(*descriptors, memory_limit_bytes=memory_limit_bytes)
        status = 0
    finally:
        os._exit(status)


def _bury(process_id: int) -> int:
    os.kill(process_id, signal.SIGKILL)  # a child that nobody has waited for: it is no other's ID
    last_s = time.monotonic() + _END_WITHIN_S
    while True:
        ended, status = os.waitpid(process_id, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        left_s = last_s - time.monotonic()
        if left_s <= 0:
            return UNKNOWN
        signal.sigtimedwait([signal.SIGCHLD], left_s)


def _prepare(step: int) -> int:
    from .preparation import take_step

    try:
        take_step(step)
    except Exception:  # noqa: BLE001  workers go without it, and import it themselves
        return 1
    finally:
        gc.freeze()
    return 0


def _import_what_runs_need() -> None:
    """Pay for imports before the first call, while the parent is busy with its own."""
    from . import frame_run, worker_process  # noqa: F401

    frame_run.warm()


if __name__ == "__main__":
    main(sys.argv[1:])
