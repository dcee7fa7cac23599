"""Negotiation: what is asked for, and what is stored, give the ways to answer, best first.

Pure. Never offers Implicit VR or Big Endian on the web, whatever is stored. The caller takes
the first choice that can be carried out.

References
----------
DICOM PS3.18 §8.7.3 (media types), §8.7.8 (selection)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from ...codecs.syntaxes import (
    EXPLICIT_LE,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
    transfer_syntax,
)
from ..transfer.accept import MediaRange

__all__ = [
    "OCTETS",
    "Choice",
    "Source",
    "Stored",
    "choose_frames",
    "choose_objects",
    "media_type_of",
]

OCTETS = "application/octet-stream"
_JPEG = "1.2.840.10008.1.2.4."

# The first is what the media type means where no transfer syntax is named (§8.7.3.4).
_SYNTAXES: dict[str, tuple[str, ...]] = {
    "image/jphc": (HTJ2K_LOSSLESS_RPCL, HTJ2K_LOSSLESS, HTJ2K),
    "image/jp2": (J2K_LOSSLESS, J2K),
    "image/jpx": (_JPEG + "92", _JPEG + "93"),
    "image/jpeg": (_JPEG + "50", _JPEG + "70", _JPEG + "51", _JPEG + "57"),
    "image/jls": (_JPEG + "80", _JPEG + "81"),
    "image/dicom-rle": ("1.2.840.10008.1.2.5",),
    "image/jxl": (_JPEG + "110", _JPEG + "111", _JPEG + "112"),
}
_MEDIA_TYPES = {uid: media for media, uids in _SYNTAXES.items() for uid in uids}
_LEGACY = {
    "image/jhc": "image/jphc",
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/x-jp2": "image/jp2",
}


class Source(Enum):
    """Where the bytes of an answer come from."""

    STORED = "the fragments as they are"
    EXPLICIT = "Explicit VR Little Endian, a slice or decoded"
    PROGRESSIVE = "HTJ2K with RPCL options"
    REARRANGED = "the stored packets in progressive order"


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to answer: the media type and transfer syntax that it is labelled with.

    `zipped` says that it is a file in a ZIP archive, which has no labels.
    """

    source: Source
    media_type: str
    uid: str
    multipart: bool
    zipped: bool = False

    @property
    def content_type(self) -> str:
        """Of a part, or of the whole answer where it has but one."""
        return f"{self.media_type}; transfer-syntax={self.uid}"


@dataclass(frozen=True, slots=True)
class Stored:
    """What there is: `can_decode` to Explicit VR LE, `can_progress` to .202, losslessly.

    `can_rearrange` is whether the stored codestreams can be made progressive as they are.
    `suits_viewers` is whether viewers, which know the metadata of what is stored, show HTJ2K
    of it in the right colours.
    """

    uid: str
    is_encapsulated: bool
    is_lossy: bool
    can_decode: bool
    can_progress: bool
    can_rearrange: bool = False
    suits_viewers: bool = True


def media_type_of(uid: str) -> str:
    """The media type of frames in a transfer syntax."""
    return _MEDIA_TYPES.get(uid, OCTETS)


def choose_frames(
    wanted: Sequence[MediaRange], stored: Stored, *, frame_count: int
) -> Iterator[Choice]:
    """The ways to answer a request for frames; none means 406.

    Several frames need multipart/related: a single part cannot hold them.
    """
    for media in wanted:
        name, multipart = media.media_type, False
        if name in ("multipart/related", "multipart/*"):
            named = media.values("type")
            name, multipart = (named[0].lower() if named else OCTETS), True
        elif name == "*/*":
            multipart = True
        if not multipart and frame_count > 1:
            continue
        name = _LEGACY.get(name, name)
        for source, label, uid in _ways(name, media.values("transfer-syntax"), stored):
            yield Choice(source, label, uid, multipart)


def _ways(name: str, asked: tuple[str, ...], stored: Stored) -> Iterator[tuple[Source, str, str]]:
    if name in (OCTETS, "application/*", "*/*"):
        yield from _octet_ways(asked, stored)
        if name == "*/*" and not asked and stored.is_encapsulated:
            yield Source.STORED, media_type_of(stored.uid), stored.uid
    elif name == "image/*":
        if stored.is_encapsulated and (stored.is_lossy or not stored.can_progress):
            yield from _as_stored(stored, media_type_of(stored.uid), stored.uid)
        elif stored.can_progress:
            yield Source.PROGRESSIVE, "image/jphc", HTJ2K_LOSSLESS_RPCL
    elif name in _SYNTAXES:
        yield from _image_ways(name, asked, stored)


