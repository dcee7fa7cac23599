"""`mersey bench link`: how soon a series is there over a slow link."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ...codecs.errors import UsageError
from .bench_options import Report
from .options import AsJson
from .transfer_options import Headers, request_headers

if TYPE_CHECKING:
    from ..client.address import Address
    from ..client.link_bench import LinkFigures, LinkWork
    from .bench_progress import BenchProgress
    from .bench_result import Result

__all__ = ["command"]

_HEAD = ("way", "first picture", "at", "complete", "frames", "MB")
_TIMES_HEAD = ("way", "reduce", "size", "first frame", "all frames")


def command(
    url: Annotated[str, typer.Argument(metavar="URL", help="A DICOMweb service, over http.")],
    *,
    rate: Annotated[
        str, typer.Option(metavar="RATE", help="Of the link, e.g. 20mbit or 2.5MB.")
    ] = "20mbit",
    rtt: Annotated[
        str, typer.Option(metavar="TIME", help="A round trip, e.g. 40ms or 0.1s.")
    ] = "40ms",
    study: Annotated[
        str | None,
        typer.Option(metavar="UID", help="Of this study.", show_default="the first few found"),
    ] = None,
    series: Annotated[
        str | None,
        typer.Option(metavar="UID", help="This series.", show_default="the one with most frames"),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many frames of the series.")
    ] = None,
    connections: Annotated[
        int, typer.Option(min=1, max=256, help="How many at once; browsers take six.")
    ] = 6,
    limit: Annotated[
        float, typer.Option(min=0.05, max=3600, metavar="SECONDS", help="At most so long a way.")
    ] = 120.0,
    header: Headers = None,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """Measure how soon a series of your server is there over a link of a given rate and delay.

    The link is a relay on this machine, so run this near the server: both directions have the
    rate, each connection costs a round trip before its first byte. Nothing is lost and TCP does
    not start slowly. Everything is asked for once without the link first, so that what is
    timed is the link; what comes over it is compared with that.

    The ways: frames as raw samples; as .202 (HTJ2K, RPCL) whole; as .202 by Range, the smallest
    resolution of all frames first, then what the next one adds; the progressive stream of a
    Mersey server, over one connection. "first picture" is the first frame that is there with 64
    pixels on a side, or in full, "at" its size; "complete" is every frame in full. Times are in
    seconds from the first request, decoding not counted; MB (1,000,000 bytes) are those of
    frames.

    Exit code 1 if no way was complete.
    """
    from ..client.link_bench import LinkWork
    from ..client.rates import parse_rate, parse_time
    from ..client.remote import RemoteSettings
    from .bench_giving import check_report, give

    check_report(report)
    work = LinkWork(
        address=_address(url, study, series),
        settings=RemoteSettings(headers=request_headers(header)),
        bytes_per_s=parse_rate(rate),
        rtt_s=parse_time(rtt),
        connections=connections,
        frames=frames,
        limit_s=limit,
    )
    give(_measure(work, f"{rate}, {rtt}"), as_json=as_json, report=report)


def _address(url: str, study: str | None, series: str | None) -> Address:
    from dataclasses import replace

    from ..archive.entry import is_uid
    from ..client.address import Address

    address = Address.parse(url)
    if study is not None:
        address = address.of_study(study)
    if series is None:
        return address
    if not address.study:
        raise UsageError("--series needs --study, or a URL that names the study")
    if not is_uid(series):
        raise UsageError("--series is no UID")
    return replace(address, series=series, instance="")


def _measure(work: LinkWork, shape: str) -> Result:
    import asyncio

    import uvloop

    from .bench_progress import BenchProgress
    from .bench_result import Result

    found: list[LinkFigures] = []
    data = {
        "url": str(work.address),
        "bytes_per_s": work.bytes_per_s,
        "rtt_s": work.rtt_s,
        "connections": work.connections,
    }
    result = Result("mersey bench link", data)
    from ..client.link_bench import WAYS

    with BenchProgress(steps=len(WAYS)) as progress:
        progress.at(0, "searching")
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_gather(work, found, progress))
        except KeyboardInterrupt:
            result.interrupted = True
    _add(result, work, shape, found)
    return result


async def _gather(work: LinkWork, found: list[LinkFigures], progress: BenchProgress) -> None:
    from ..client.link_bench import measure_link

    def on_progress(text: str, part: float) -> None:
        progress.at(len(found), text, part=part)

    await measure_link(work, on_progress=on_progress, on_done=found.append)


def _add(result: Result, work: LinkWork, shape: str, found: list[LinkFigures]) -> None:
    from .bench_result import Table

    result.data["ways"] = [asdict(one) for one in found]
    result.failed = all(one.complete_s is None for one in found)
    caption = f"{work.address} over {shape}, {work.connections} connections"
    result.tables.append(
        Table(caption, _HEAD, tuple(_row(one) for one in found), frozenset({1, 3, 4, 5}))
    )
    rows = tuple(
        (
            one.way if not number else "",
            str(level.reduce),
            f"{level.columns} x {level.rows}",
            _seconds(level.first_s),
            _seconds(level.all_s),
        )
        for one in found
        for number, level in enumerate(one.resolutions)
    )
    if rows:
        result.tables.append(
            Table("the whole series at each resolution", _TIMES_HEAD, rows, frozenset({1, 3, 4}))
        )
    result.notes += [f"{one.way}: {one.reason}" for one in found if one.reason]
    if found:
        _plot(result, found)


def _plot(result: Result, found: list[LinkFigures]) -> None:
    from .bench_plots import draw_lines
    from .bench_result import Plot

    sizes = {
        float(-level.reduce): f"{level.columns} x {level.rows}"
        for one in found
        for level in one.resolutions
    }
    reached = {
        one.way: [
            (level.all_s, float(-level.reduce))
            for level in one.resolutions
            if level.all_s is not None
        ]
        for one in found
    }
    if sizes:
        result.plots.append(
            Plot(
                "time to resolution: the whole series is there at",
                lambda: draw_lines(reached, x="seconds", y="", steps=True, ticks=sizes),
            )
        )
    curves = {one.way: [(second, taken / 1e6) for second, taken in one.curve] for one in found}
    result.plots.append(
        Plot("bytes of frames over time", lambda: draw_lines(curves, x="seconds", y="MB"))
    )


def _row(one: LinkFigures) -> tuple[str, ...]:
    size = one.first_picture
    return (
        one.way,
        _seconds(one.first_picture_s),
        "–" if size is None else f"{size[0]} x {size[1]}",
        _seconds(one.complete_s),
        f"{one.frames:,}" if one.frames else "–",
        f"{one.frames_bytes / 1e6:,.2f}",
    )


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.3f}"
