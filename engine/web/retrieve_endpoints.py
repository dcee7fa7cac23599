"""The paths that read: QIDO-RS and WADO-RS (PS3.18 §10.4, §10.6), pictures, progressive series."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp

from ..archive.entry import Entry
from ..archive.levels import Level
from .bulk_data import answer_bulk_data
from .endpoint import INSTANCE, SERIES, STUDY, Endpoint, Handler
from .frames import answer_frames
from .holdings import Lost
from .metadata import answer_metadata
from .object_source import ObjectSource
from .progressive import answer_progressive
from .qido import answer_search
from .rendered import answer_rendered, answer_thumbnail
from .requests import ROOT
from .service import Service
from .wado import answer_instances

__all__ = ["retrieve_endpoints"]


def retrieve_endpoints() -> list[Endpoint]:
    """Those that every service has."""
    table: list[tuple[str, Handler]] = [
        (f"{INSTANCE}/frames/{{frames}}/rendered", _rendered),
        (f"{INSTANCE}/frames/{{frames}}/thumbnail", _thumbnail),
        *((f"{level}/rendered", _rendered) for level in (INSTANCE, SERIES, STUDY)),
        *((f"{level}/thumbnail", _thumbnail) for level in (INSTANCE, SERIES, STUDY)),
        (f"{INSTANCE}/bulkdata/{{path:path}}", _bulk_data),
        *((f"{level}/progressive", _progressive) for level in (INSTANCE, SERIES)),
        *((f"{level}/metadata", _metadata) for level in (INSTANCE, SERIES, STUDY)),
        (f"{SERIES}/instances", _search("instance")),
        (f"{STUDY}/instances", _search("instance")),
        (f"{STUDY}/series", _search("series")),
        ("/studies", _search("study")),
        ("/series", _search("series")),
        ("/instances", _search("instance")),
        (INSTANCE, _instance),
        (SERIES, _series),
        (STUDY, _series),
    ]
    frames = Endpoint(f"{ROOT}{INSTANCE}/frames/{{frames}}", _frames, explains=False)
    return [frames, *(Endpoint(ROOT + path, handler) for path, handler in table)]


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


def _search(level: Level) -> Handler:
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
