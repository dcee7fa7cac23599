"""``mersey codestream``: bare J2K and HTJ2K files, without DICOM around them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["group"]

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_FORMS = (".npy", ".png")


@group.callback()
def _group() -> None:
    """Work on bare .j2k, .j2c, .jph and .jp2 files."""


@group.command("decode")
def decode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="A .j2k, .j2c, .jph or .jp2 file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write: .npy or .png.")],
    *,
    reduce: Annotated[
        int, typer.Option(min=0, max=32, help="How often to halve the image: 3 is an eighth.")
    ] = 0,
) -> None:
    """Decode a codestream, in a process of its own.

    .npy holds the samples, (rows, columns) or (rows, columns, components). .png shows them:
    shifted to fill 8 or 16 bits, and up by half their range where they are signed. A palette
    or colour space that a JP2 wrapper tells of is not applied.
    """
    suffix = out.suffix.lower()
    if suffix not in _FORMS:
        raise typer.BadParameter(f"OUT is {out.name!r}, expected a .npy or .png file")
    from .codestream_decoding import decode_file, npy_file, png_file
    from .terminal import printable, size
    from .written_file import write_whole

    image = decode_file(source, reduce=reduce)
    data = npy_file(image) if suffix == ".npy" else png_file(image)
    write_whole(out, data)
    print(printable(f"{out}: {image.description}; {size(len(data))} written"))
