"""``mersey extract``: one frame as PNG, codestream or array, reading only the bytes it needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import Reduce

if TYPE_CHECKING:
    from .extraction import Extracted

__all__ = ["command"]


def command(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A DICOM file.")],
    out: Annotated[
        Path,
        typer.Argument(metavar="OUT", help="What to write: a .png, .j2c or .npy file."),
    ],
    *,
    frame: Annotated[int, typer.Option(min=1, help="Number of the frame, from 1.")] = 1,
    reduce: Reduce = 0,
    raw: Annotated[
        bool, typer.Option("--raw", help="PNG: the values as stored, not as displayed.")
    ] = False,
) -> None:
    """Write one frame as PNG, codestream or array.

    Reads the headers and that frame; with --reduce, of a progressive codestream only the bytes
    up to the cut point of that resolution.

    .png is for looking at: windowed to 8 bits as the headers say. .npy holds the decoded values
    as stored. .j2c is the codestream as stored; a frame stored otherwise is encoded as HTJ2K.
    """
    suffix = out.suffix.lower()
    if suffix not in (".png", ".j2c", ".npy"):
        raise typer.BadParameter(f"OUT is {out.name!r}, expected a .png, .j2c or .npy file")
    if raw and suffix != ".png":
        raise typer.BadParameter("--raw is for .png: .npy and .j2c hold stored values anyway")
    from .extraction import extract
    from .written_file import write_whole

    extracted = extract(file, form=suffix[1:], number=frame, reduce=reduce, raw=raw)
    write_whole(out, extracted.data)
    print(_summary(extracted, out))


def _summary(extracted: Extracted, out: Path) -> str:
    from .terminal import printable, size

    return printable(
        f"{out}: {extracted.description}; {size(len(extracted.data))} written, "
        f"{size(extracted.frame_bytes_read)} read of the frame's "
        f"{size(extracted.frame_bytes)}"
    )
