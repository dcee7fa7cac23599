"""A pool of worker processes as an Executor: what a codec does to one costs one call.

Each worker has a memory limit, each call a time limit. A worker that crashes, hangs or runs
out of memory fails the call it was at, and the next call gets a new process.
"""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from ...codecs.errors import UsageError
from .nursery import Nursery
from .worker import Worker

__all__ = ["WorkerPool"]

_MIB = 1 << 20


@dataclass(slots=True)
class _Call:
    future: Future[Any]
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    time_limit_s: float


class WorkerPool(Executor):
    """An Executor over worker processes.

    Parameters
    ----------
    jobs
        How many processes; by default one for each core this process may use.
    memory_limit_bytes
        Private memory that a worker may take beyond what its imports took.
    time_limit_s
        How long a call may take where `submit_within` does not say.
    nursery
        Where the processes come from, one of its own by default. Whoever gives one closes it
        when the pool is shut down.

    Calls are taken in the order they were submitted. Functions and arguments must pickle, and
    the functions must be importable (never ``__main__``'s).
    """

    def __init__(
        self,
        *,
        jobs: int | None = None,
        memory_limit_bytes: int = 1024 * _MIB,
        time_limit_s: float = 60.0,
        nursery: Nursery | None = None,
    ) -> None:
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self._time_limit_s = time_limit_s
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False
        self._own_nursery = Nursery() if nursery is None else None
        bearer = nursery or self._own_nursery
        assert bearer is not None
        self._workers = [
            Worker(bearer, memory_limit_bytes=memory_limit_bytes) for _ in range(self.jobs)
        ]
        self._serving = self.jobs
        self._threads = [
            threading.Thread(target=self._serve, args=(worker,), name="mersey-worker", daemon=True)
            for worker in self._workers
        ]
        for thread in self._threads:
            thread.start()

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` in a worker, within the pool's time limit."""
        return self.submit_within(self._time_limit_s, fn, *args, **kwargs)

    def submit_within[**P, T](
        self, time_limit_s: float, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[T]:
        """Run ``fn(*args, **kwargs)`` in a worker, which is killed after `time_limit_s`.

        The future fails with `WorkerError` where the worker did not survive the call.
        """
        future: Future[T] = Future()
        with self._lock:
            if self._closed:
                raise UsageError("the worker pool is shut down")
            self._calls.put(_Call(future, fn, args, kwargs, time_limit_s))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; end the processes when the submitted ones are done.

        `cancel_futures` cancels those that have not begun.
        """
        with self._lock:
            already, self._closed = self._closed, True
        if cancel_futures:
            self._cancel_waiting()
        if not already:
            for _ in self._threads:
                self._calls.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    @property
    def process_ids(self) -> tuple[int, ...]:
        """The processes that live now."""
        ids = (worker.process_id for worker in self._workers)
        return tuple(process_id for process_id in ids if process_id is not None)

    def _cancel_waiting(self) -> None:
        kept = 0
        while True:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is None:
                kept += 1
            else:
                call.future.cancel()
                call.future.set_running_or_notify_cancel()
        for _ in range(kept):
            self._calls.put(None)

    def _serve(self, worker: Worker) -> None:
        while (call := self._calls.get()) is not None:
            if not call.future.set_running_or_notify_cancel():
                continue
            try:
                value = worker.call(
                    call.function,
                    call.arguments,
                    call.keywords,
                    time_limit_s=call.time_limit_s,
                )
            except BaseException as error:  # noqa: BLE001  the future carries it to whoever waits
                call.future.set_exception(error)
            else:
                call.future.set_result(value)
            del call
        worker.stop()
        with self._lock:
            self._serving -= 1
            is_last = self._serving == 0
        if is_last and self._own_nursery is not None:
            self._own_nursery.close()
