"""Options of the commands that talk to a server: how bytes travel, and what goes with requests."""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["Connections", "Headers", "LimitRate", "Wire", "WireOption", "request_headers"]

_HEADERS_VARIABLE = "MERSEY_HEADER"


class WireOption(StrEnum):
    """The forms in which instances travel to and from another Mersey."""

    auto = "auto"
    as_stored = "as-stored"
    htj2k = "htj2k"
    zstd = "zstd"


Wire = Annotated[
    WireOption,
    typer.Option(help="How instances travel between Merseys; auto measures the link and picks."),
]

Connections = Annotated[int, typer.Option(min=1, max=64, help="The most connections at once.")]

LimitRate = Annotated[
    str | None,
    typer.Option(metavar="RATE", help="At most so much a second, e.g. 20mbit or 2.5MB."),
]

Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="'NAME: VALUE'",
        help="A field for every request; may be repeated. Secrets are better kept in "
        f"{_HEADERS_VARIABLE}, a field a line.",
    ),
]


def request_headers(given: Sequence[str] | None) -> tuple[tuple[str, str], ...]:
    """Names and values of the fields that are `given` or, where none are, in the environment.

    Raises
    ------
    UsageError
        One is no field.
    """
    from ..client.remote import parse_header

    fields = given or os.environ.get(_HEADERS_VARIABLE, "").splitlines()
    return tuple(parse_header(field) for field in fields)
