"""The DICOMweb service as an ASGI application: routes, and what stands behind them.

`build_app` wires; it opens nothing and starts no task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ...codecs.errors import MerseyError
from ..archive.blobs import BlobStore
from ..archive.entry import Entry
from ..archive.levels import Level
from ..runtime.intake import Intake
from .body_digests import BodyDigests
from .bulk_data import answer_bulk_data
from .capabilities import describe_capabilities
from .commitment import Commitments
from .cors import Cors
from .frame_source import FrameSource
from .frames import answer_frames
from .holdings import Holdings, Lost
from .inbound import Inbounds
from .metadata import MetadataSource, answer_metadata
from .object_source import ObjectSource
from .parcels import ParcelSource
from .progressive import answer_progressive
from .progressive_source import ProgressiveSource
from .qido import answer_search
from .rendered import answer_rendered, answer_thumbnail
from .requests import ROOT
from .responses import BodyResponse
from .resumable_upload import ResumableUploads
from .served_digests import ServedDigests
from .status import error_response
from .store_request import answer_store
from .streamed import StreamedResponse
from .transfers import (
    MERSEY_ROOT,
    answer_digests,
    answer_manifest,
    answer_parcel,
    answer_parcels,
    describe_engine,
)
from .tus import TUS_ROOT, TusUploads
from .wado import answer_instances

__all__ = ["Service", "build_app"]

type _Handler = Callable[[Request, Service], Awaitable[ASGIApp]]

_MAX_TARGET_BYTES = 60 << 10
"""Holds a list of ten thousand frames; httptools takes no URL of 64 KiB."""


@dataclass(frozen=True, slots=True)
class Service:
    """What requests are answered from; with no `intake`, nothing can be stored."""

    holdings: Holdings
    frames: FrameSource
    metadata: MetadataSource
    executor: Executor
    progressive: ProgressiveSource
    served: ServedDigests
    intake: Intake | None = None
    commitments: Commitments | None = None
    blobs: BlobStore | None = None
    parcels: ParcelSource | None = None
    resumable: ResumableUploads | None = None
    tus: TusUploads | None = None
    inbounds: Inbounds | None = None
    digests: BodyDigests = field(default_factory=BodyDigests)


def build_app(service: Service, *, origins: Collection[str] = ("*",)) -> ASGIApp:
    """The application; pages from `origins` may read its answers."""
    study, series, instance = "/studies/{study}", "/series/{series}", "/instances/{instance}"
    one = f"{study}{series}{instance}"
    table: list[tuple[str, _Handler]] = [
        (f"{one}/frames/{{frames}}/rendered", _rendered),
        (f"{one}/frames/{{frames}}/thumbnail", _thumbnail),
        (f"{one}/frames/{{frames}}", _frames),
        (f"{one}/rendered", _rendered),
        (f"{one}/thumbnail", _thumbnail),
        (f"{study}{series}/rendered", _rendered),
        (f"{study}{series}/thumbnail", _thumbnail),
        (f"{study}/rendered", _rendered),
        (f"{study}/thumbnail", _thumbnail),
        (f"{one}/bulkdata/{{path:path}}", _bulk_data),
        (f"{one}/progressive", _progressive),
        (f"{study}{series}/progressive", _progressive),
        (f"{one}/metadata", _metadata),
        (f"{study}{series}/metadata", _metadata),
        (f"{study}/metadata", _metadata),
        (one, _instance),
        (f"{study}{series}/instances", _search("instance")),
        (f"{study}/instances", _search("instance")),
        (f"{study}/series", _search("series")),
        ("/studies", _search("study")),
        ("/series", _search("series")),
        ("/instances", _search("instance")),
        (f"{study}{series}", _series),
        (study, _series),
    ]
    routes = [
        Route(ROOT + path, _answered(handler, service), methods=["GET"]) for path, handler in table
    ]
    if service.parcels is not None:
        routes.append(Route(MERSEY_ROOT, _engine, methods=["GET"]))
        routes += [
            Route(MERSEY_ROOT + level + path, _answered(handler, service), methods=["GET"])
            for level in (study, study + series, one)
            for path, handler in (
                ("/parcels", _parcels),
                ("/parcels/{number}", _parcel),
                ("/parcels/{number}/manifest", _manifest),
                ("/parcels/{number}/digests", _digests),
            )
        ]
    if service.intake is not None:
        routes += [
            Route(ROOT + path, _answered(_store, service), methods=["POST"])
            for path in ("/studies", study)
        ]
    if service.inbounds is not None:
        inbound = f"{MERSEY_ROOT}/inbound"
        routes += [
            Route(inbound + path, _answered(handler, service), methods=[method])
            for method, path, handler in (
                ("POST", "", _begin_parcel),
                ("POST", "/known", _known),
                ("PUT", "/{parcel}", _put_parcel),
                ("GET", "/{parcel}", _parcel_state),
                ("DELETE", "/{parcel}", _discard_parcel),
                ("POST", "/{parcel}/finish", _finish_parcel),
            )
        ]
    if service.resumable is not None:
        routes += [
            Route(ROOT + path, _answered(_describe_store, service), methods=["OPTIONS"])
            for path in ("/studies", study)
        ]
        methods = ["GET", "HEAD", "PATCH", "DELETE"]
        routes.append(
            Route(f"{ROOT}/uploads/{{name}}", _answered(_upload, service), methods=methods)
        )
    if service.tus is not None:
        methods = ["OPTIONS", "GET", "HEAD", "PATCH", "DELETE", "POST"]
        routes += [
            Route(TUS_ROOT + path, _answered(_tus, service), methods=methods)
            for path in ("", "/", "/{name}")
        ]
    if service.commitments is not None:
        path = f"{ROOT}/commitment-requests/{{transaction}}"
        routes += [
            Route(path, _answered(_request_commitment, service), methods=["POST"]),
            Route(path, _answered(_commitment, service), methods=["GET"]),
        ]
    routes += [
        Route(path, _capabilities, methods=["OPTIONS", "GET"]) for path in ("/", ROOT, f"{ROOT}/")
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _http_error})
    app.router.redirect_slashes = False
    return _Bounded(Cors(app, origins=origins))


def _answered(handler: _Handler, service: Service) -> Callable[[Request], Awaitable[Response]]:
    with_body = handler is not _frames

    async def endpoint(request: Request) -> Response:
        try:
            answer = await handler(request, service)
            if isinstance(answer, BodyResponse):
                answer = answer.reading(service.blobs, digests=service.digests)
            elif isinstance(answer, StreamedResponse):
                answer = answer.reading(service.blobs)
            return answer  # type: ignore[return-value]
        except MerseyError as error:
            return error_response(error, with_body=with_body)

    return endpoint


async def _frames(request: Request, service: Service) -> ASGIApp:
    path = request.path_params
    entry = await service.holdings.entry(path["study"], path["series"], path["instance"])
    return await answer_frames(request, entry, path["frames"], source=service.frames)


async def _rendered(request: Request, service: Service) -> ASGIApp:
    return await answer_rendered(
        request,
        await _named(request, service),
        frame_list=request.path_params.get("frames"),
        single="instance" in request.path_params,
        source=service.frames,
    )


async def _thumbnail(request: Request, service: Service) -> ASGIApp:
    return await answer_thumbnail(
        request,
        await _named(request, service, lost="left out"),  # any of them stands for all
        frame_list=request.path_params.get("frames"),
        source=service.frames,
    )


async def _named(request: Request, service: Service, *, lost: Lost = "refused") -> list[Entry]:
    """The one instance that the path names, or those of its series or study."""
    path = request.path_params
    if "instance" not in path:
        return await service.holdings.entries(path["study"], path.get("series"), lost=lost)
    return [await service.holdings.entry(path["study"], path["series"], path["instance"])]


async def _progressive(request: Request, service: Service) -> ASGIApp:
    return await answer_progressive(
        request,
        await _named(request, service),
        single="instance" in request.path_params,
        source=service.progressive,
    )


async def _bulk_data(request: Request, service: Service) -> ASGIApp:
    path = request.path_params
    entry = await service.holdings.entry(path["study"], path["series"], path["instance"])
    return await answer_bulk_data(
        request, entry, path["path"], source=service.frames, executor=service.executor
    )


async def _instance(request: Request, service: Service) -> ASGIApp:
    return await _objects(request, service, may_be_single=True)


async def _series(request: Request, service: Service) -> ASGIApp:
    return await _objects(request, service, may_be_single=False)


async def _objects(request: Request, service: Service, *, may_be_single: bool) -> ASGIApp:
    return await answer_instances(
        request,
        await _named(request, service),
        may_be_single=may_be_single,
        source=ObjectSource(service.frames, executor=service.executor),
        digests=service.served,
    )


async def _metadata(request: Request, service: Service) -> ASGIApp:
    return await answer_metadata(request, source=service.metadata, holdings=service.holdings)


async def _store(request: Request, service: Service) -> ASGIApp:
    assert service.intake is not None
    study_uid = request.path_params.get("study")
    if service.resumable is not None and service.resumable.takes(request):
        return await service.resumable.begin(request, study_uid=study_uid)
    return await answer_store(request, study_uid=study_uid, intake=service.intake)


async def _describe_store(_: Request, service: Service) -> ASGIApp:
    assert service.resumable is not None
    return service.resumable.describe()


async def _upload(request: Request, service: Service) -> ASGIApp:
    assert service.resumable is not None
    return await service.resumable.answer(request, request.path_params["name"])


async def _tus(request: Request, service: Service) -> ASGIApp:
    assert service.tus is not None
    if request.method == "OPTIONS":
        return service.tus.describe()
    return await service.tus.answer(request, request.path_params.get("name", ""))


async def _begin_parcel(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.begin(request)


async def _known(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.known(request)


async def _put_parcel(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.put(request, request.path_params["parcel"])


async def _parcel_state(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.state(request.path_params["parcel"])


async def _discard_parcel(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.discard(request.path_params["parcel"])


async def _finish_parcel(request: Request, service: Service) -> ASGIApp:
    assert service.inbounds is not None
    return await service.inbounds.finish(request, request.path_params["parcel"])


async def _request_commitment(request: Request, service: Service) -> ASGIApp:
    assert service.commitments is not None
    return await service.commitments.request(request, request.path_params["transaction"])


async def _commitment(request: Request, service: Service) -> ASGIApp:
    assert service.commitments is not None
    return await service.commitments.result(request.path_params["transaction"])


def _search(level: Level) -> _Handler:
    async def search(request: Request, service: Service) -> ASGIApp:
        path = request.path_params
        return await answer_search(
            request,
            service.holdings.catalogue,
            level=level,
            study_uid=path.get("study"),
            series_uid=path.get("series"),
        )

    return search


async def _engine(_: Request) -> Response:
    return describe_engine()


async def _parcels(request: Request, service: Service) -> ASGIApp:
    assert service.parcels is not None
    return await answer_parcels(request, source=service.parcels)


async def _parcel(request: Request, service: Service) -> ASGIApp:
    assert service.parcels is not None
    return await answer_parcel(request, source=service.parcels)


async def _manifest(request: Request, service: Service) -> ASGIApp:
    assert service.parcels is not None
    return await answer_manifest(request, source=service.parcels)


async def _digests(request: Request, service: Service) -> ASGIApp:
    assert service.parcels is not None
    return await answer_digests(request, source=service.parcels, blobs=service.blobs)


async def _capabilities(_: Request) -> Response:
    return JSONResponse(describe_capabilities(version=version("mersey")))


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    content = {"error": "HTTPException", "message": error.detail}
    return JSONResponse(content, status_code=error.status_code, headers=error.headers)


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
