"""`mersey push`: files and folders, or what a store holds, to another archive."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson, Jobs
from .store_opening import store_folder
from .store_options import CatalogueUrl, Local
from .terminal import count, printable, size
from .transfer_options import (
    Connections,
    Headers,
    LimitRate,
    Wire,
    WireOption,
    request_headers,
)

if TYPE_CHECKING:
    from ..client.push_report import PushProgress, PushReport
    from ..client.push_settings import PushSettings
    from ..client.stored_studies import StoredStudies

__all__ = ["command"]

_MOST_SHOWN = 50


def command(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="[SRC]... URL", help="Files and folders, then the archive."),
    ],
    store: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL", help="Push what this archive of ours holds, instead of files."
        ),
    ] = None,
    study: Annotated[
        list[str] | None,
        typer.Option(metavar="UID", help="With --store: push no more than these studies."),
    ] = None,
    local: Local = None,
    catalogue: CatalogueUrl = None,
    wire: Wire = WireOption.auto,
    connections: Connections = 8,
    limit_rate: LimitRate = None,
    header: Headers = None,
    commitment: Annotated[
        bool,
        typer.Option("--commitment/--no-commitment", help="Ask afterwards whether it is all kept."),
    ] = True,
    send_all: Annotated[
        bool,
        typer.Option("--all", help="To a server that is no Mersey, send also what it has."),
    ] = False,
    scratch: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where packed instances lie meanwhile.",
            show_default="a temporary one",
        ),
    ] = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Push files and folders, or studies of a store, to a DICOMweb archive, resumably.

    To another Mersey only what is missing there travels, smaller where that is faster, and
    arrives byte for byte; interrupted, the same command goes on. Other archives get what they
    do not have yet, by STOW. One line a failed instance on stderr; exit code 1 if any failed.
    """
    import logging

    from ...codecs.errors import UsageError
    from ..client.push_settings import PushSettings
    from ..client.rates import parse_rate
    from ..client.remote import RemoteSettings
    from ..client.stored_studies import StoredStudies

    if store is None:
        if study or local or catalogue:
            raise UsageError("--study, --local and --catalogue go with --store")
        if len(sources) < 2:
            raise UsageError("expected files or folders, and the URL to push them to")
    elif len(sources) != 1:
        raise UsageError("with --store, expected nothing but the URL to push to")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values of patients
    settings = PushSettings(
        wire=wire.value,
        connections=connections,
        limit_bytes_per_s=None if limit_rate is None else parse_rate(limit_rate),
        jobs=jobs,
        scratch=scratch,
        commitment=commitment,
        send_all=send_all,
        remote=RemoteSettings(headers=request_headers(header)),
    )
    found: list[str] | StoredStudies = sources[:-1]
    if store is not None:
        folder = store_folder(store, local)
        found = StoredStudies(store, tuple(study or ()), catalogue=catalogue, local=folder)
    report = _push(found, sources[-1], settings)
    _show_failed(report)
    print(json.dumps(_as_json(report), indent=2) if as_json else _sentence(report))
    if report.failed:
        raise typer.Exit(1)


def _push(sources: list[str] | StoredStudies, url: str, settings: PushSettings) -> PushReport:
    import asyncio

    import uvloop

    from ..client.pushing import push
    from .progress import TranscodeProgress

    bar: TranscodeProgress | None = None
    before = 0

    def show(progress: PushProgress) -> None:
        nonlocal bar, before
        if bar is None:
            bar = TranscodeProgress(total_bytes=progress.total_bytes, label="pushing")
            bar.__enter__()
        bar.advance(progress.done_bytes - before, progress.done_bytes - before)
        before = progress.done_bytes

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(push(sources, url, settings=settings, on_progress=show))
    finally:
        if bar is not None:
            with suppress(Exception):
                bar.__exit__()


def _show_failed(report: PushReport) -> None:
    for number, (name, message) in enumerate(report.failed.items()):
        if number == _MOST_SHOWN:
            typer.echo(f"and {len(report.failed) - number} more", err=True)
            return
        typer.echo(f"failed: {printable(name)}: {printable(message)}", err=True)


def _as_json(report: PushReport) -> dict[str, Any]:
    found = asdict(report)
    found["arrived"] = len(report.arrived)
    speed = report.size_bytes / 1e6 / report.seconds if report.seconds else 0.0
    return found | {
        "saved_bytes": report.saved_bytes,
        "seconds": round(report.seconds, 3),
        "mb_per_s": round(speed, 1),
    }


def _sentence(report: PushReport) -> str:
    counts = {
        "there before": report.same,
        "there with other bytes": report.kept,
        "failed": len(report.failed),
        "not DICOM": report.other,
        "in other files as well": report.duplicates,
    }
    parts = [f"{report.new:,} new"]
    parts += [f"{number:,} {name}" for name, number in counts.items() if number]
    speed = report.sent_bytes / 1e6 / report.seconds if report.seconds else 0.0
    line = (
        f"{count(report.instances, 'instance')}: {', '.join(parts)}; "
        f"{size(report.sent_bytes)} sent in {report.seconds:.1f} s, {speed:.0f} MB/s"
    )
    if report.saved_bytes:
        line += f", {size(report.saved_bytes)} saved by {report.wire}"
    if report.commitment is not None:
        line += f"; {report.commitment:,} committed"
    elif report.arrived:
        line += "; no Storage Commitment there"
    return line
