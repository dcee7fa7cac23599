"""One worker process as its parent sees it: call it, or find out how it died.

A Worker is used by one thread. It starts its process when it is first called, again after a
death, and when its nursery has been prepared since.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from ...codecs.errors import ResourceError
from .beacon import Beacon
from .exchange import Exchange
from .nursery import Nursery

__all__ = ["Worker", "WorkerError"]


class WorkerError(ResourceError):
    """The worker process died, or was killed at its time limit, in the middle of a call.

    `frame_index` is the frame it was at, counted from 0, where it had said so.
    """

    def __init__(self, message: str, *, frame_index: int | None) -> None:
        super().__init__(message)
        self.frame_index = frame_index


class Worker:
    """A process that runs one call at a time, in bounded memory and time."""

    def __init__(self, nursery: Nursery, *, memory_limit_bytes: int) -> None:
        self._nursery = nursery
        self._memory_limit_bytes = memory_limit_bytes
        self.process_id: int | None = None
        self._preparations = 0
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
        if not self._is_ready():
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

    def stop(self) -> int | None:
        """End the process at once, if there is one: how it ended, see `Nursery.bury`."""
        process_id, self.process_id = self.process_id, None
        if process_id is None:
            return None
        status = self._nursery.bury(process_id)
        self._let_go()
        return status

    def _is_ready(self) -> bool:
        """Between calls a worker says nothing: what can be read is its end."""
        if self.process_id is None or self._preparations != self._nursery.preparations:
            return False
        return not self._exchange.connection.poll()

    def _start(self) -> None:
        self._preparations = self._nursery.preparations
        ours, theirs = socket.socketpair()
        with theirs:
            self._beacon = Beacon.create()
            self._exchange = Exchange.create(Connection(ours.detach()))
            try:
                self.process_id = self._nursery.bear(
                    (theirs.fileno(), self._exchange.descriptor, self._beacon.descriptor),
                    memory_limit_bytes=self._memory_limit_bytes,
                )
            except ResourceError:
                self._let_go()
                raise

    def _let_go(self) -> None:
        self._exchange.close()
        self._beacon.close()

    def _death(self, how: str) -> WorkerError:
        frame_index = self._beacon.frame_index
        status = self.stop()
        return WorkerError(
            f"the worker process {how or _describe(status)}", frame_index=frame_index
        )


def _describe(status: int | None) -> str:
    if status is None:
        return "ended"
    if status == -signal.SIGBUS:
        return "died of SIGBUS (its file shrank, or can no longer be read)"
    if status < 0:
        return f"died of {signal.Signals(-status).name} (memory limit or a fault in a codec)"
    return f"ended with status {status}"
