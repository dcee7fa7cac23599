"""``mersey inspect``: what a file is, where its frames lie, how its codestreams can be cut."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import AsJson

__all__ = ["command"]

_CUT_COLUMNS = (
    ("Reduce", "width", "height", "bytes", "% of codestream"),
    ("reduce", "width", "height", "bytes", "percent"),
)
_NEEDED_COLUMNS = (
    ("Reduce", "width", "height", "bytes needed", "in ranges", "prefix with them"),
    ("reduce", "width", "height", "bytes", "ranges", "prefix"),
)


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
    as_json: AsJson = False,
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
    make a complete image; where there are none, "needed" says how many bytes an image takes, in
    how many "ranges", and the length of the "prefix" that holds them all.
    """
    from .inspection import inspect_file

    report = inspect_file(file, patient=patient)
    if as_json:
        import json

        print(json.dumps(report, indent=2))
    else:
        _print_report(report)


def _print_report(report: dict[str, Any]) -> None:
    from .terminal import print_line, size

    print_line(f"{report['file']}  {size(report['size_bytes'])}", style="bold")
    for title in ("identity", "patient", "image"):
        if report[title] is not None:
            _print_section(title, report[title])
    if report["frames"] is not None:
        _print_frames(report["frames"])
    if report["codestream"] is not None:
        _print_codestream(report["codestream"])
    if report["warnings"]:
        print_line("")
    for warning in report["warnings"]:
        print_line(f"warning: {warning}", style="yellow")


def _print_section(title: str, fields: dict[str, Any]) -> None:
    from .terminal import print_line, print_table

    print_line("")
    rows = [
        (name.replace("_", " "), _words(value))
        for name, value in fields.items()
        if value is not None
    ]
    print_table((title.capitalize(), ""), rows)


def _print_frames(frames: dict[str, Any]) -> None:
    from .terminal import print_line

    _print_section("frames", {key: value for key, value in frames.items() if key != "first"})
    names = ("number", "offset_bytes", "length_bytes", "fragments")
    _print_numbers(("Frame", "offset", "bytes", "fragments"), names, frames["first"])
    if frames["count"] > len(frames["first"]):
        print_line(f"… to frame {frames['count']:,}")


def _print_codestream(codestream: dict[str, Any]) -> None:
    tables = ("cut_points", "needed")
    fields = {key: value for key, value in codestream.items() if key not in tables}
    _print_section("codestream of frame 1", fields)
    if codestream["cut_points"] is not None:
        _print_numbers(*_CUT_COLUMNS, codestream["cut_points"])
    if codestream["needed"] is not None:
        _print_numbers(*_NEEDED_COLUMNS, codestream["needed"])


def _print_numbers(
    head: Sequence[str], names: Sequence[str], records: Sequence[dict[str, Any]]
) -> None:
    from .terminal import print_line, print_table

    print_line("")
    rows = [[_words(record[name]) for name in names] for record in records]
    print_table(head, rows, right=range(len(head)))


def _words(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_words(item) for item in value)
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
