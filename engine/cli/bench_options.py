"""Options that the benchmarks have in common, and lists of numbers as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...codecs.errors import UsageError

__all__ = ["Report", "parse_numbers"]

_MOST_NUMBERS = 16

Report = Annotated[
    Path | None,
    typer.Option(
        help="Write a page with plots into this .html file; needs mersey[plot].",
        metavar="FILE.html",
    ),
]


def parse_numbers(text: str, *, option: str, most: int) -> tuple[int, ...]:
    """The whole numbers from 1 to `most` that ``1,4,16`` lists, in that order, each once.

    Raises
    ------
    UsageError
        It is no such list.
    """
    words = text.split(",")
    if len(words) > _MOST_NUMBERS:
        raise UsageError(f"{option} lists {len(words)} numbers, expected at most {_MOST_NUMBERS}")
    numbers = []
    for word in words:
        word = word.strip()
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 10 else 0
        if not 1 <= number <= most:
            raise UsageError(f"{option} has {word!r}, expected numbers of 1–{most} as in 1,4,16")
        numbers.append(number)
    return tuple(dict.fromkeys(numbers))
