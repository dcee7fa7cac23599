"""`mersey pull`: a study, a series or an instance from a server into a folder."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, Jobs
from .terminal import size
from .transfer_options import (
    Connections,
    Headers,
    LimitRate,
    Wire,
    WireOption,
    request_headers,
)
from .transfer_progress import TransferProgress

if TYPE_CHECKING:
    from ..client.pull_values import PullSettings, PullSummary

__all__ = ["command"]


def command(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A study of a DICOMweb server: http://HOST/dicom-web/studies/UID."
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="The folder that it comes into.")],
    wire: Wire = WireOption.auto,
    connections: Connections = 8,
    limit_rate: LimitRate = None,
    header: Headers = None,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Pull a study, a series or an instance into DST/<study>/<series>/<instance>.dcm.

    Interrupted, it goes on where it stopped with the same command; what is there does not
    travel again. From another Mersey uncompressed images may travel compressed without loss:
    each file is restored byte for byte, and proved by its SHA-256. Exit code 1 if any instance
    could not be had.
    """
    from ..client.pull_values import PullSettings
    from ..client.rates import parse_rate
    from ..client.remote import RemoteSettings

    settings = PullSettings(
        wire=wire.value,
        connections=connections,
        limit_bytes_per_s=None if limit_rate is None else parse_rate(limit_rate),
        jobs=jobs,
        remote=RemoteSettings(headers=request_headers(header)),
    )
    summary = _run(url, folder, settings)
    if as_json:
        print(json.dumps(asdict(summary), indent=2))
    else:
        print(_sentence(summary))
    if summary.failures:
        raise typer.Exit(1)


def _run(url: str, folder: Path, settings: PullSettings) -> PullSummary:
    import asyncio

    import uvloop

    from ..client.pulling import pull

    with (
        TransferProgress("pulling") as progress,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        summary = runner.run(
            pull(
                url,
                folder,
                settings=settings,
                on_progress=lambda found: progress.show(
                    found.size_bytes, found.total_bytes, found.wire_bytes
                ),
            )
        )
        for failure in summary.failures:
            progress.say(f"failed: {failure.instance}: {failure.error}")
    return summary


def _sentence(summary: PullSummary) -> str:
    parts = [f"{summary.pulled:,} pulled"]
    if summary.there:
        parts.append(f"{summary.there:,} there before")
    if summary.failures:
        parts.append(f"{len(summary.failures):,} failed")
    speed = summary.size_bytes / 1e6 / summary.seconds if summary.seconds else 0.0
    saved = summary.size_bytes - summary.wire_bytes
    less = f", {size(saved)} saved by compression" if saved > 0.01 * summary.size_bytes else ""
    return (
        f"{', '.join(parts)}; {size(summary.size_bytes)} in {summary.seconds:.1f} s, "
        f"{speed:.0f} MB/s{less}"
    )
