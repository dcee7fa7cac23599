"""The kinds of plots that reports have, as SVG; needs the extra ``mersey[plot]``.

Each takes numbers and words, and knows nothing of what was measured.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ...codecs.errors import UsageError

__all__ = ["draw_bars", "draw_distributions", "draw_lines", "draw_two_scales"]

_MARKERS = "os^Dvp*"
_COLOURS = ("#4c72b0", "#c44e52", "#55a868", "#8172b3", "#ccb974", "#64b5cd", "#937860")

type Curve = Sequence[tuple[float, float]]
type Values = tuple[str, Sequence[float]]


def draw_lines(
    curves: Mapping[str, Curve],
    *,
    x: str,
    y: str,
    steps: bool = False,
    log: bool = False,
    ticks: Mapping[float, str] | None = None,
    places: Sequence[float] | None = None,
) -> bytes:
    """Curves of points, as steps where a value holds until the next.

    `ticks` name values of y, `places` are the values of x that are marked.
    """
    figure, axes = _figure(x, y)
    for number, (name, curve) in enumerate(curves.items()):
        if not curve:
            continue
        across, up = zip(*curve, strict=True)
        style = {"drawstyle": "steps-post"} if steps else {}
        marker = _MARKERS[number % len(_MARKERS)] if len(curve) < 40 else ""
        axes.plot(across, up, label=name, color=_colour(number), marker=marker, ms=4, **style)
    if places is not None:
        axes.set_xticks(list(places))
    if log:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0 if ticks is None else None)
    if ticks is not None:
        axes.set_yticks(list(ticks), list(ticks.values()))
    return _svg(figure, axes)


def draw_bars(groups: Mapping[str, Mapping[str, float]], *, unit: str) -> bytes:
    """Horizontal bars, on a logarithmic scale: a place for each group, in it a bar a name."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    figure, axes = _figure(unit, "", height=1.2 + 0.24 * len(groups) * max(len(names), 1))
    thick = 0.8 / max(len(names), 1)
    for number, name in enumerate(names):
        places = [row + number * thick for row in range(len(groups))]
        lengths = [group.get(name, 0.0) for group in groups.values()]
        bars = axes.barh(places, lengths, height=thick, color=_colour(number), label=name)
        axes.bar_label(bars, labels=[_short(length) for length in lengths], fontsize=7, padding=2)
    middle = (len(names) - 1) * thick / 2
    axes.set_yticks([row + middle for row in range(len(groups))], list(groups))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.12)
    return _svg(figure, axes)


def draw_distributions(values: Mapping[str, Sequence[float]], *, x: str) -> bytes:
    """The share of values up to each one; `values` are sorted."""
    figure, axes = _figure(x, "% of requests")
    for number, (name, ordered) in enumerate(values.items()):
        if not ordered:
            continue
        step = max(1, len(ordered) // 1000)
        ranks = sorted({*range(0, len(ordered), step), len(ordered) - 1})
        shares = [100 * (rank + 1) / len(ordered) for rank in ranks]
        axes.plot([ordered[rank] for rank in ranks], shares, label=name, color=_colour(number))
    axes.set_xscale("log")
    axes.set_ylim(0, 101)
    return _svg(figure, axes)


def draw_two_scales(places: Sequence[str], left: Values, right: Values, *, x: str) -> bytes:
    """Two rows of values over the same places, each with a scale of its own."""
    figure, axes = _figure(x, left[0])
    other = axes.twinx()
    across = range(len(places))
    for on, (name, values), number, marker in ((axes, left, 0, "o"), (other, right, 1, "s")):
        on.plot(across, values, color=_colour(number), marker=marker, label=name)
        on.set_ylabel(name, color=_colour(number))
        on.set_ylim(bottom=0)
    axes.set_xticks(across, places)
    return _svg(figure, None)


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


def _figure(x: str, y: str, *, height: float = 3.8) -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "--report needs matplotlib, which is not installed: pip install 'mersey[plot]'"
        ) from error
    figure = Figure(figsize=(8, height), layout="constrained")
    FigureCanvasSVG(figure)
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(visible=True, alpha=0.3)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Any, axes: Any) -> bytes:
    if axes is not None and axes.get_legend_handles_labels()[1]:
        axes.legend(fontsize=8)
    out = io.BytesIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()
