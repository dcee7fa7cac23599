"""Options that many commands have, in the same words everywhere."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["AsJson", "Jobs", "Reduce"]

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

Jobs = Annotated[
    int | None, typer.Option(min=1, help="Worker processes.", show_default="one a core")
]

Reduce = Annotated[
    int, typer.Option(min=0, max=32, help="How often to halve the image: 3 is an eighth.")
]