def _octet_ways(asked: tuple[str, ...], stored: Stored) -> Iterator[tuple[Source, str, str]]:
    """Octets: what may be named, named in the label; `*` is the progressive form (§3 of ours).

    Viewers say `*`, and decode no part of anything but .202. So lossless frames are given in
    that, of any syntax; lossy ones as they lie, since moving their packets would help nobody.
    Who names a syntax, or a media type, is given its progressive order.
    """
    if "*" in asked:
        yield from _ways_of_any(stored)
    for uid in asked:
        if _passes_as(stored, uid):
            yield from _as_stored(stored, OCTETS, uid)
        elif uid in _SYNTAXES["image/jphc"] and stored.can_progress:
            yield Source.PROGRESSIVE, OCTETS, uid
    if stored.can_decode and (not asked or "*" in asked or EXPLICIT_LE in asked):
        yield Source.EXPLICIT, OCTETS, EXPLICIT_LE


def _ways_of_any(stored: Stored) -> Iterator[tuple[Source, str, str]]:
    """Any transfer syntax: progressive, unless the one who asks would misread that."""
    if not stored.suits_viewers:
        if stored.is_encapsulated and stored.uid not in _SYNTAXES["image/jphc"]:
            yield Source.STORED, OCTETS, stored.uid
        if stored.can_decode:
            yield Source.EXPLICIT, OCTETS, EXPLICIT_LE
    if stored.is_encapsulated and (stored.is_lossy or stored.uid == HTJ2K_LOSSLESS_RPCL):
        yield Source.STORED, OCTETS, stored.uid
    if stored.can_progress:
        yield Source.PROGRESSIVE, OCTETS, HTJ2K_LOSSLESS_RPCL
    if stored.is_encapsulated:
        yield Source.STORED, OCTETS, stored.uid


def _image_ways(
    name: str, asked: tuple[str, ...], stored: Stored
) -> Iterator[tuple[Source, str, str]]:
    fitting = _SYNTAXES[name]
    if asked and "*" not in asked:
        fitting = tuple(uid for uid in asked if uid in fitting)
    as_stored = [uid for uid in fitting if _passes_as(stored, uid)]
    if as_stored and (stored.is_lossy or stored.uid == HTJ2K_LOSSLESS_RPCL):
        yield from _as_stored(stored, name, as_stored[0])
    if name == "image/jphc" and stored.can_progress:
        for uid in fitting:
            if uid not in as_stored:
                yield Source.PROGRESSIVE, name, uid
    if as_stored:
        yield from _as_stored(stored, name, as_stored[0])


def _as_stored(stored: Stored, name: str, uid: str) -> Iterator[tuple[Source, str, str]]:
    """Frames whose samples are coded as they are stored; their packets best by resolution."""
    if stored.can_rearrange:
        yield Source.REARRANGED, name, uid
    yield Source.STORED, name, uid


def _passes_as(stored: Stored, uid: str) -> bool:
    """Whether stored frames may bear the label `uid`.

    The rules of .202 include those of .201 and .203: its codestreams are theirs too.
    """
    if not stored.is_encapsulated:
        return False
    is_progressive = stored.uid == HTJ2K_LOSSLESS_RPCL
    return uid == stored.uid or (is_progressive and uid in _SYNTAXES["image/jphc"])


def choose_objects(wanted: Sequence[MediaRange], stored: Stored) -> Iterator[Choice]:
    """The ways to answer a request for whole instances as PS3.10 files.

    A ZIP archive holds them as they are stored unless it names a transfer syntax: for that
    media type no default is laid down (§8.7.3.3.2).
    """
    for media in wanted:
        name, multipart = media.media_type, False
        if name == "application/zip":
            for source, uid in _object_ways(media.values("transfer-syntax") or ("*",), stored):
                yield Choice(source, "application/dicom", uid, multipart=False, zipped=True)
            continue
        if name in ("multipart/related", "multipart/*"):
            named = media.values("type")
            name, multipart = (named[0].lower() if named else "application/dicom"), True
        if name not in ("application/dicom", "application/*", "*/*"):
            continue
        asked = media.values("transfer-syntax") or (("*",) if name != "application/dicom" else ())
        for source, uid in _object_ways(asked, stored):
            yield Choice(source, "application/dicom", uid, multipart)


def _object_ways(asked: tuple[str, ...], stored: Stored) -> Iterator[tuple[Source, str]]:
    """No transfer syntax asked for means Explicit VR LE, unless what is stored is lossy."""
    syntax = transfer_syntax(stored.uid)
    on_the_web = syntax is None or (
        syntax.explicit_vr and syntax.little_endian and not syntax.deflated
    )
    if stored.uid in asked and on_the_web:
        yield Source.STORED, stored.uid
    if "*" in asked and on_the_web:
        yield Source.STORED, stored.uid
    if HTJ2K_LOSSLESS_RPCL in asked and stored.can_progress:
        yield Source.PROGRESSIVE, HTJ2K_LOSSLESS_RPCL
    if not asked or "*" in asked or EXPLICIT_LE in asked:
        if on_the_web and (stored.uid == EXPLICIT_LE or (stored.is_lossy and not asked)):
            yield Source.STORED, stored.uid
        elif stored.can_decode:
            yield Source.EXPLICIT, EXPLICIT_LE
        if not asked and on_the_web:
            yield Source.STORED, stored.uid
