"""Which studies a catalogue holds."""

from __future__ import annotations

from sqlalchemy import select

from .catalogue import Catalogue
from .tables import studies

__all__ = ["held_studies"]


def held_studies(catalogue: Catalogue) -> list[str]:
    """The Study Instance UIDs of all studies, in order."""
    with catalogue.database.reading() as connection:
        return sorted(connection.scalars(select(studies.c.study_instance_uid)))
