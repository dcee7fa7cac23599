"""A complete upload on its way through ingest: the answer is that of a store request.

One file that is a Part 10 file is taken as it lies there, without a copy; a multipart body, or an
upload made of parts, is read like a request.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError, UsageError
from ..archive.examination import Refusal
from ..archive.receiving import Receiving
from ..archive.upload_plan import UploadResult, UploadState
from ..runtime.intake import Intake
from ..runtime.uploading import Finish, Finished
from .holdings import require_uid
from .status import error_response
from .store_response import store_response
from .stow import Buffer, StoreReport, receive_objects, storable_type

__all__ = ["storing"]

_READ_BYTES = 1 << 20
_PASSING = frozenset({"failure", "resources"})
"""Refusals that another try may not meet: the server stopped, a worker died, the disk is full."""
_log = logging.getLogger(__name__)


def storing(intake: Intake) -> Finish:
    """What stores uploads by `intake`."""

    async def finish(state: UploadState, sources: tuple[Path, ...]) -> Finished:
        is_final = True
        try:
            report = await _stored(state, sources, intake)
            refused = [one.reason for one in report.results if isinstance(one, Refusal)]
            is_final = not _PASSING.intersection(refused)
            response = store_response(report, base=state.plan.base)
        except MerseyError as error:
            response = error_response(error)
        except Exception as error:
            _log.exception("an upload could not be stored")
            raise ResourceError("it could not be stored") from error
        kind = response.headers["content-type"]
        result = UploadResult(response.status_code, kind, bytes(response.body))
        return Finished(result, final=is_final and response.status_code < 500)

    return finish


async def _stored(state: UploadState, sources: tuple[Path, ...], intake: Intake) -> StoreReport:
    plan = state.plan
    is_file = storable_type(plan.content_type).media_type == "application/dicom"
    if not state.offset_bytes:
        raise UsageError("the body is empty")
    if is_file and len(sources) == 1 and _is_near(sources[0], intake.ingest.blobs.incoming):
        if plan.study_uid is not None:
            require_uid(plan.study_uid)
        receiving = await asyncio.to_thread(
            Receiving.adopt, sources[0], intake.ingest.blobs.incoming
        )
        result = await intake.take(
            lambda _: None,
            size_bytes=state.offset_bytes,
            study_uid=plan.study_uid,
            receiving=receiving,
        )
        return StoreReport((await asyncio.shield(result),), plan.study_uid)
    return await receive_objects(
        plan.content_type, _pieces(sources), study_uid=plan.study_uid, intake=intake
    )


async def _pieces(sources: tuple[Path, ...]) -> AsyncIterator[Buffer]:
    for path in sources:
        file = await asyncio.to_thread(open, path, "rb", buffering=0)
        try:
            while piece := await asyncio.to_thread(file.read, _READ_BYTES):
                yield piece
        finally:
            file.close()


def _is_near(path: Path, folder: Path) -> bool:
    """Whether both are on one file system, where files can be shared."""
    return os.stat(path).st_dev == os.stat(folder).st_dev
