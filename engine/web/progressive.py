"""`…/progressive`: a series or an instance as one Body, low resolution of every frame first.

The bytes are a pure function of the renditions, the order and the reduction to stop at, and so
is the entity tag: Range and If-Range resume it, over a restart too. Where renditions are not
there yet, or have not been looked at, the same bytes are streamed under the same tag while they
are made, each frame's smallest image as soon as it can be; the answer is a Body from then on.
Instances without frames, or without a progressive form, are left out, and named in the answer's
first part; those that turn out so while it is streamed, in a part of their own: then the next
answer is another.

Parameters of the query: ``order=middle-out|in-order|stride`` and ``until=N``, the reduction to
stop at: 3 for images of an eighth in each direction.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from starlette.requests import Request

from ...codecs.errors import MerseyError, UnsupportedError, UsageError
from ..archive.entry import Entry
from ..transfer.progressive_body import progressive_body
from ..transfer.resolution_order import FrameOrder
from ..transfer.series_description import DescribedInstance, SeriesDescription
from .progressive_forms import ProgressiveForm, progressive_form
from .progressive_making import progressive_frame
from .progressive_source import Placed, ProgressiveSource
from .progressive_stream import ProgressiveStream
from .requests import query_pairs
from .responses import BodyResponse
from .status import Reason, RefusedError
from .streamed import StreamedResponse

__all__ = ["answer_progressive"]

_MAX_FRAMES = 20_000
"""Their parts are held in memory while they are sent: some 4 KB a frame."""
_READ_AT_ONCE_BYTES = 64 << 20
"""Files whose pieces are not known are read before the answer begins, if they are no longer."""
_UNTIL = re.compile(r"[0-9]{1,2}")
_HEADERS = {"Cache-Control": "private"}


async def answer_progressive(
    request: Request, entries: Sequence[Entry], *, single: bool, source: ProgressiveSource
) -> BodyResponse | StreamedResponse:
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
    found = await source.at_hand(forms)
    left_out += [
        (form.entry.instance.sop_instance_uid, one.message)
        for form, one in zip(forms, found, strict=True)
        if isinstance(one, MerseyError)
    ]
    wanted = [
        (form, one)
        for form, one in zip(forms, found, strict=True)
        if not isinstance(one, MerseyError)
    ]
    if not wanted:
        why = left_out[0][1] if left_out else "nothing is there"
        raise RefusedError(f"no frame has a progressive form: {why}", reason=Reason.NOT_ACCEPTABLE)
    forms = [form for form, _ in wanted]
    placed = [one for _, one in wanted if one is not None]
    description = SeriesDescription(tuple(map(_described, forms)), tuple(sorted(left_out)))
    etag = _etag(forms, description.left_out, order=order, until=until, single=single)
    if len(placed) < len(forms) or await _is_much_to_read(placed, source):
        stream = ProgressiveStream(
            description, wanted, source, order=order, until=until, etag=etag, single=single
        )
        return StreamedResponse(
            stream.parts, etag=etag, content_type=stream.content_type, headers=_HEADERS
        )
    frames = [
        progressive_frame(one.form, index, one.segments(index), pieces, single=single)
        for one in placed
        for index, pieces in enumerate(await source.pieces(one))
    ]
    content_type, body = progressive_body(description, frames, order=order, until=until, etag=etag)
    return BodyResponse(body, content_type=content_type, headers=_HEADERS)


async def _is_much_to_read(placed: Sequence[Placed], source: ProgressiveSource) -> bool:
    known = await source.known(placed)
    unknown = [one for one, pieces in zip(placed, known, strict=True) if pieces is None]
    return sum(one.stamp.size_bytes for one in unknown) > _READ_AT_ONCE_BYTES


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


def _described(form: ProgressiveForm) -> DescribedInstance:
    instance = form.entry.instance
    return DescribedInstance(
        instance.sop_instance_uid, form.entry.frame_count, form.pixels, form.uid
    )


def _etag(
    forms: Sequence[ProgressiveForm],
    left_out: Sequence[tuple[str, str]],
    *,
    order: FrameOrder,
    until: int,
    single: bool,
) -> str:
    digest = hashlib.sha256(f"progressive 2\n{order.value} {until} {single}\n".encode())
    for form in forms:
        digest.update(f"{form.tag} {form.uid}\n".encode())
    for uid, reason in left_out:
        digest.update(f"without {uid}: {reason}\n".encode())
    return f'"{digest.hexdigest()[:40]}"'
