"""`mersey store`: the care of an archive: count, verify, collect, rebuild, export."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson, Jobs
from .store_options import CatalogueUrl, Local, Store
from .terminal import count, print_table, size

if TYPE_CHECKING:
    from ..archive.exporting import Exported
    from ..archive.store_folder import Stats

__all__ = ["group"]

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Care for an archive: count, verify, collect, rebuild, export.",
)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only look; change nothing.")]


@group.command("stats")
def stats_command(
    *,
    store: Store = None,
    catalogue: CatalogueUrl = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Count what the archive holds."""
    from ..archive.store_folder import take_stats
    from .store_opening import open_store

    with open_store(store, catalogue, local) as (opened, held):
        found = take_stats(opened.blobs, held, opened.folder)
    if as_json:
        print(json.dumps(asdict(found), indent=2))
    else:
        print_table(("what", "count", "size"), _rows(found), right=(1, 2))


def _rows(found: Stats) -> list[tuple[str, str, str]]:
    rows = [
        ("studies", f"{found.studies:,}", ""),
        ("series", f"{found.series:,}", ""),
        ("instances", f"{found.instances:,}", ""),
        ("  in place", f"{found.instances_in_place:,}", ""),
        ("originals", f"{found.blobs:,}", size(found.blob_bytes)),
        ("blobs", f"{found.kept_blobs:,}", size(found.kept_bytes)),
        ("  compressed", f"{found.compressed_blobs:,}", ""),
    ]
    for name in ("renditions", "copies", "quarantine", "uploads"):
        number, size_bytes = getattr(found, name)
        rows.append((f"{name} (files)", f"{number:,}", size(size_bytes)))
    for name, at in (("oldest", found.oldest_s), ("newest", found.newest_s)):
        if at is not None:
            rows.append((name, time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at)), ""))
    if found.needs_rebuild:
        rows.append(("to be rebuilt", "yes", ""))
    return rows


@group.command("verify")
def verify_command(
    *,
    store: Store = None,
    catalogue: CatalogueUrl = None,
    local: Local = None,
    dry_run: DryRun = False,
    renditions: Annotated[
        bool,
        typer.Option(
            "--renditions/--no-renditions", help="Decode renditions, too, and their sources."
        ),
    ] = True,
    start: Annotated[
        str, typer.Option("--from", metavar="KEY", help="Go on at the blob of this key.")
    ] = "",
    limit_rate: Annotated[
        str | None,
        typer.Option(metavar="RATE", help="Read no more of the blobs a second, e.g. 50MB."),
    ] = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Read every byte of the archive and compare.

    Blobs are compared with their digests, the catalogue with what the blobs say, renditions
    with their digests and, sample by sample, with their sources. A damaged blob is put into
    quarantine: its instance stays listed, and is answered with an error. A damaged rendition is
    dropped and made again when it is asked for. Exit code 1 if anything was wrong.
    """
    from ..client.rates import parse_rate
    from .store_opening import open_store
    from .store_verification import verify_store

    rate = None if limit_rate is None else parse_rate(limit_rate)
    with open_store(store, catalogue, local) as (opened, held):
        report = verify_store(
            opened,
            held,
            dry_run=dry_run,
            renditions=renditions,
            start=start,
            bytes_per_s=rate,
            jobs=jobs,
        )
    if as_json:
        print(json.dumps(asdict(report), indent=2))
    else:
        print(
            f"{count(report.blobs, 'blob')} ({size(report.blob_bytes)}), "
            f"{count(report.renditions, 'rendition')} verified; "
            f"{count(len(report.findings), 'finding')}"
        )
    if report.findings:
        raise typer.Exit(1)


@group.command("gc")
def gc_command(
    *,
    store: Store = None,
    catalogue: CatalogueUrl = None,
    local: Local = None,
    grace_hours: Annotated[
        float,
        typer.Option(
            min=0, metavar="HOURS", help="What is younger stays: it may be on its way in."
        ),
    ] = 24.0,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Remove what the archive no longer needs.

    That is blobs that no instance refers to, what killed processes left behind, renditions
    whose source is gone or that another version made, local copies, and old catalogues (after
    thirty days). Safe while servers run.
    """
    from .store_collection import collect_store
    from .store_opening import open_store

    with open_store(store, catalogue, local) as (opened, held):
        found = collect_store(opened, held, grace_s=grace_hours * 3600, dry_run=dry_run)
    if as_json:
        print(json.dumps({name: asdict(one) for name, one in found.items()}, indent=2))
        return
    rows = [(name, f"{one.count:,}", size(one.size_bytes)) for name, one in found.items()]
    print_table(("would go" if dry_run else "went", "count", "size"), rows, right=(1, 2))


@group.command("rebuild")
def rebuild_command(
    *,
    store: Store = None,
    catalogue: CatalogueUrl = None,
    local: Local = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Make the catalogue anew from the blobs alone; servers must be stopped.

    Where two blobs hold one instance, the newer one is kept. The old catalogue is moved aside.
    Exit code 1 if a blob could not be read.
    """
    from ..archive.blob_stores import open_blobs
    from .default_store import default_store
    from .store_opening import OpenStore, store_folder
    from .store_rebuilding import rebuild_store

    place = store or str(default_store())
    folder = store_folder(place, local)
    opened = OpenStore(place, folder, open_blobs(place, local=folder))
    done = rebuild_store(opened, catalogue, jobs=jobs)
    if as_json:
        print(json.dumps(asdict(done), indent=2))
    else:
        print(
            f"{count(done.instances, 'instance')} of {count(done.blobs, 'blob')} "
            f"({size(done.size_bytes)}), {done.replaced} replaced by newer ones"
        )
    if done.unread:
        raise typer.Exit(1)


@group.command("export")
def export_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Where to; made if it is not there.")
    ],
    *,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="A study's instances; may be repeated."),
    ] = None,
    series: Annotated[
        list[str] | None,
        typer.Option(
            metavar="UID", help="Of what is named, or of all, only this series'; may be repeated."
        ),
    ] = None,
    patient_id: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A patient's instances; may be repeated."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the archive has.")] = False,
    store: Store = None,
    catalogue: CatalogueUrl = None,
    local: Local = None,
    as_json: AsJson = False,
) -> None:
    """Write originals into a folder, byte for byte, with a manifest (SHA256SUMS).

    Run again, it goes on where it stopped. Exit code 1 if an instance could not be written.
    """
    if not (study or series or patient_id or everything):
        raise typer.BadParameter("say what: --study, --series, --patient-id or --all")
    from .store_export import export_store
    from .store_opening import open_store

    with open_store(store, catalogue, local) as (opened, held):
        done, failed = export_store(
            opened,
            held,
            folder,
            studies=study or (),
            series=series or (),
            patients=patient_id or (),
            everything=everything,
        )
    _tell_exported(done, failed, as_json=as_json)
    if failed:
        raise typer.Exit(1)


def _tell_exported(done: list[Exported], failed: dict[str, str], *, as_json: bool) -> None:
    if as_json:
        found: dict[str, Any] = {"files": [asdict(one) for one in done], "failed": failed}
        print(json.dumps(found, indent=2))
        return
    there = sum(one.action == "there" for one in done)
    length = size(sum(one.size_bytes for one in done))
    print(f"{count(len(done), 'instance')} ({length}), {there} there already, {len(failed)} failed")
