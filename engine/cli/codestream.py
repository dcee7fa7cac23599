"""``mersey codestream``: bare J2K and HTJ2K files, without DICOM around them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, Reduce

__all__ = ["group"]

group = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

_FORMS = (".npy", ".png")
_OUT = typer.Argument(metavar="OUT", help="What to write: a bare codestream, .j2k or .j2c.")
_IN = typer.Argument(metavar="IN", help="A .j2k, .j2c, .jph or .jp2 file.")


@group.callback()
def _group() -> None:
    """Work on bare .j2k, .j2c, .jph and .jp2 files."""


@group.command("decode")
def decode(
    source: Annotated[Path, _IN],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="What to write: .npy or .png.")],
    *,
    reduce: Reduce = 0,
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


@group.command("inspect")
def inspect(
    source: Annotated[Path, _IN],
    *,
    as_json: AsJson = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Draw the bytes of each resolution into this file; needs mersey[plot].",
        ),
    ] = None,
) -> None:
    """Show markers, packets, and the bytes of each resolution and layer.

    With --json: an object with "file", "size_bytes", "layout", "markers" (in order), "packets",
    "sop_markers", "eph_markers", "header_bytes", "resolutions" (smallest first, with
    "bytes_by_layer" and "cumulative_bytes") and "needed": for each "reduce" the "bytes" that an
    image needs, in how many "ranges" they lie, and the length of the "prefix" that holds them.
    """
    if plot is not None and plot.suffix.lower() != ".png":
        raise typer.BadParameter(f"--plot is {plot.name!r}, expected a .png file")
    from .codestream_inspection import inspect_stream, print_stream

    report = inspect_stream(source)
    if plot is not None:
        from .codestream_plot import plot_resolutions
        from .written_file import write_whole

        write_whole(plot, plot_resolutions(report))
    if as_json:
        import json

        print(json.dumps(report, indent=2))
    else:
        print_stream(report)


@group.command("progressive")
def progressive(
    source: Annotated[Path, _IN],
    out: Annotated[Path, _OUT],
    *,
    plt: Annotated[
        bool, typer.Option("--plt", help="List the lengths of packets in each tile-part (PLT).")
    ] = False,
) -> None:
    """Put the packets in progressive order: RPCL, a tile-part for each resolution, TLM.

    Nothing is decoded, every sample stays as it is. So it is with reduce, truncate and reorder.
    """
    from ...codecs.surgery import to_progressive

    _rewrite(source, out, lambda data: to_progressive(data, plt=plt))


@group.command("reduce")
def reduce_(
    source: Annotated[Path, _IN],
    out: Annotated[Path, _OUT],
    *,
    reduce: Reduce,
) -> None:
    """Cut out the codestream of a smaller image."""
    from ...codecs.surgery import reduce_codestream

    _rewrite(source, out, lambda data: reduce_codestream(data, reduce=reduce))


@group.command("truncate")
def truncate(
    source: Annotated[Path, _IN],
    out: Annotated[Path, _OUT],
    *,
    max_bytes: Annotated[
        int | None, typer.Option(min=1, help="How many bytes OUT may have.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(min=1, help="How many quality layers to keep.")
    ] = None,
) -> None:
    """Cut at a packet: at most so many bytes, or layers, or both."""
    if max_bytes is None and layers is None:
        raise typer.BadParameter("expected --max-bytes, --layers or both")
    from ...codecs.surgery import truncate_codestream

    _rewrite(
        source, out, lambda data: truncate_codestream(data, max_bytes=max_bytes, layers=layers)
    )


@group.command("reorder")
def reorder(
    source: Annotated[Path, _IN],
    out: Annotated[Path, _OUT],
    *,
    progression: Annotated[
        str, typer.Option(metavar="ORDER", help="LRCP, RLCP, RPCL, PCRL or CPRL.")
    ],
) -> None:
    """Put the packets in one of the five orders of the standard."""
    from ...codecs.surgery import reorder

    _rewrite(source, out, lambda data: reorder(data, progression=progression.upper()))


def _rewrite(source: Path, out: Path, rewrite: Callable[[bytes], bytes]) -> None:
    from .codestream_rewriting import SUFFIXES, rewrite_file
    from .terminal import printable, size
    from .written_file import write_whole

    if out.suffix.lower() not in SUFFIXES:
        raise typer.BadParameter(
            f"OUT is {out.name!r}, expected a bare codestream: {', '.join(SUFFIXES)}"
        )
    made = rewrite_file(source, rewrite)
    write_whole(out, made.data)
    stored = source.stat().st_size
    words = f"{out}: {made.description}; {size(len(made.data))} written, {size(stored)} read"
    print(printable(words))
