"""Turning J2K and HTJ2K frames progressive without decoding them.

The packets of a frame are put in the order of its resolutions; none is opened, so no sample
changes. What always holds: every packet that the headers announce was found, once, and went
into the result. What is verified beyond that, by decoding both, is the caller's choice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.metadata import version

from ...codecs.codestream import scan_codestream
from ...codecs.errors import IntegrityError, MerseyError, UnsupportedError
from ...codecs.pixels import Buffer, PixelArray, PixelFormat
from ...codecs.registry import Registry
from ...codecs.surgery import conforms_to_rpcl, to_progressive
from ...codecs.syntaxes import (
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    J2K,
    J2K_LOSSLESS,
)
from .verification import Verify, equal_samples

__all__ = [
    "PROGRESSIVE",
    "REARRANGEABLE",
    "NotRearrangedError",
    "meets_rpcl",
    "rearrange_frame",
    "rearranging_library",
    "verify_rearranged",
]

PROGRESSIVE = "progressive"
"""The target that is not one transfer syntax: the progressive form that costs least."""

REARRANGEABLE = frozenset({J2K_LOSSLESS, J2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
"""The syntaxes whose frames need no decoding for it. Part 2 (.92, .93) is left out: a rewritten
header no longer announces its extensions."""


class NotRearrangedError(UnsupportedError):
    """A codestream that is valid for all we know, but whose packets we cannot move."""


@functools.cache
def rearranging_library() -> str:
    """What rearranges: part of the key of everything that it makes."""
    return f"mersey {version('mersey')}"


def rearrange_frame(data: Buffer) -> bytes:
    """The same image in RPCL, a tile-part for each resolution, TLM; a JP2 wrapper falls away.

    Raises
    ------
    CodestreamError
        The codestream is damaged, or lacks packets.
    NotRearrangedError
        It has a feature that we lack.
    """
    try:
        return to_progressive(data)
    except UnsupportedError as error:
        raise NotRearrangedError(error.message, feature=error.feature) from error


def meets_rpcl(data: bytes) -> bool:
    """Whether a rearranged frame meets the rules of HTJ2K with RPCL options (.202)."""
    return conforms_to_rpcl(scan_codestream(data))


def verify_rearranged(
    made: Buffer, stored: Buffer, *, uid: str, pixels: PixelFormat, verify: Verify
) -> None:
    """Decode both codestreams, by the same decoder, and compare their samples.

    ``off`` decodes nothing; ``self`` uses the decoder of the transfer syntax `uid`;
    ``independent`` OpenJPEG through pylibjpeg-openjpeg, and where that cannot, the former.

    Raises
    ------
    CodestreamError
        The stored frame does not decode.
    IntegrityError
        The samples are not the same.
    UnsupportedError
        No decoder here reads the stored frame, so nothing can be compared.
    """
    if verify == "off":
        return
    expected, decode = _expected(stored, uid=uid, pixels=pixels, verify=verify)
    try:
        found = decode(made)
    except MerseyError as error:
        raise IntegrityError(f"the rearranged frame does not decode: {error}") from error
    if not equal_samples(found, expected):
        raise IntegrityError("the rearranged frame decodes to other samples than the stored one")


def _expected(
    stored: Buffer, *, uid: str, pixels: PixelFormat, verify: Verify
) -> tuple[PixelArray, Callable[[Buffer], PixelArray]]:
    """The samples of the stored frame, and what decoded it."""
    if verify == "independent":
        from ...codecs.independent import decode_independently

        independent = functools.partial(decode_independently, pixels=pixels)
        try:
            return independent(stored), independent
        except UnsupportedError:
            pass  # not exact there, or misread: the other decoder is all there is
    decode = functools.partial(Registry.default().decoder(uid).decode, pixels=pixels)
    try:
        return decode(stored), decode
    except UnsupportedError as error:
        raise UnsupportedError(
            f"rearranged, but not to be verified by decoding: {error.message} "
            "(verify off relies on the packets)",
            feature=error.feature,
        ) from error
