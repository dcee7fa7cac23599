"""The DICOMweb service as an ASGI application: the endpoints, and how errors are answered.

`build_app` wires; it opens nothing and starts no task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...codecs.errors import MerseyError
from .capabilities import describe_capabilities
from .cors import Cors
from .endpoint import Endpoint
from .exchange_endpoints import exchange_endpoints
from .requests import ROOT
from .responses import BodyResponse
from .retrieve_endpoints import retrieve_endpoints
from .service import Service
from .status import error_response
from .store_endpoints import store_endpoints
from .streamed import StreamedResponse

__all__ = ["build_app"]

_MAX_TARGET_BYTES = 60 << 10
"""Holds a list of ten thousand frames; httptools takes no URL of 64 KiB."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def build_app(service: Service, *, origins: Collection[str] = ("*",)) -> ASGIApp:
    """The application; pages from `origins` may read its answers."""
    endpoints = (
        *retrieve_endpoints(),
        *exchange_endpoints(service),
        *store_endpoints(service),
    )
    routes = [
        Route(endpoint.path, _answered(endpoint, service), methods=endpoint.methods)
        for endpoint in endpoints
    ]
    routes += [
        Route(path, _capabilities, methods=["OPTIONS", "GET"]) for path in ("/", ROOT, f"{ROOT}/")
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return _Bounded(Cors(app, origins=origins))


def _answered(endpoint: Endpoint, service: Service) -> Callable[[Request], Awaitable[Response]]:
    async def answer_request(request: Request) -> Response:
        try:
            answer = await endpoint.handler(request, service)
            if isinstance(answer, BodyResponse):
                answer = answer.reading(service.blobs, digests=service.digests)
            elif isinstance(answer, StreamedResponse):
                answer = answer.reading(service.blobs)
            return answer  # type: ignore[return-value]
        except MerseyError as error:
            return error_response(error, with_body=endpoint.explains)

    return answer_request


async def _capabilities(_: Request) -> Response:
    return JSONResponse(describe_capabilities(version=version("mersey")))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = error.headers
    if error.status_code == 405:
        headers = {"Allow": ", ".join(_allowed(request))}
        if request.method == "OPTIONS":  # where nothing more is to be told (RFC 9110 §9.3.7)
            return Response(status_code=204, headers=headers)
    content = {"error": "HTTPException", "message": error.detail}
    return JSONResponse(content, status_code=error.status_code, headers=headers)


def _allowed(request: Request) -> list[str]:
    """The methods that some route has for the path (RFC 9110 §10.2.1)."""
    found = {"OPTIONS"}
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return [method for method in _METHODS if method in found]


class _Bounded:
    """Refuses request targets of absurd length before anything looks at them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = len(scope["raw_path"]) + len(scope["query_string"])
            if length > _MAX_TARGET_BYTES:
                await Response(status_code=414)(scope, receive, send)
                return
        await self._app(scope, receive, send)
