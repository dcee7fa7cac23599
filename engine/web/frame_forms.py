"""In which forms frames can be had, and what makes them: the keys of renditions rest on it.

Looks at headers alone; makes nothing.
"""

from __future__ import annotations

import functools

from ...codecs.errors import MerseyError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.registry import Registry
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, IMPLICIT_LE, transfer_syntax
from ..archive.entry import Entry
from ..archive.renditions import rendition_key
from ..runtime.rearranging import PROGRESSIVE, REARRANGEABLE, rearranging_library
from .negotiation import Stored, media_type_of

__all__ = ["library_for", "lies_explicit", "planes_needed", "rendition_key_for", "stored_form"]


def stored_form(entry: Entry) -> Stored:
    """What negotiation needs to know of an instance with frames."""
    instance = entry.instance
    uid = instance.transfer_syntax_uid
    syntax = transfer_syntax(uid)
    return Stored(
        uid=uid,
        is_encapsulated=syntax is not None and syntax.encapsulated,
        is_lossy=instance.lossy or (syntax is not None and syntax.lossless is False),
        can_decode=lies_explicit(entry) or library_for(entry, EXPLICIT_LE) is not None,
        can_progress=uid != HTJ2K_LOSSLESS_RPCL
        and library_for(entry, HTJ2K_LOSSLESS_RPCL) is not None,
        can_rearrange=uid != HTJ2K_LOSSLESS_RPCL and library_for(entry, PROGRESSIVE) is not None,
        suits_viewers=instance.pixels is None or _suits_viewers(uid, instance.pixels),
    )


def _suits_viewers(uid: str, pixels: PixelFormat) -> bool:
    """Whether viewers show HTJ2K of these pixels in the right colours.

    Cornerstone3D takes decoded colour for what the metadata says of the stored: Planar
    Configuration by plane garbles it. Its OpenJPH reads three components rightly only where
    they have a colour transform, which RGB is given when it is encoded and other colour not.
    """
    if pixels.samples == 1:
        return True
    with_transform = pixels.photometric in ("YBR_RCT", "YBR_ICT")
    to_be_given_one = pixels.photometric == "RGB" and media_type_of(uid) != "image/jphc"
    return pixels.planar == 0 and (with_transform or to_be_given_one)


def library_for(entry: Entry, target_uid: str) -> str | None:
    """What makes the frames of `entry` in `target_uid`; None where nothing here can.

    PROGRESSIVE is their own syntax in progressive order.
    """
    instance = entry.instance
    if instance.pixels is None or instance.frames is None:
        return None
    if target_uid == PROGRESSIVE:
        is_known = instance.transfer_syntax_uid in REARRANGEABLE
        return rearranging_library() if is_known else None
    return _library(instance.transfer_syntax_uid, target_uid, instance.pixels)


@functools.lru_cache(maxsize=1024)
def _library(source_uid: str, target_uid: str, pixels: PixelFormat) -> str | None:
    registry = Registry.default()
    try:
        decoder, encoder = registry.decoder(source_uid), registry.encoder(target_uid)
        encoder.encoded_format(decoder.decoded_format(pixels))
    except MerseyError:
        return None
    return f"{decoder.name} by {decoder.library} > {encoder.name} by {encoder.library}"


def rendition_key_for(entry: Entry, target_uid: str) -> str:
    """The key of the rendition of `entry` in `target_uid`.

    Raises
    ------
    UnsupportedError
        Nothing here makes it.
    """
    library = library_for(entry, target_uid)
    if library is None:
        raise UnsupportedError("the frames cannot be had in that form", feature=target_uid)
    return rendition_key(entry, target_uid=target_uid, library=library)


def lies_explicit(entry: Entry) -> bool:
    """Whether the stored frames are those of Explicit VR LE, so that slices of them will do."""
    return entry.instance.transfer_syntax_uid in (EXPLICIT_LE, IMPLICIT_LE)


def planes_needed(entry: Entry) -> bool:
    """Whether Planar Configuration, as the metadata has it, is by plane (PS3.3 §C.7.6.3.1.3)."""
    pixels = entry.instance.pixels
    return pixels is not None and pixels.samples > 1 and pixels.planar == 1
