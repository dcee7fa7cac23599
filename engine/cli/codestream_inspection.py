"""What ``mersey codestream inspect`` finds: a report of plain values, and how it is printed.

Walks every packet; decodes nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...codecs.codestream import CodestreamLayout
from ...codecs.codestream_report import CodestreamReport, ResolutionReport, report_codestream
from ...codecs.errors import FormatError
from ...codecs.surgery import why_not_rpcl
from .codestream_layout import describe_layout
from .codestream_rewriting import read_stream
from .needed_bytes import needed_bytes

__all__ = ["inspect_stream", "print_stream"]

_MOST_LAYERS = 8
_MOST_MARKERS = 40


def inspect_stream(path: Path) -> dict[str, Any]:
    """Describe the codestream in the file `path`.

    Returns
    -------
    dict
        The keys that ``mersey codestream inspect --help`` documents.

    Raises
    ------
    CodestreamError
        The file holds no codestream, or a broken one; ``source`` is the path.
    """
    data = read_stream(path)
    try:
        report = report_codestream(data)
        needed = needed_bytes(data, report.layout)
    except FormatError as error:
        error.source = error.source or str(path)
        raise
    return {
        "file": str(path),
        "size_bytes": len(data),
        "layout": _layout(report.layout),
        "markers": [
            {
                "marker": marker.name,
                "code": f"{marker.code:04X}",
                "offset_bytes": marker.offset_bytes,
                "length_bytes": marker.length_bytes,
                "tile": marker.tile,
                "tile_part": None if marker.tile is None else marker.tile_part,
            }
            for marker in report.markers
        ],
        "packets": report.packets,
        "sop_markers": report.sop_markers,
        "eph_markers": report.eph_markers,
        "header_bytes": report.header_bytes,
        "resolutions": _resolutions(report),
        "needed": needed,
    }


def _layout(layout: CodestreamLayout) -> dict[str, Any]:
    return {
        **describe_layout(layout),
        "subsampling": [list(pair) for pair in layout.subsampling],
        "poc": layout.has_poc,
        "wrapper_bytes": layout.jp2_offset,
        "why_not_htj2k_rpcl": list(why_not_rpcl(layout)),
    }


def _resolutions(report: CodestreamReport) -> list[dict[str, Any]]:
    total = report.header_bytes
    rows = []
    for resolution in report.resolutions:
        total += resolution.total_bytes
        rows.append(_resolution(resolution) | {"cumulative_bytes": total})
    return rows


def _resolution(resolution: ResolutionReport) -> dict[str, Any]:
    return {
        "level": resolution.level,
        "reduce": resolution.reduce,
        "width": resolution.width,
        "height": resolution.height,
        "packets": resolution.packets,
        "packet_header_bytes": resolution.header_bytes,
        "packet_body_bytes": resolution.body_bytes,
        "bytes": resolution.total_bytes,
        "bytes_by_layer": list(resolution.bytes_by_layer),
    }


def print_stream(report: dict[str, Any]) -> None:
    """Print a report for people: layout, markers, resolutions by layer, what each needs."""
    from .terminal import print_line, print_table, size

    print_line(f"{report['file']}  {size(report['size_bytes'])}", style="bold")
    print_line("")
    layout = report["layout"]
    print_table(
        ("Codestream", ""),
        [(name.replace("_", " "), _words(value)) for name, value in layout.items()],
    )
    print_line("")
    _print_markers(report["markers"])
    print_line("")
    _print_resolutions(report)
    print_line("")
    print_table(
        ("Reduce", "width", "height", "bytes needed", "in ranges", "prefix"),
        [
            [
                _words(row[name])
                for name in ("reduce", "width", "height", "bytes", "ranges", "prefix")
            ]
            for row in report["needed"]
        ],
        right=range(6),
    )


def _print_markers(markers: list[dict[str, Any]]) -> None:
    from .terminal import print_line, print_table

    names = ("marker", "code", "offset_bytes", "length_bytes", "tile", "tile_part")
    rows = [[_words(marker[name]) for name in names] for marker in markers[:_MOST_MARKERS]]
    print_table(("Marker", "code", "offset", "bytes", "tile", "tile-part"), rows, right=range(2, 6))
    if len(markers) > _MOST_MARKERS:
        print_line(f"… {len(markers):,} markers, all of them with --json")


def _print_resolutions(report: dict[str, Any]) -> None:
    from .terminal import print_line, print_table

    layers = report["layout"]["layers"]
    shown = min(layers, _MOST_LAYERS)
    head = ["Level", "width", "height", "packets", "bytes", "cumulative"]
    if layers > 1:
        head += [f"layer {layer}" for layer in range(shown)]
    rows = []
    for row in report["resolutions"]:
        names = ("level", "width", "height", "packets", "bytes", "cumulative_bytes")
        cells = [row[name] for name in names]
        if layers > 1:
            by_layer = row["bytes_by_layer"]
            cells += [by_layer[layer] if layer < len(by_layer) else 0 for layer in range(shown)]
        rows.append([_words(cell) for cell in cells])
    print_table(head, rows, right=range(len(head)))
    if layers > shown:
        print_line(f"… {layers:,} layers, all of them with --json")
    print_line(f"{report['packets']:,} packets, {report['header_bytes']:,} bytes of headers")


def _words(value: Any) -> str:
    if value is None or value == "" or value == []:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        nested = all(isinstance(item, list) for item in value)
        return ", ".join(" x ".join(map(str, item)) if nested else _words(item) for item in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
