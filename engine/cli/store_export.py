"""What `mersey store export` does: which instances, and each into its file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...codecs.errors import MerseyError, UsageError
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry
from ..archive.exporting import Exported, export_instance, studies_of_patient, write_manifest
from .count_progress import CountProgress

if TYPE_CHECKING:
    from .store_opening import OpenStore

__all__ = ["export_store"]


def export_store(
    opened: OpenStore,
    catalogue: Catalogue,
    folder: Path,
    *,
    studies: Sequence[str],
    series: Sequence[str],
    patients: Sequence[str],
    everything: bool,
) -> tuple[list[Exported], dict[str, str]]:
    """Write what is chosen; the files, and by SOP Instance UID why others could not be.

    `series` narrows the studies and patients that are named, if any are.

    Raises
    ------
    UsageError
        There is no such instance.
    """
    for patient in patients:
        studies = [*studies, *studies_of_patient(catalogue, patient)]
    named = bool(patients) or bool(studies)
    done: list[Exported] = []
    failed: dict[str, str] = {}
    with CountProgress("exporting") as progress:
        for entry in _chosen(catalogue, studies if named and not everything else None, series):
            uid = entry.instance.sop_instance_uid
            try:
                exported = export_instance(entry, opened.blobs, folder)
            except MerseyError as error:
                failed[uid] = error.message
                progress.say(f"failed: instance {uid}: {error.message}")
                continue
            done.append(exported)
            progress.advance(1, exported.size_bytes)
    if not done and not failed:
        raise UsageError("the archive has no such instance")
    write_manifest(folder, done)
    return done, failed


def _chosen(
    catalogue: Catalogue, studies: Sequence[str] | None, series: Sequence[str]
) -> Iterator[Entry]:
    if studies is None:
        for entry in catalogue.every_entry():
            if not series or entry.instance.series_instance_uid in series:
                yield entry
        return
    for study in dict.fromkeys(studies):
        for entry in catalogue.entries(study):
            if not series or entry.instance.series_instance_uid in series:
                yield entry
