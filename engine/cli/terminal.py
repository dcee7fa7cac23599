"""What the commands print: errors on one line, tables, sizes; nothing that a terminal obeys.

Text out of a file may hold escape sequences; `printable` makes them harmless.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["count", "print_error", "print_line", "print_table", "printable", "size"]


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


def count(number: int, noun: str, plural: str = "") -> str:
    """``1 frame``, ``300 frames``; `plural` where that is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def print_line(text: str, *, style: str = "") -> None:
    """Print one line on stdout; a terminal shows it in `style`."""
    if style and sys.stdout.isatty():
        _console().print(printable(text), style=style, soft_wrap=True)
    else:
        print(printable(text))


def print_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[int] = ()
) -> None:
    """Print a table without frames on stdout; the columns in `right` hold numbers.

    On a terminal the head is bold; elsewhere the table is plain text, never folded.
    """
    lines = [list(head), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    for number, line in enumerate(lines):
        cells = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print_line("  ".join(cells).rstrip(), style="" if number else "bold")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False)
