"""`…/progressive`: a series or an instance as one Body, low resolution of every frame first.

The bytes are a pure function of the renditions, the order and the reduction to stop at, and so
is the entity tag: Range and If-Range resume it, over a restart too. Renditions that are not
there are built first, before all others; the answer begins when the last one is. Instances
without frames, or without a progressive form, are left out, and named in the answer's first
part.

Parameters of the query: ``order=middle-out|in-order|stride`` and ``until=N``, the reduction to
stop at: 3 for images of an eighth in each direction.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request

from ...codecs.errors import (
    FormatError,
    MerseyError,
    ResourceError,
    UnsupportedError,
    UsageError,
)
from ..archive.bounded_cache import BoundedCache
from ..archive.entry import Entry
from ..archive.renditions import Rendition
from ..dicom.frame_index import FrameIndex
from ..runtime.cut_points import CutPoints, read_cut_points
from ..transfer.body import FileStamp, Segment
from ..transfer.progressive_body import ProgressiveFrame, progressive_body
from ..transfer.resolution_order import FrameOrder
from ..transfer.series_description import DescribedInstance, SeriesDescription
from .frame_source import FrameSource
from .holdings import reading
from .progressive_forms import ProgressiveForm, progressive_form
from .requests import query_pairs
from .responses import BodyResponse
from .status import Reason, RefusedError

__all__ = ["ProgressiveSource", "answer_progressive"]

_CACHE_BYTES = 8 << 20
_BUILT_AT_ONCE = 64
_MAX_FRAMES = 20_000
"""Their parts are held in memory while they are sent: some 4 KB a frame."""
_UNTIL = re.compile(r"[0-9]{1,2}")
_HELD_A_FRAME_BYTES = 300


@dataclass(frozen=True, slots=True)
class _Placed:
    """A form, and the file where its frames are now."""

    form: ProgressiveForm
    path: str
    frames: FrameIndex
    rendition: Rendition | None

    @property
    def stamp(self) -> FileStamp:
        return self.form.entry.stamp if self.rendition is None else self.rendition.stamp

    def segments(self, index: int) -> tuple[Segment, ...]:
        if self.rendition is not None:
            return self.rendition.frame_slices(index)
        return self.form.entry.frame_slices(self.frames[index])


class ProgressiveSource:
    """Frames with their cut points, which are kept for a while. For one event loop."""

    def __init__(self, frames: FrameSource) -> None:
        self._frames = frames
        self._cut_points: BoundedCache[str, tuple[FileStamp, CutPoints]] = BoundedCache(
            limit_bytes=_CACHE_BYTES, weigh=lambda held: 200 + _HELD_A_FRAME_BYTES * len(held[1])
        )

    async def placed(
        self, forms: Sequence[ProgressiveForm]
    ) -> tuple[list[_Placed], list[tuple[str, str]]]:
        """Where the frames of `forms` are, built where they are not; and which cannot be, why.

        Raises
        ------
        ResourceError
            There is no room for them.
        """
        keys = [form.key for form in forms if form.key]
        by_key = dict(zip(keys, await self._frames.stored(keys), strict=True))
        missing = [form for form in forms if form.key and by_key[form.key] is None]
        failed: dict[str, MerseyError] = {}
        gate = asyncio.Semaphore(_BUILT_AT_ONCE)

        async def build(form: ProgressiveForm) -> None:
            async with gate:
                try:
                    by_key[form.key] = await self._frames.rendition(form.entry, form.target_uid)
                except ResourceError:
                    raise
                except MerseyError as error:
                    failed[form.key] = error

        await asyncio.gather(*map(build, missing))
        found, left_out = [], []
        for form in forms:
            entry = form.entry
            if form.key in failed:
                left_out.append((entry.instance.sop_instance_uid, failed[form.key].message))
            elif not form.key:
                assert entry.instance.frames is not None
                path = (await self._frames.local(entry)).path
                found.append(_Placed(form, path, entry.instance.frames, None))
            else:
                rendition = by_key[form.key]
                assert rendition is not None
                found.append(_Placed(form, rendition.path, rendition.frames, rendition))
        return found, left_out

    async def cut_points(self, placed: Sequence[_Placed]) -> list[CutPoints]:
        """The cut points of every frame of each, read in one thread where they are not known."""
        found: list[CutPoints | None] = []
        for one in placed:
            held = self._cut_points.get(one.form.tag)
            found.append(held[1] if held is not None and held[0] == one.stamp else None)
        unknown = [index for index, held in enumerate(found) if held is None]
        if unknown:
            made = await asyncio.to_thread(_read_all, [placed[index] for index in unknown])
            for index, points in zip(unknown, made, strict=True):
                found[index] = points
                one = placed[index]
                self._cut_points.put(one.form.tag, (one.stamp, points))
        return [points for points in found if points is not None]


async def answer_progressive(
    request: Request, entries: Sequence[Entry], *, single: bool, source: ProgressiveSource
) -> BodyResponse:
    """Answer with the frames of `entries`, in their order; `single` where the URL names one.

    Raises
    ------
    MerseyError
        A parameter has another form, or no frame of them can be had progressively.
    """
    order, until = _parameters(request)
    forms, left_out = _forms(entries)
    frame_count = sum(form.entry.frame_count for form in forms)
    if frame_count > _MAX_FRAMES:
        raise UsageError(f"{frame_count} frames, at most {_MAX_FRAMES} are sent in one answer")
    placed, failed = await source.placed(forms)
    left_out += failed
    if not placed:
        why = left_out[0][1] if left_out else "nothing is there"
        raise RefusedError(f"no frame has a progressive form: {why}", reason=Reason.NOT_ACCEPTABLE)
    cut_points = await source.cut_points(placed)
    frames = [
        frame
        for one, points in zip(placed, cut_points, strict=True)
        for frame in _frames(one, points, single=single)
    ]
    description = SeriesDescription(
        tuple(_described(one.form) for one in placed), tuple(sorted(left_out))
    )
    etag = _etag(placed, description.left_out, order=order, until=until, single=single)
    content_type, body = progressive_body(description, frames, order=order, until=until, etag=etag)
    return BodyResponse(body, content_type=content_type, headers={"Cache-Control": "private"})


def _parameters(request: Request) -> tuple[FrameOrder, int]:
    given = {key: value.strip() for key, value in reversed(query_pairs(request))}
    try:
        order = FrameOrder(given.get("order", FrameOrder.MIDDLE_OUT.value))
    except ValueError:
        known = ", ".join(one.value for one in FrameOrder)
        raise UsageError(f"order is one of {known}") from None
    until = given.get("until", "0")
    if not _UNTIL.fullmatch(until):
        raise UsageError("until is a number of halvings")
    return order, int(until)


def _forms(
    entries: Sequence[Entry],
) -> tuple[list[ProgressiveForm], list[tuple[str, str]]]:
    forms, left_out = [], []
    for entry in entries:
        try:
            forms.append(progressive_form(entry))
        except UnsupportedError as error:
            left_out.append((entry.instance.sop_instance_uid, error.message))
    return forms, left_out


def _read_all(placed: Sequence[_Placed]) -> list[CutPoints]:
    made = []
    for one in placed:
        if one.rendition is None:
            with reading(one.form.entry):
                made.append(read_cut_points(one.path, one.frames))
            continue
        try:
            made.append(read_cut_points(one.path, one.frames))
        except (FormatError, OSError) as error:
            raise ResourceError("a rendition went while it was looked at") from error
    return made


def _frames(one: _Placed, points: CutPoints, *, single: bool) -> list[ProgressiveFrame]:
    uid = quote(one.form.entry.instance.sop_instance_uid, safe="")
    folder = "frames" if single else f"instances/{uid}/frames"
    content_type = one.form.content_type
    return [
        ProgressiveFrame(f"{folder}/{index + 1}", content_type, one.segments(index), cuts)
        for index, cuts in enumerate(points)
    ]


def _described(form: ProgressiveForm) -> DescribedInstance:
    instance = form.entry.instance
    return DescribedInstance(
        instance.sop_instance_uid, form.entry.frame_count, form.pixels, form.uid
    )


def _etag(
    placed: Sequence[_Placed],
    left_out: Sequence[tuple[str, str]],
    *,
    order: FrameOrder,
    until: int,
    single: bool,
) -> str:
    digest = hashlib.sha256(f"progressive 1\n{order.value} {until} {single}\n".encode())
    for one in placed:
        digest.update(f"{one.form.tag} {one.form.uid}\n".encode())
    for uid, reason in left_out:
        digest.update(f"without {uid}: {reason}\n".encode())
    return f'"{digest.hexdigest()[:40]}"'
