"""One path of the service, the methods it has, and what answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp

from .service import Service

__all__ = ["INSTANCE", "SERIES", "STUDY", "Endpoint", "Handler"]

type Handler = Callable[[Request, Service], Awaitable[ASGIApp]]

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`handler` answers `methods` of `path`; without `explains` its errors have no body."""

    path: str
    handler: Handler
    methods: tuple[str, ...] = ("GET",)
    explains: bool = True
