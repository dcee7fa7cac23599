"""Options of `mersey transcode` and of its benchmark: the target, and how results are checked."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ...codecs.quality import Quality

__all__ = ["LossyAim", "TargetName", "VerifyOption", "chosen_target", "parse_aim"]


class VerifyOption(StrEnum):
    """How lossless results are checked."""

    off = "off"
    self = "self"
    independent = "independent"


TargetName = Annotated[
    str,
    typer.Option(
        metavar="NAME|UID",
        help="The transfer syntax, e.g. explicit-le (`mersey codecs` lists them); or progressive.",
    ),
]

LossyAim = Annotated[
    str | None,
    typer.Option(metavar="AIM", help="For lossy targets: psnr:DB or ratio:N, e.g. psnr:45."),
]


def parse_aim(text: str | None) -> Quality | None:
    """The quality that a lossy target aims at, if one is given.

    Raises
    ------
    UsageError
        It is none.
    """
    from ...codecs.quality import Quality

    return None if text is None else Quality.parse(text)


def chosen_target(name: str, aim: Quality | None) -> str:
    """The UID that `name` stands for, or PROGRESSIVE.

    Raises
    ------
    UsageError, UnsupportedError
        There is no such target, or it cannot be encoded: refused now, not once a file.
    """
    from ...codecs.registry import Registry, resolve_target
    from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL
    from ..runtime.rearranging import PROGRESSIVE

    target_uid = name if name == PROGRESSIVE else resolve_target(name)
    encoded_uid = HTJ2K_LOSSLESS_RPCL if name == PROGRESSIVE else target_uid
    Registry.default().encoder(encoded_uid, quality=aim)
    return target_uid
