"""Writing the result of a plan: header, frames in order, offset tables, then the name.

Synchronous: a worker does small files with it, the pipeline runs it in a thread.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Self

from ...codecs.errors import MerseyError, ResourceError
from ...codecs.pixels import Buffer
from ...codecs.syntaxes import SYNTAXES
from ..archive.part_file import PartFile
from ..dicom.encapsulation import frame_item
from ..dicom.writer import Part10Writer
from .frame_run import RunResult
from .outcome import Outcome
from .plan import Plan, reader
from .worker import WorkerError

__all__ = ["FileWriting"]


class FileWriting:
    """The target of a plan in the making; `done_frames` of it are there when it is opened."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._encapsulated = SYNTAXES[plan.job.target_uid].encapsulated
        self.done_frames = 0

    def __enter__(self) -> Self:
        plan = self._plan
        assert plan.pixels is not None
        with ExitStack() as stack:
            descriptor = os.open(plan.stream_path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            self._writer = Part10Writer(
                plan.instance,
                reader(descriptor),
                transfer_syntax_uid=plan.job.target_uid,
                pixels=plan.pixels,
                frame_count=plan.frame_count,
            )
            part = PartFile(Path(plan.job.target), identity=plan.identity)
            self._part = stack.enter_context(part)
            self._begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if _is_the_source_s(error):
            self._part.discard()  # another try would end no better
        self._stack.close()
        if self._plan.stream_path != self._plan.source.path:
            Path(self._plan.stream_path).unlink(missing_ok=True)

    def _begin(self) -> None:
        header = self._writer.header()
        if self._part.position == 0:
            for chunk in header:
                self._part.write(chunk)
            return
        for _ in header:  # the writer learns its own length by making the header
            pass
        self.done_frames = len(self._part.frame_lengths)
        self._writer.add_lengths(self._part.frame_lengths)

    def add(self, result: RunResult) -> None:
        """Append the frames of the next run."""
        pieces: Iterable[Buffer] = result.data
        if self._encapsulated:
            pieces = chain.from_iterable(map(frame_item, result.data))
        self._part.write(*pieces)
        self._writer.add_lengths(result.lengths)
        self._part.add_frames(result.lengths)

    def finish(self, warnings: Sequence[str] = ()) -> Outcome:
        """Write what comes after the frames and publish the file."""
        plan = self._plan
        for chunk in self._writer.trailer():
            self._part.write(chunk)
        for offset_bytes, data in self._writer.patches():
            self._part.patch(offset_bytes, data)
        plan.source.check_unchanged()
        self._part.publish()
        done = plan.frame_count - self.done_frames
        return Outcome(
            source=plan.job.source,
            target=plan.job.target,
            action="transcoded",
            bytes_in=plan.source.size_bytes,
            bytes_out=self._part.position,
            frames=done,
            pixel_bytes=plan.pixel_bytes // max(plan.frame_count, 1) * done,
            resumed_frames=self.done_frames,
            warnings=(*plan.instance.warnings, *warnings),
        )


def _is_the_source_s(error: BaseException | None) -> bool:
    """Whether the source is to blame, not the disk, a limit or whoever cancelled."""
    if isinstance(error, ResourceError):
        return isinstance(error, WorkerError)
    return isinstance(error, MerseyError)
