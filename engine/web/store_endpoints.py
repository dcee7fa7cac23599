"""The paths that store: STOW-RS (PS3.18 §10.5), resumable uploads, storage commitment."""

from __future__ import annotations

from collections.abc import Iterator

from starlette.requests import Request
from starlette.types import ASGIApp

from .endpoint import STUDY, Endpoint
from .requests import ROOT
from .service import Service
from .store_request import answer_store
from .tus import TUS_ROOT

__all__ = ["store_endpoints"]

_STORES = (f"{ROOT}/studies", ROOT + STUDY)


def store_endpoints(service: Service) -> Iterator[Endpoint]:
    """Those that `service` has the parts for."""
    if service.intake is not None:
        for path in _STORES:
            yield Endpoint(path, _store, ("POST",))
    if service.resumable is not None:
        for path in _STORES:
            yield Endpoint(path, _describe_store, ("OPTIONS",))
        yield Endpoint(f"{ROOT}/uploads/{{name}}", _upload, ("GET", "HEAD", "PATCH", "DELETE"))
    if service.tus is not None:
        for path in ("", "/"):
            yield Endpoint(TUS_ROOT + path, _tus, ("OPTIONS", "POST"))
        # POST has what its client cannot send in X-HTTP-Method-Override.
        methods = ("OPTIONS", "GET", "HEAD", "PATCH", "DELETE", "POST")
        yield Endpoint(f"{TUS_ROOT}/{{name}}", _tus, methods)
    if service.commitments is not None:
        path = f"{ROOT}/commitment-requests/{{transaction}}"
        yield Endpoint(path, _request_commitment, ("POST",))
        yield Endpoint(path, _commitment)


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
    name = request.path_params.get("name", "")
    if request.method == "OPTIONS":
        return service.tus.describe(name)
    return await service.tus.answer(request, name)


async def _request_commitment(request: Request, service: Service) -> ASGIApp:
    assert service.commitments is not None
    return await service.commitments.request(request, request.path_params["transaction"])


async def _commitment(request: Request, service: Service) -> ASGIApp:
    assert service.commitments is not None
    return await service.commitments.result(request.path_params["transaction"])
