"""``mersey inspect``: what a file is, where its frames lie, how its codestreams can be cut."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["command"]


def command(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A DICOM file, or a bare .j2k, .j2c, .jp2 or .jph file.",
            show_default=False,
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    patient: Annotated[
        bool, typer.Option("--patient", help="Show the patient's name, ID, birth date and sex.")
    ] = False,
) -> None:
    """Show what a file is and where its frames lie.

    Identity, image attributes, frames, and of the first frame's codestream the layout and the
    cut points. Reads headers, item tags and what that layout takes; decodes nothing.

    With --json: an object with "file", "size_bytes", "kind" ("dicom" or "codestream"),
    "identity", "patient" (null unless asked for), "image", "frames", "codestream" and
    "warnings"; what there is none of is null. Offsets and lengths are in bytes, frames are
    numbered from 1, "cut_points" says for each "reduce" how many bytes of the codestream
    make a complete image.
    """
    from .inspection import inspect_file

    report = inspect_file(file, patient=patient)
    if as_json:
        import json

        print(json.dumps(report, indent=2))
    else:
        _print_report(report)


def _print_report(report: dict[str, Any]) -> None:
    from .terminal import console, printable, size

    out = console()
    out.print(printable(f"{report['file']}  {size(report['size_bytes'])}"), style="bold")
    for title in ("identity", "patient", "image"):
        if report[title] is not None:
            _print_section(out, title, report[title])
    if report["frames"] is not None:
        _print_frames(out, report["frames"])
    if report["codestream"] is not None:
        _print_codestream(out, report["codestream"])
    for warning in report["warnings"]:
        out.print(printable(f"warning: {warning}"), style="yellow")


def _print_section(out: Console, title: str, fields: dict[str, Any]) -> None:
    from .terminal import print_table

    out.print()
    rows = [(name.replace("_", " "), _words(value)) for name, value in fields.items()]
    print_table(out, (title.capitalize(), ""), rows)


def _print_frames(out: Console, frames: dict[str, Any]) -> None:
    from .terminal import print_table

    summary = {key: value for key, value in frames.items() if key != "first"}
    _print_section(out, "frames", summary)
    out.print()
    print_table(
        out,
        ("Frame", "offset", "bytes", "fragments"),
        [
            (str(row["number"]), f"{row['offset_bytes']:,}", f"{row['length_bytes']:,}",
             str(row["fragments"]))
            for row in frames["first"]
        ],
        right=(0, 1, 2, 3),
    )  # fmt: skip
    if frames["count"] > len(frames["first"]):
        out.print("…")


def _print_codestream(out: Console, codestream: dict[str, Any]) -> None:
    from .terminal import print_table

    fields = {key: value for key, value in codestream.items() if key != "cut_points"}
    _print_section(out, "codestream", fields)
    if codestream["cut_points"] is None:
        return
    out.print()
    print_table(
        out,
        ("Reduce", "width", "height", "bytes", "% of codestream"),
        [
            (str(row["reduce"]), str(row["width"]), str(row["height"]), f"{row['bytes']:,}",
             f"{row['percent']:.2f}")
            for row in codestream["cut_points"]
        ],
        right=(0, 1, 2, 3, 4),
    )  # fmt: skip


def _words(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
