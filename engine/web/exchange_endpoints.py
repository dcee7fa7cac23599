"""The paths between two Mersey engines: parcels that are pulled, and those that are pushed."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.types import ASGIApp

from .endpoint import INSTANCE, SERIES, STUDY, Endpoint
from .service import Service
from .transfers import (
    MERSEY_ROOT,
    answer_digests,
    answer_manifest,
    answer_parcel,
    answer_parcels,
    describe_engine,
)

__all__ = ["exchange_endpoints"]


def exchange_endpoints(service: Service) -> Iterator[Endpoint]:
    """Those that `service` has the parts for."""
    if service.parcels is not None:
        yield Endpoint(MERSEY_ROOT, _engine)
        for level in (STUDY, SERIES, INSTANCE):
            parcels = f"{MERSEY_ROOT}{level}/parcels"
            yield Endpoint(parcels, _parcels)
            yield Endpoint(f"{parcels}/{{number}}", _parcel)
            yield Endpoint(f"{parcels}/{{number}}/manifest", _manifest)
            yield Endpoint(f"{parcels}/{{number}}/digests", _digests)
    if service.inbounds is not None:
        inbound = f"{MERSEY_ROOT}/inbound"
        yield Endpoint(inbound, _begin_parcel, ("POST",))
        yield Endpoint(f"{inbound}/known", _known, ("POST",))
        yield Endpoint(f"{inbound}/{{parcel}}", _put_parcel, ("PUT",))
        yield Endpoint(f"{inbound}/{{parcel}}", _parcel_state)
        yield Endpoint(f"{inbound}/{{parcel}}", _discard_parcel, ("DELETE",))
        yield Endpoint(f"{inbound}/{{parcel}}/finish", _finish_parcel, ("POST",))


async def _engine(_: Request, __: Service) -> ASGIApp:
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
