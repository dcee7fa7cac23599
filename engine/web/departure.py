"""The client that goes away while it is answered."""

from __future__ import annotations

from starlette.types import Receive

__all__ = ["wait_for_departure"]


async def wait_for_departure(receive: Receive) -> None:
    """Ends when the client has gone: without it a long answer would be made to its end."""
    while (await receive())["type"] != "http.disconnect":
        pass
