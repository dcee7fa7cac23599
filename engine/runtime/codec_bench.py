"""Measures every codec on the frames of a file: which there are, and each in a worker.

A codec that cannot take the pixels, fails or takes too long costs its own row alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from ...codecs.errors import MerseyError, UnsupportedError, UsageError
from ...codecs.quality import Quality
from ...codecs.registry import TARGETS, Registry, resolve_target
from ...codecs.syntaxes import SYNTAXES
from ..dicom.frame_index import FrameIndex
from ..dicom.indexing import index_instance
from .abandoning import abandon
from .codec_trial import CodecFigures, CodecTrial, run_trial
from .source_file import SourceFile
from .stored_colour import with_stored_colour
from .worker_pool import WorkerPool

__all__ = ["CodecResult", "plan_trials", "spread", "trial_results"]

_SAMPLE_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class CodecResult:
    """What became of one trial: `figures`, or in `reason` why there are none.

    `failed` is false where the form has no place for such pixels, which is nobody's fault.
    """

    target: str
    uid: str
    figures: CodecFigures | None
    reason: str = ""
    failed: bool = False


def plan_trials(
    path: Path,
    *,
    targets: tuple[str, ...] = (),
    frames: int | None = None,
    sample_bytes: int = _SAMPLE_BYTES,
    quality: Quality | None = None,
    limit_s: float,
) -> list[tuple[str, CodecTrial]]:
    """A trial for each codec that encodes, or for each of `targets`, by name.

    The frames are spread evenly over the instance: at most `frames` of them, and no more than
    have `sample_bytes` of samples, but at least one.

    Raises
    ------
    UsageError
        The file has no frames, or a target is unknown.
    UnsupportedError
        Its transfer syntax cannot be decoded.
    """
    with SourceFile(path) as file:
        instance = index_instance(file.read_at, size_bytes=file.size_bytes, source=str(path))
        instance = with_stored_colour(instance, file.read_at)
    if instance.frames is None or instance.pixels is None:
        raise UsageError(f"{path} has no Pixel Data, so nothing to encode")
    if instance.layout.deflated:
        raise UnsupportedError(
            f"{path} is deflated as a whole: transcode it first",
            feature="frames in a deflated file",
        )
    Registry.default().decoder(instance.transfer_syntax_uid)
    most = max(1, sample_bytes // instance.pixels.decoded_bytes)
    chosen = spread(instance.frames, most if frames is None else min(frames, most))
    uids = {name: resolve_target(name) for name in targets} or TARGETS
    return [
        (
            name,
            CodecTrial(
                path=str(path),
                frames=tuple(instance.frames[index] for index in chosen),
                pixels=instance.pixels,
                source_uid=instance.transfer_syntax_uid,
                target_uid=uid,
                quality=None if SYNTAXES[uid].lossless else quality,
                limit_s=limit_s,
            ),
        )
        for name, uid in uids.items()
    ]


def spread(frames: FrameIndex, most: int) -> list[int]:
    """At most `most` indices, evenly spread."""
    count = min(most, frames.count)
    return [index * frames.count // count for index in range(count)]


def trial_results(trials: list[tuple[str, CodecTrial]]) -> Iterator[CodecResult]:
    """Run the trials one after the other in a worker process; ends with it, whatever happens."""
    pool = WorkerPool(jobs=1)
    try:
        for name, trial in trials:
            future = pool.submit_within(trial.longest_s, run_trial, trial)
            yield _result(name, trial, future)
    finally:
        abandon(pool)


def _result(name: str, trial: CodecTrial, future: Future[CodecFigures]) -> CodecResult:
    try:
        return CodecResult(name, trial.target_uid, future.result())
    except MerseyError as error:
        failed = not isinstance(error, UnsupportedError)
        return CodecResult(name, trial.target_uid, None, reason=error.message, failed=failed)
