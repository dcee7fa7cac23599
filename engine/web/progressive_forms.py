"""In which progressive form the frames of an instance go out, if there is one.

Lossless frames go as HTJ2K with RPCL options, made where they are stored otherwise; lossy J2K
and HTJ2K keep their samples and get their packets in order. Decides; makes nothing.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ...codecs.errors import MerseyError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.registry import Registry
from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL, transfer_syntax
from ..archive.entry import Entry
from ..runtime.rearranging import PROGRESSIVE
from .frame_forms import rendition_key_for, stored_form
from .negotiation import media_type_of

__all__ = ["ProgressiveForm", "progressive_form"]


@dataclass(frozen=True, slots=True)
class ProgressiveForm:
    """The frames of `entry` in `uid`, with the attributes `pixels` beside them.

    They are in the rendition `key` in `target_uid`; as they are stored where `key` is "".
    """

    entry: Entry
    uid: str
    pixels: PixelFormat
    target_uid: str = ""
    key: str = ""

    @property
    def content_type(self) -> str:
        return f"{media_type_of(self.uid)}; transfer-syntax={self.uid}"

    @property
    def tag(self) -> str:
        """What the bytes of the frames depend on."""
        return self.key or f"stored {self.entry.fingerprint}"


def progressive_form(entry: Entry) -> ProgressiveForm:
    """The form in which the frames of `entry` are sent resolution by resolution.

    Raises
    ------
    UnsupportedError
        There is none; the message says why.
    """
    instance = entry.instance
    if instance.pixels is None or instance.frames is None:
        raise UnsupportedError("the instance has no frames", feature="an instance without frames")
    uid, pixels = instance.transfer_syntax_uid, instance.pixels
    syntax = transfer_syntax(uid)
    form = stored_form(entry)
    if uid == HTJ2K_LOSSLESS_RPCL:
        return ProgressiveForm(entry, uid, pixels)
    if form.is_lossy and form.can_rearrange:
        key = rendition_key_for(entry, PROGRESSIVE)
        return ProgressiveForm(entry, uid, pixels, PROGRESSIVE, key)
    if not form.can_progress or syntax is None or syntax.video:
        raise UnsupportedError(
            f"frames in {uid} have no progressive form here", feature=f"progressive {uid}"
        )
    key = rendition_key_for(entry, HTJ2K_LOSSLESS_RPCL)
    made = _pixels_made(uid, pixels)
    return ProgressiveForm(entry, HTJ2K_LOSSLESS_RPCL, made, HTJ2K_LOSSLESS_RPCL, key)


@functools.lru_cache(maxsize=1024)
def _pixels_made(uid: str, pixels: PixelFormat) -> PixelFormat:
    registry = Registry.default()
    try:
        decoded = registry.decoder(uid).decoded_format(pixels)
        return registry.encoder(HTJ2K_LOSSLESS_RPCL).encoded_format(decoded)
    except UnsupportedError:
        raise
    except MerseyError as error:
        raise UnsupportedError(str(error), feature=f"progressive {uid}") from error
