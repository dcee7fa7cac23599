"""`mersey bench codec`: every codec on frames of the user's files."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .bench_options import Report
from .options import AsJson
from .transcode_options import LossyAim, parse_aim

if TYPE_CHECKING:
    from ..runtime.codec_bench import CodecResult
    from ..runtime.codec_trial import CodecFigures, ResolutionFigures
    from .bench_result import Result

__all__ = ["command"]

_HEAD = ("codec", "encode MB/s", "decode MB/s", "ratio", "samples", "frames", "by")
_SIZES_HEAD = ("codec", "reduce", "size", "bytes a frame", "of whole", "MB/s", "ms a frame")


def command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="DICOM files.")],
    *,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|UID", help="Only this codec; may be repeated.", show_default="all"
        ),
    ] = None,
    frames: Annotated[
        int | None, typer.Option(min=1, help="At most so many frames of a file, evenly spread.")
    ] = None,
    samples: Annotated[
        str,
        typer.Option(metavar="SIZE", help="At most so many bytes of samples, a file."),
    ] = "32MiB",
    quality: LossyAim = None,
    limit: Annotated[
        float, typer.Option(min=0.01, max=600, metavar="SECONDS", help="About so long a codec.")
    ] = 3.0,
    as_json: AsJson = False,
    report: Report = None,
) -> None:
    """Measure every codec that can encode the frames of your files.

    Each codec runs alone, in one worker process with one thread: this is the speed of a core.
    Every figure is the median of up to nine passes over all frames. MB/s is MB (1,000,000
    bytes) of uncompressed pixels a second, whether they go in or come out; ratio is
    uncompressed over encoded bytes. "samples" says that lossless frames were decoded and found
    equal before anything was timed; of lossy ones it gives the PSNR of the worst frame.

    Forms that can be cut at each resolution are decoded at each: "bytes a frame" is how many of
    the codestream that takes, MB/s counts the pixels of that smaller image. "frames" is how many
    there was time for.

    Exit code 1 if a codec failed; one that has no form for such pixels has not failed.
    """
    from ..archive.byte_size import parse_byte_size
    from ..runtime.codec_bench import plan_trials
    from .bench_giving import check_report, give

    check_report(report)
    aim = parse_aim(quality)
    plans = [
        (
            path,
            plan_trials(
                path,
                targets=tuple(to or ()),
                frames=frames,
                sample_bytes=parse_byte_size(samples),
                quality=aim,
                limit_s=limit,
            ),
        )
        for path in files
    ]
    give(_measure(plans), as_json=as_json, report=report)


def _measure(plans: list[tuple[Path, list[Any]]]) -> Result:
    from ..runtime.codec_bench import trial_results
    from .bench_progress import BenchProgress
    from .bench_result import Result

    result = Result("mersey bench codec", {"files": []})
    with BenchProgress(steps=sum(len(trials) for _, trials in plans)) as progress:
        step = 0
        for path, trials in plans:
            found: list[CodecResult] = []
            progress.at(step, f"{path.name}: {trials[0][0]}")
            try:
                for one in trial_results(trials):
                    found.append(one)
                    step += 1
                    if len(found) < len(trials):
                        progress.at(step, f"{path.name}: {trials[len(found)][0]}")
            except KeyboardInterrupt:
                result.interrupted = True
            _add(result, path, trials[0][1], found)
            if result.interrupted:
                break
    return result


def _add(result: Result, path: Path, trial: Any, found: list[CodecResult]) -> None:
    from .bench_result import Table

    pixels = trial.pixels
    result.failed |= any(one.failed for one in found)
    result.data["files"].append(
        {
            "file": str(path),
            "rows": pixels.rows,
            "columns": pixels.columns,
            "samples": pixels.samples,
            "bits_stored": pixels.bits_stored,
            "source_uid": trial.source_uid,
            "codecs": [_record(one) for one in found],
        }
    )
    what = f"{path}: {pixels.columns} x {pixels.rows}"
    what += f" x {pixels.samples}" if pixels.samples > 1 else ""
    what += f", {pixels.bits_stored} of {pixels.bits_allocated} bits"
    rows = tuple(_row(one) for one in found)
    result.tables.append(Table(what, _HEAD, rows, frozenset({1, 2, 3, 5})))
    measured = {one.target: one.figures for one in found if one.figures is not None}
    sizes = tuple(
        _size_row(name if not number else "", figures, one)
        for name, figures in measured.items()
        for number, one in enumerate(figures.resolutions)
    )
    if sizes:
        caption = f"{path.name}: every resolution, from the bytes up to it"
        result.tables.append(Table(caption, _SIZES_HEAD, sizes, frozenset({1, 3, 4, 5, 6})))
    _plot(result, path, measured)


def _mb_per_s(size_bytes: int, seconds: float) -> float:
    return size_bytes / 1e6 / seconds if seconds else 0.0


def _record(one: CodecResult) -> dict[str, Any]:
    record: dict[str, Any] = {"codec": one.target, "uid": one.uid, "reason": one.reason or None}
    figures = one.figures
    if figures is None:
        return record | {"figures": None}
    fields = asdict(figures) | {
        "encode_mb_per_s": _mb_per_s(figures.pixel_bytes, figures.encode_s),
        "decode_mb_per_s": _mb_per_s(figures.pixel_bytes, figures.decode_s),
        "ratio": figures.pixel_bytes / figures.stored_bytes,
        "resolutions": [
            asdict(level)
            | {
                "share": level.stored_bytes / figures.stored_bytes,
                "decode_mb_per_s": _mb_per_s(level.pixel_bytes, level.decode_s),
            }
            for level in figures.resolutions
        ],
    }
    return record | {"figures": fields}


def _row(one: CodecResult) -> tuple[str, ...]:
    figures = one.figures
    if figures is None:
        return (one.target, "–", "–", "–", "–", "–", one.reason)
    psnr = figures.psnr_db
    return (
        one.target,
        f"{_mb_per_s(figures.pixel_bytes, figures.encode_s):,.1f}",
        f"{_mb_per_s(figures.pixel_bytes, figures.decode_s):,.1f}",
        f"{figures.pixel_bytes / figures.stored_bytes:.2f}",
        "equal" if figures.equal else "lossy" if psnr is None else f"{psnr:.1f} dB",
        f"{figures.frames:,}",
        figures.library,
    )


def _size_row(name: str, figures: CodecFigures, level: ResolutionFigures) -> tuple[str, ...]:
    return (
        name,
        str(level.reduce),
        f"{level.columns} x {level.rows}",
        f"{level.stored_bytes // figures.frames:,}",
        f"{100 * level.stored_bytes / figures.stored_bytes:.1f} %",
        f"{_mb_per_s(level.pixel_bytes, level.decode_s):,.1f}",
        f"{1e3 * level.decode_s / figures.frames:.3f}",
    )


def _plot(result: Result, path: Path, measured: dict[str, CodecFigures]) -> None:
    from .bench_result import Plot

    if not measured:
        return
    from .bench_plots import draw_bars, draw_lines

    speeds = {
        name: {
            "encode": _mb_per_s(figures.pixel_bytes, figures.encode_s),
            "decode": _mb_per_s(figures.pixel_bytes, figures.decode_s),
        }
        for name, figures in measured.items()
    }
    result.plots.append(
        Plot(
            f"{path.name}: MB/s of uncompressed pixels, one core",
            lambda: draw_bars(speeds, unit="MB/s"),
        )
    )
    curves = {
        name: [(float(one.reduce), one.stored_bytes / figures.frames) for one in levels]
        for name, figures in measured.items()
        if (levels := figures.resolutions)
    }
    if curves:
        result.plots.append(
            Plot(
                f"{path.name}: bytes per resolution",
                lambda: draw_lines(
                    curves, x="reduce: how often the image is halved", y="bytes a frame", log=True
                ),
            )
        )
