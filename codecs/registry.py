"""Which codec does a transfer syntax: a Registry is a value, built once and passed down.

One codec a file: a module named in the table below offers
``open_codec(uid, *, quality=None) -> Codec`` and is imported when its codec is first asked
for. Building a registry, listing it and resolving names import no codec library.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module, metadata
from importlib.util import find_spec
from types import MappingProxyType
from typing import Protocol, Self, cast

from .codec import Codec
from .errors import UnsupportedError, UsageError
from .quality import Quality
from .syntaxes import (
    DEFLATED_EXPLICIT_LE,
    DEFLATED_FRAME,
    EXPLICIT_BE,
    EXPLICIT_LE,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    IMPLICIT_LE,
    J2K,
    J2K_LOSSLESS,
    J2K_PART_2,
    J2K_PART_2_LOSSLESS,
    JPEG_BASELINE,
    JPEG_LOSSLESS_SV1,
    JPEG_LS,
    JPEG_LS_LOSSLESS,
    JPEG_XL,
    JPEG_XL_JPEG,
    JPEG_XL_LOSSLESS,
    RLE,
    SYNTAXES,
    transfer_syntax,
)

__all__ = ["TARGETS", "CodecFactory", "Entry", "Registry", "RegistryRow", "resolve_target"]


class CodecFactory(Protocol):
    """Makes the codec of one transfer syntax; `quality` is for lossy encoders."""

    def __call__(self, uid: str, *, quality: Quality | None = None) -> Codec: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """What does one transfer syntax, in which directions, and what that needs installed.

    `needs` names distributions, each with the module that it is imported as.
    """

    factory: CodecFactory
    decode: bool = True
    encode: bool = False
    needs: tuple[tuple[str, str], ...] = ()

    def missing(self) -> tuple[str, ...]:
        """The distributions that are needed and not installed."""
        return tuple(name for name, module in self.needs if find_spec(module) is None)


@dataclass(frozen=True, slots=True)
class RegistryRow:
    """One line of the table of codecs, for people."""

    uid: str
    name: str
    decode: bool
    encode: bool
    library: str
    why_missing: str


@dataclass(frozen=True, slots=True)
class _Module:
    """A CodecFactory that imports ``mersey.codecs.<name>`` when it is called."""

    name: str

    def __call__(self, uid: str, *, quality: Quality | None = None) -> Codec:
        return _open(self.name, uid, quality)


@functools.cache
def _open(module_name: str, uid: str, quality: Quality | None) -> Codec:
    module = import_module(f".{module_name}", __package__)
    return cast(CodecFactory, module.open_codec)(uid, quality=quality)


_OPENJPH = ("ojph", "ojph")
_IMAGECODECS = ("imagecodecs", "imagecodecs")

_UNCOMPRESSED = _Module("uncompressed")
_HTJ2K = Entry(_Module("htj2k"), encode=True, needs=(_OPENJPH, _IMAGECODECS))
_J2K = Entry(_Module("j2k"), encode=True, needs=(_IMAGECODECS,))
_J2K_PART_2 = Entry(_Module("j2k"), needs=(_IMAGECODECS,))

_JPEG_DECODED = Entry(_Module("jpeg"), needs=(_IMAGECODECS,))
_JPEG = replace(_JPEG_DECODED, encode=True)
_JPEG_UID = "1.2.840.10008.1.2.4."
_JPEG_XL = _Module("jpegxl")
_JPEG_LS = Entry(_Module("jpegls"), encode=True, needs=(_IMAGECODECS,))

_DEFAULT: Mapping[str, Entry] = MappingProxyType(
    {
        IMPLICIT_LE: Entry(_UNCOMPRESSED),
        EXPLICIT_LE: Entry(_UNCOMPRESSED, encode=True),
        DEFLATED_EXPLICIT_LE: Entry(_UNCOMPRESSED),
        EXPLICIT_BE: Entry(_UNCOMPRESSED),
        JPEG_BASELINE: _JPEG,
        **{f"{_JPEG_UID}{number}": _JPEG_DECODED for number in (51, 52, 53, 54, 55, 56, 57)},
        JPEG_LOSSLESS_SV1: _JPEG,
        J2K_LOSSLESS: _J2K,
        J2K: _J2K,
        J2K_PART_2_LOSSLESS: _J2K_PART_2,
        J2K_PART_2: _J2K_PART_2,
        HTJ2K_LOSSLESS: _HTJ2K,
        HTJ2K_LOSSLESS_RPCL: _HTJ2K,
        HTJ2K: _HTJ2K,
        RLE: Entry(_Module("rle"), encode=True),
        DEFLATED_FRAME: Entry(_Module("deflated_frame"), encode=True, needs=(_IMAGECODECS,)),
        JPEG_LS_LOSSLESS: _JPEG_LS,
        JPEG_LS: _JPEG_LS,
        JPEG_XL_LOSSLESS: Entry(_JPEG_XL, encode=True, needs=(_IMAGECODECS,)),
        JPEG_XL_JPEG: Entry(_JPEG_XL, needs=(_IMAGECODECS,)),
        JPEG_XL: Entry(_JPEG_XL, needs=(_IMAGECODECS,)),
    }
)

TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "explicit-le": EXPLICIT_LE,
        "htj2k-rpcl": HTJ2K_LOSSLESS_RPCL,
        "htj2k": HTJ2K_LOSSLESS,
        "htj2k-lossy": HTJ2K,
        "rle": RLE,
        "deflated-frame": DEFLATED_FRAME,
        "jpegls": JPEG_LS_LOSSLESS,
        "jpegls-near": JPEG_LS,
        "jpegxl": JPEG_XL_LOSSLESS,
        "jpeg-baseline": JPEG_BASELINE,
        "jpeg-lossless": JPEG_LOSSLESS_SV1,
        "j2k": J2K_LOSSLESS,
        "j2k-lossy": J2K,
    }
)
"""The short names of the transfer syntaxes that we write, for ``--to``."""


def resolve_target(name_or_uid: str) -> str:
    """The Transfer Syntax UID that a short name or a UID means.

    Raises
    ------
    UsageError
        It is neither a name in TARGETS nor the UID of an image transfer syntax.
    """
    if name_or_uid in TARGETS:
        return TARGETS[name_or_uid]
    if name_or_uid in SYNTAXES:
        return name_or_uid
    raise UsageError(
        f"{name_or_uid!r} is no transfer syntax; expected a UID or one of {', '.join(TARGETS)}"
    )


@dataclass(frozen=True, slots=True)
class Registry:
    """Transfer Syntax UID to codec, or the reason why there is none."""

    entries: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))

    @classmethod
    def default(cls) -> Self:
        """Every codec of this package."""
        return cls(_DEFAULT)

    @classmethod
    def empty(cls) -> Self:
        """No codec at all: add your own with :meth:`with_`."""
        return cls()

    def with_(
        self, uid: str, factory: CodecFactory, *, decode: bool = True, encode: bool = False
    ) -> Self:
        """The same registry with one transfer syntax added or replaced."""
        entry = Entry(factory, decode=decode, encode=encode)
        return replace(self, entries=MappingProxyType({**self.entries, uid: entry}))

    def decoder(self, uid: str) -> Codec:
        """The codec that decodes `uid`.

        Raises
        ------
        UnsupportedError
            There is none; `feature` is `uid`.
        """
        return self._available(uid, decode=True).factory(uid)

    def encoder(self, uid: str, *, quality: Quality | None = None) -> Codec:
        """The codec that encodes `uid`; `quality` is the aim of a lossy one.

        Raises
        ------
        UnsupportedError
            There is none; `feature` is `uid`.
        UsageError
            `quality` for a transfer syntax that is only lossless.
        """
        entry = self._available(uid, decode=False)
        syntax = transfer_syntax(uid)
        if quality is not None and syntax is not None and syntax.lossless:
            raise UsageError(f"{syntax.name} ({uid}) is lossless and takes no quality")
        return entry.factory(uid, quality=quality)

    def rows(self) -> tuple[RegistryRow, ...]:
        """The table of transfer syntaxes: all of DICOM's, and any others of this registry."""
        uids = dict.fromkeys([*SYNTAXES, *self.entries])
        return tuple(self._row(uid) for uid in uids)

    def _available(self, uid: str, *, decode: bool) -> Entry:
        entry = self.entries.get(uid)
        if entry is None or not (entry.decode if decode else entry.encode) or entry.missing():
            verb = "decoded" if decode else "encoded"
            raise UnsupportedError(
                f"{_name(uid)} ({uid}) cannot be {verb}: {_why_missing(uid, entry)}",
                feature=uid,
            )
        return entry

    def _row(self, uid: str) -> RegistryRow:
        entry = self.entries.get(uid)
        if entry is None or entry.missing():
            return RegistryRow(uid, _name(uid), False, False, "", _why_missing(uid, entry))
        library = ", ".join(f"{name} {metadata.version(name)}" for name, _ in entry.needs)
        return RegistryRow(uid, _name(uid), entry.decode, entry.encode, library or "numpy", "")


def _why_missing(uid: str, entry: Entry | None) -> str:
    if entry is not None:
        missing = entry.missing()
        if missing:
            return f"needs {', '.join(missing)}, which is not installed"
        return "no codec here does it in this direction"
    syntax = transfer_syntax(uid)
    if syntax is None:
        return "it is no image transfer syntax of DICOM"
    return "video passes through untouched" if syntax.video else "no codec here does it"


def _name(uid: str) -> str:
    syntax = transfer_syntax(uid)
    return "an unknown transfer syntax" if syntax is None else syntax.name
