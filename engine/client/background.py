"""The asynchronous parts of the library for those who do not run an event loop.

`run_sync` waits for one coroutine, `iterate_sync` takes an asynchronous generator one item at a
time. Neither may be used where an event loop runs already: there, `await` and `async for` do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Coroutine, Iterator
from typing import Any

from ...codecs.errors import UsageError

__all__ = ["iterate_sync", "run_sync"]


def run_sync[T](call: Coroutine[Any, Any, T]) -> T:
    """The result of `call`, in an event loop of its own.

    Raises
    ------
    UsageError
        An event loop runs in this thread.
    """
    if _is_running():
        call.close()
        raise UsageError("an event loop runs in this thread: await the call instead")
    with asyncio.Runner() as runner:
        return runner.run(call)


def iterate_sync[T](items: AsyncGenerator[T]) -> Iterator[T]:
    """What `items` yields, while it goes on only when it is asked for the next.

    Leaving the loop early closes `items`, which ends its connections.

    Raises
    ------
    UsageError
        An event loop runs in this thread.

    Examples
    --------
    >>> def watch(url):
    ...     for update in iterate_sync(stream_series(url)):
    ...         print(update.received_bytes, update.reduction)
    """
    if _is_running():
        raise UsageError("an event loop runs in this thread: use async for instead")
    with asyncio.Runner() as runner:
        try:
            while True:
                try:
                    item = runner.run(_next(items))
                except StopAsyncIteration:
                    return
                yield item
        finally:
            runner.run(items.aclose())


async def _next[T](items: AsyncGenerator[T]) -> T:
    return await anext(items)


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
