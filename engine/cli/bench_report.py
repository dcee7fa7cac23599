"""A report as one HTML file that needs no other: tables, plots inlined, how it was measured."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from html import escape
from typing import Any

from .bench_result import Plot, Result, Table
from .terminal import size

__all__ = ["report_page"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
th { border-bottom: 1px solid #888; } td { border-bottom: 1px solid #ddd; }
.n { text-align: right; } code { font-size: .9em; overflow-wrap: anywhere; }
figure { margin: 1.5rem 0; } figure img { max-width: 100%; height: auto; }
figcaption { color: #555; }
"""


def report_page(result: Result, *, about: dict[str, Any]) -> str:
    """The page; it refers to nothing outside itself.

    Raises
    ------
    UsageError
        matplotlib is not installed.
    """
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(result.title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(result.title)}</h1>",
            *(
                ["<p><strong>Interrupted: this is what there was.</strong></p>"]
                * result.interrupted
            ),
            *_facts(about),
            *(line for table in result.tables for line in _table(table)),
            *(f"<p>{escape(note)}</p>" for note in result.notes),
            *(line for plot in result.plots for line in _figure(plot)),
            "</body></html>",
            "",
        ]
    )


def _facts(about: dict[str, Any]) -> Iterator[str]:
    machine = about["machine"]
    facts = {
        "Command": f"<code>{escape(about['command'])}</code>",
        "Date": escape(about["date"]),
        "Machine": escape(
            f"{machine['processor']}, {machine['cores']} cores, {size(machine['memory_bytes'])}"
        ),
        "System": escape(f"{machine['system']}, Python {machine['python']}"),
        "Versions": escape(", ".join(f"{key} {text}" for key, text in about["versions"].items())),
    }
    yield "<table>"
    for name, value in facts.items():
        yield f"<tr><th>{name}</th><td>{value}</td></tr>"
    yield "</table>"


def _table(table: Table) -> Iterator[str]:
    yield f"<h2>{escape(table.caption)}</h2><table>"
    for number, row in enumerate([table.head, *table.rows]):
        tag = "td" if number else "th"
        cells = "".join(
            f"<{tag}{' class=n' if index in table.right else ''}>{escape(cell)}</{tag}>"
            for index, cell in enumerate(row)
        )
        yield f"<tr>{cells}</tr>"
    yield "</table>"


def _figure(plot: Plot) -> Iterator[str]:
    image = base64.b64encode(plot.draw()).decode("ascii")
    caption = escape(plot.caption)
    yield (
        f'<figure><img alt="{caption}" src="data:image/svg+xml;base64,{image}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )
