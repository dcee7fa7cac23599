"""Options of the commands that work on an archive: where it is, and who may overwrite what."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["CatalogueUrl", "ConflictOption", "Local", "OnConflictOption", "Store"]


class ConflictOption(Enum):
    """What to do where an instance's UID is taken by other bytes."""

    reject = "reject"
    replace = "replace"
    keep = "keep"


Store = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|URL",
        help="Where the archive is kept: a folder, or s3://BUCKET/PREFIX.",
        show_default="~/.local/share/mersey",
    ),
]

Local = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where --store is a URL: the folder for catalogue, renditions and copies.",
        show_default="~/.local/share/mersey",
    ),
]

CatalogueUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="A catalogue that servers share: postgresql://USER@HOST/NAME.",
        show_default="a file in the store",
    ),
]

OnConflictOption = Annotated[
    ConflictOption,
    typer.Option(help="What to do where an instance's UID is taken by other bytes."),
]
