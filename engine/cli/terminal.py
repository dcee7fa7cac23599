"""What the commands print: errors on one line, tables, sizes; nothing that a terminal obeys.

Text out of a file may hold escape sequences; `printable` makes them harmless.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["console", "count", "print_error", "print_table", "printable", "size"]


def printable(text: str) -> str:
    """`text` on one line, with everything a terminal could obey written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_error(error: Exception) -> None:
    """``mersey: error: …`` on stderr: one line, with the file where it is known."""
    message = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    source = getattr(error, "source", None)
    if source and source not in message:
        message = f"{source}: {message}"
    print(f"mersey: error: {printable(message)}", file=sys.stderr)


def size(size_bytes: int) -> str:
    """A length for people: ``157 MB``, ``3.2 kB``, ``12 bytes``; decimal, three digits."""
    if size_bytes < 1000:
        return count(size_bytes, "byte")
    value = size_bytes / 1000
    units = ["kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {units[0]}"


def count(number: int, noun: str) -> str:
    """``1 frame``, ``300 frames``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def console() -> Console:
    """A console on stdout: colours on a terminal, plain and never folded elsewhere."""
    from rich.console import Console

    plain = not sys.stdout.isatty()
    return Console(highlight=False, markup=False, emoji=False, width=10_000 if plain else None)


def print_table(
    out: Console, head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[int] = ()
) -> None:
    """A table without frames; the columns in `right` hold numbers."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, title in enumerate(head):
        table.add_column(title, justify="right" if index in right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    out.print(table, soft_wrap=True)
