"""Which renditions of an instance there may be: their keys, and what each is in."""

from __future__ import annotations

from ...codecs.errors import UnsupportedError
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, transfer_syntax
from ..archive.entry import Entry
from ..runtime.rearranging import PROGRESSIVE
from .frame_forms import rendition_key_for, stored_form

__all__ = ["possible_renditions", "progressive_target"]

_TARGETS = (EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, PROGRESSIVE)


def possible_renditions(entry: Entry) -> dict[str, str]:
    """The targets of all renditions that this version of Mersey would serve, by their keys."""
    found = {}
    for target_uid in _TARGETS:
        try:
            found[rendition_key_for(entry, target_uid)] = target_uid
        except UnsupportedError:
            continue
    return found


def progressive_target(entry: Entry) -> str | None:
    """What viewers are given the frames in; None where that is as they are stored.

    That is how `negotiation` answers who names no syntax. Moving packets costs little, and is
    left to when it is asked for.
    """
    instance = entry.instance
    if instance.pixels is None or instance.frames is None:
        return None
    form = stored_form(entry)
    syntax = transfer_syntax(instance.transfer_syntax_uid)
    is_video = syntax is not None and syntax.video
    if form.can_progress and form.suits_viewers and not form.is_lossy and not is_video:
        return HTJ2K_LOSSLESS_RPCL
    return None
