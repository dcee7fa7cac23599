"""Writing the result of a plan: header, frames in order, offset tables, then the name.

Synchronous: a worker does small files with it, the pipeline runs it in a thread.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Self

from ...codecs.errors import MerseyError, ResourceError
from ...codecs.pixels import Buffer
from ...codecs.syntaxes import SYNTAXES
from ..archive.frame_digests import FileDigests, digest_of
from ..archive.part_file import PartFile
from ..dicom.encapsulation import frame_item, item_bytes
from ..dicom.writer import Part10Writer
from .frame_run import RunResult
from .outcome import Outcome
from .plan import Plan, reader
from .worker import WorkerError

__all__ = ["FileWriting"]


@dataclass(frozen=True, slots=True)
class _Head:
    """What the header has to say of the frames: see RunResult."""

    is_lossy: bool = False
    keeps_rules: bool = True

    def joined(self, other: _Head) -> _Head:
        """What it has to say of the frames of both."""
        return _Head(self.is_lossy or other.is_lossy, self.keeps_rules and other.keeps_rules)

    def transfer_syntax(self, plan: Plan) -> str:
        """The target's, or that of the source where frames break the rules of the target's."""
        return plan.job.target_uid if self.keeps_rules else plan.instance.transfer_syntax_uid

    def warnings(self, plan: Plan) -> tuple[str, ...]:
        if self.transfer_syntax(plan) == plan.job.target_uid:
            return ()
        return (
            f"progressive, but not all frames meet the rules of {plan.job.target_uid}: "
            f"the transfer syntax stays {plan.instance.transfer_syntax_uid}",
        )


class FileWriting:
    """The target of a plan in the making; `done_frames` of it are there when it is opened.

    The header is written when the first run has shown whether anything is lost, and written
    again at the end where a later one shows more: near-lossless frames may come out exact, and
    rearranged ones may break a rule of the transfer syntax that the first ones promised.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._stack = ExitStack()
        self._encapsulated = SYNTAXES[plan.job.target_uid].encapsulated
        self._has_head = False
        self._head = _Head(is_lossy=plan.lossy is not None)
        self._found = _Head()
        self._encoded_bytes = 0
        self._stretches: list[tuple[int, bytes]] = []
        self.done_frames = 0

    def __enter__(self) -> Self:
        plan = self._plan
        with ExitStack() as stack:
            self._source = os.open(plan.stream_path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, self._source)
            self._writer = self._new_writer()
            part = PartFile(Path(plan.job.target), identity=plan.identity)
            self._part = stack.enter_context(part)
            if self._part.position:
                self._resume()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        if _is_the_source_s(error):
            self._part.discard()  # another try would end no better
        self._stack.close()
        if self._plan.stream_path != self._plan.source.path:
            Path(self._plan.stream_path).unlink(missing_ok=True)

    def _new_writer(self) -> Part10Writer:
        plan = self._plan
        assert plan.pixels is not None
        return Part10Writer(
            plan.instance,
            reader(self._source),
            transfer_syntax_uid=self._head.transfer_syntax(plan),
            pixels=plan.pixels,
            frame_count=plan.frame_count,
            lossy=plan.lossy if self._head.is_lossy else None,
            past_loss=plan.past_loss,
        )

    def _begin(self, head: _Head) -> None:
        """Write the header that goes with what the frames turned out to be."""
        if head != self._head:
            self._head = head
            self._writer = self._new_writer()
        for chunk in self._writer.header():
            self._part.write(chunk)
        self._has_head = True

    def _resume(self) -> None:
        notes = self._part.notes
        found = [_Head(note["lossy"], note["keeps_rules"]) for note in notes]
        self._head = found[0]
        self._writer = self._new_writer()
        for _ in self._writer.header():  # the writer learns its own length by making the header
            pass
        self._has_head = True
        self._writer.add_lengths(self._part.frame_lengths)
        self._encoded_bytes = sum(self._part.frame_lengths)
        self.done_frames = sum(note["frames"] for note in notes)
        self._found = functools.reduce(_Head.joined, found)
        digests = [bytes.fromhex(digest) for note in notes for digest in note["digests"]]
        self._note_stretches(self._part.frame_lengths, digests)

    def add(self, result: RunResult) -> None:
        """Append the frames of the next run."""
        if not self._has_head:
            self._begin(_Head(result.lossy, result.keeps_rules))
        pieces: Iterable[Buffer] = result.data
        if self._encapsulated:
            pieces = chain.from_iterable(map(frame_item, result.data))
        self._part.write(*pieces)
        self._writer.add_lengths(result.lengths)
        self._encoded_bytes += sum(result.lengths)
        self._found = self._found.joined(_Head(result.lossy, result.keeps_rules))
        self._note_stretches(result.lengths, result.digests)
        note = {
            "frames": result.frames,
            "lossy": result.lossy,
            "keeps_rules": result.keeps_rules,
            "digests": [digest.hex() for digest in result.digests],
        }
        self._part.add_frames(result.lengths, note=note)

    def _note_stretches(self, lengths: Sequence[int], digests: Sequence[bytes]) -> None:
        if self._plan.job.digests:
            framed = map(item_bytes, lengths) if self._encapsulated else lengths
            self._stretches.extend(zip(framed, digests, strict=True))

    def finish(self, warnings: Sequence[str] = ()) -> Outcome:
        """Write what comes after the frames and publish the file."""
        plan = self._plan
        if not self._has_head:
            self._begin(self._found)
        if self._found != self._head:
            self._replace_head()
        frames_end = self._part.position
        for chunk in self._writer.trailer():
            self._part.write(chunk)
        if self._found.is_lossy:
            self._writer.set_ratio(plan.pixel_bytes / max(self._encoded_bytes, 1))
        for offset_bytes, data in self._writer.patches():
            self._part.patch(offset_bytes, data)
        plan.source.check_unchanged()
        if plan.job.digests:
            self._digests(frames_end).write(Path(plan.job.target))
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
            lossy=self._found.is_lossy,
            warnings=(*plan.instance.warnings, *self._found.warnings(plan), *warnings),
        )

    def _replace_head(self) -> None:
        written = self._writer
        assert written.header_bytes is not None
        self._head = self._found
        self._writer = self._new_writer()
        self._part.replace_head(written.header_bytes, self._writer.header())
        self._writer.add_lengths(written.lengths)

    def _digests(self, frames_end: int) -> FileDigests:
        head_bytes = self._writer.header_bytes
        assert head_bytes is not None
        tail_bytes = self._part.position - frames_end
        head = digest_of(self._part.read_at(0, head_bytes))
        tail = digest_of(self._part.read_at(frames_end, tail_bytes))
        return FileDigests.of([(head_bytes, head), *self._stretches, (tail_bytes, tail)])


def _is_the_source_s(error: BaseException | None) -> bool:
    """Whether the source is to blame, not the disk, a limit or whoever cancelled."""
    if isinstance(error, ResourceError):
        return isinstance(error, WorkerError)
    return isinstance(error, MerseyError)
