"""`mersey bench serve`: load on the DICOMweb server that is named, and on no other."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .bench_options import Report, parse_numbers
from .options import AsJson
from .transfer_options import Headers, request_headers

if TYPE_CHECKING:
    from ..client.address import Address
    from ..client.load import Checked, LoadWork
    from ..client.load_bench import LoadFigures
    from ..client.remote import RemoteSettings
    from .bench_progress import BenchProgress
    from .bench_result import Result

__all__ = ["command"]

_HEAD = (
    "connections",
    "req/s",
    "MB/s",
    "pixel MB/s",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "max ms",
    "first byte p50",
    "requests",
    "errors",
    "client cores",
)
_MOST_CONNECTIONS = 4096


class WhatOption(StrEnum):
    frames = "frames"
    studies = "studies"
    metadata = "metadata"


def command(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL", help="A DICOMweb service, e.g. http://host:8042/dicom-web[/studies/UID]."
        ),
    ],
    *,
    what: Annotated[WhatOption, typer.Option(help="What to ask for.")] = WhatOption.frames,
    study: Annotated[
        str | None,
        typer.Option(metavar="UID", help="Of this study.", show_default="the first few found"),
    ] = None,
    accept: Annotated[
        str | None,
        typer.Option(
            metavar="TYPES",
            help="The Accept field.",
            show_default="uncompressed frames; studies as stored",
        ),
    ] = None,
    connections: Annotated[
        str, typer.Option(metavar="N,N,...", help="How many at once, one run for each number.")
    ] = "1,4,16,64",
    duration: Annotated[
        float, typer.Option(min=0.05, max=3600, metavar="SECONDS", help="How long each run is.")
    ] = 5.0,
    requests: Annotated[
        int | None, typer.Option(min=1, help="At most so many requests, each run.")
    ] = None,
    targets: Annotated[
        int, typer.Option(min=1, max=4096, help="At most so many different things to ask for.")
    ] = 64,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Client processes.", show_default="one a two cores"),
    ] = None,
    header: Headers = None,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """Put load on a DICOMweb server of yours and measure how it answers.

    What there is to ask for is found by searching (QIDO). Everything is asked for twice first:
    answers that differ, or are empty, end the benchmark; later each must have the same length.
    That warms the server's caches, too.

    MB/s is MB (1,000,000 bytes) of bodies a second; pixel MB/s of the uncompressed pixels in
    them, where the search tells their size. Latencies are of whole answers, percentiles by
    nearest rank; "first byte" is when the head of the answer was there. "errors" counts other
    statuses, other lengths, and broken connections; they are no part of the other figures.
    "client cores" is how many cores the client itself kept busy: near to the number of its
    processes, it is the client that was measured.

    No redirects are followed and no other host is asked. Exit code 1 if there were errors.
    """
    import os

    from ..client.address import Address
    from ..client.remote import RemoteSettings
    from .bench_giving import check_report, give

    check_report(report)
    counts = parse_numbers(connections, option="--connections", most=_MOST_CONNECTIONS)
    address = Address.parse(url)
    if study is not None:
        address = address.of_study(study)
    settings = RemoteSettings(headers=request_headers(header))
    wanted = _Wanted(address, settings, what, accept, targets)
    count = processes or max(1, len(os.sched_getaffinity(0)) // 2)
    result = _measure(wanted, counts, duration, requests, count)
    give(result, as_json=as_json, report=report)


class _Wanted:
    """What to ask which server for."""

    def __init__(
        self,
        address: Address,
        settings: RemoteSettings,
        what: WhatOption,
        accept: str | None,
        most: int,
    ) -> None:
        self.address = address
        self.settings = settings
        self.what = what
        self.accept = accept
        self.most = most

    async def find(self, progress: BenchProgress) -> tuple[Checked, ...]:
        """The targets, each known to be answered alike every time."""
        from ..client.load import checked
        from ..client.load_targets import find_targets
        from ..client.remote import Remote

        async with Remote(self.address, settings=self.settings) as remote:
            found = await find_targets(remote, self.what.value, most=self.most, accept=self.accept)
            return await checked(
                remote,
                found,
                on_checked=lambda done, all_: progress.at(0, "checking answers", part=done / all_),
            )


def _measure(
    wanted: _Wanted,
    counts: tuple[int, ...],
    duration_s: float,
    requests: int | None,
    processes: int,
) -> Result:
    import asyncio

    import uvloop

    from ..client.load import LoadWork
    from ..client.load_bench import load_figures
    from .bench_progress import BenchProgress
    from .bench_result import Result
    from .terminal import count

    def on_tick(step: int, part: float, answered: int, body_bytes: int) -> None:
        words = f"{count(counts[step], 'connection')}: {count(answered, 'request')}"
        if part:
            words += f", {body_bytes / 1e6 / (part * duration_s):,.0f} MB/s"
        progress.at(1 + step, words, part=part)

    found: list[LoadFigures] = []
    result = Result("mersey bench serve", {"url": str(wanted.address), "what": wanted.what.value})
    with BenchProgress(steps=1 + len(counts)) as progress:
        progress.at(0, "searching")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                targets = runner.run(wanted.find(progress))
            work: LoadWork = LoadWork(
                wanted.address, wanted.settings, targets, 1, duration_s, requests
            )
            result.data |= {
                "targets": len(targets),
                "bytes_per_target": sum(one.length_bytes for one in targets) / len(targets),
            }
            found.extend(  # one by one: Ctrl-C leaves what there is
                load_figures(
                    work,
                    connections=counts,
                    processes=processes,
                    on_tick=on_tick,
                )
            )
        except KeyboardInterrupt:
            result.interrupted = True
    _add(result, wanted, found)
    return result


def _add(result: Result, wanted: _Wanted, found: list[LoadFigures]) -> None:
    from .bench_result import Table
    from .terminal import count

    result.data["runs"] = [_record(one) for one in found]
    result.failed = any(one.error_count for one in found)
    rows = tuple(_row(one) for one in found)
    caption = f"{wanted.what.value} from {wanted.address}"
    if "targets" in result.data:
        mean = result.data["bytes_per_target"]
        caption += f": {result.data['targets']} targets, {mean / 1e6:,.3f} MB on average"
    result.tables.append(Table(caption, _HEAD, rows, frozenset(range(len(_HEAD)))))
    for one in found:
        for kind, times in one.errors:
            number = count(one.connections, "connection")
            result.notes.append(f"{number}: {times:,} x {kind}")
        if one.client_cores > 0.9 * one.processes:
            number = count(one.connections, "connection")
            result.notes.append(
                f"{number}: the client was busy with {one.client_cores:.2f} of {one.processes} "
                f"cores: try --processes {2 * one.processes}"
            )
    answered = [one for one in found if one.answered]
    if answered:
        _plot(result, answered)


def _plot(result: Result, found: list[LoadFigures]) -> None:
    from .bench_plots import draw_distributions, draw_two_scales
    from .bench_result import Plot
    from .terminal import count

    distributions = {
        count(one.connections, "connection"): [1e3 * second for second in one.latencies.ordered_s]
        for one in found
    }
    result.plots.append(
        Plot(
            "latency distribution: share of requests answered within",
            lambda: draw_distributions(distributions, x="ms"),
        )
    )
    result.plots.append(
        Plot(
            "throughput and latency against concurrency",
            lambda: draw_two_scales(
                [str(one.connections) for one in found],
                ("MB/s of bodies", [one.mb_per_s for one in found]),
                ("p99 of latency, ms", [1e3 * one.latencies.summary()["p99"] for one in found]),
                x="connections",
            ),
        )
    )


def _record(one: LoadFigures) -> dict[str, Any]:
    fields = asdict(one) | {
        "latencies": one.latencies.summary(),
        "first_byte": one.first_byte.summary(),
        "errors": dict(one.errors),
        "requests_per_s": one.requests_per_s,
        "mb_per_s": one.mb_per_s,
        "pixel_mb_per_s": one.pixel_mb_per_s or None,
    }
    fields["latencies_s"] = fields.pop("latencies")
    fields["first_byte_s"] = fields.pop("first_byte")
    return fields


def _row(one: LoadFigures) -> tuple[str, ...]:
    summary, head = one.latencies.summary(), one.first_byte.summary()
    marks = [_ms(summary.get(name)) for name in ("p50", "p90", "p99", "max")]
    return (
        str(one.connections),
        f"{one.requests_per_s:,.1f}",
        f"{one.mb_per_s:,.1f}",
        f"{one.pixel_mb_per_s:,.1f}" if one.pixel_bytes else "–",
        *marks,
        _ms(head.get("p50")),
        f"{one.answered:,}",
        f"{one.error_count:,}",
        f"{one.client_cores:.2f}/{one.processes}",
    )


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1e3 * seconds:,.2f}"
