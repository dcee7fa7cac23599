"""The bytes of each resolution of a codestream as a picture; needs the extra ``mersey[plot]``."""

from __future__ import annotations

import io
from typing import Any

from ...codecs.errors import UnsupportedError

__all__ = ["plot_resolutions"]

_BARS, _LINE = "#4c72b0", "#c44e52"


def plot_resolutions(report: dict[str, Any]) -> bytes:
    """A PNG of what `inspect_stream` reported: bytes of each resolution, and their sum so far.

    Raises
    ------
    UnsupportedError
        matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UnsupportedError(
            "--plot needs matplotlib, which is not installed: pip install 'mersey[plot]'",
            feature="plots",
        ) from error
    rows = report["resolutions"]
    places = range(len(rows))
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    bars = axes.bar(places, [row["bytes"] for row in rows], color=_BARS, label="this resolution")
    axes.bar_label(bars, labels=[f"{row['bytes']:,}" for row in rows], fontsize=8)
    axes.plot(
        places,
        [row["cumulative_bytes"] for row in rows],
        color=_LINE,
        marker="o",
        label="cumulative, with headers",
    )
    axes.set_xticks(places, [f"{row['width']} x {row['height']}" for row in rows])
    axes.set_yscale("log")
    axes.set_xlabel("resolution")
    axes.set_ylabel("bytes")
    layout = report["layout"]
    axes.set_title(f"{layout['family']}, {layout['progression']}, layers: {layout['layers']}")
    axes.legend()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=120)
    return out.getvalue()
