"""What to do with one file: transcode its frames, copy it, or keep it as it is.

`plan_transcode` reads the headers and decides; it never reads pixels and writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ...codecs.errors import FormatError, MerseyError, UnsupportedError
from ...codecs.pixels import PixelFormat
from ...codecs.quality import Quality
from ...codecs.registry import Registry
from ...codecs.syntaxes import HTJ2K_LOSSLESS_RPCL, TransferSyntax, transfer_syntax
from ..dicom.header_rewriting import derived_uid
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance, ReadAt
from ..dicom.lossy_history import LOSSY_METHODS, LossyStep, PastLoss
from .frame_run import FrameRun
from .progressive_form import is_progressive_already, rearranged_uid
from .rearranging import PROGRESSIVE, REARRANGEABLE, rearranging_library
from .stored_colour import with_stored_colour
from .verification import Verify

__all__ = ["Job", "Plan", "Source", "plan_transcode", "reader"]


@dataclass(frozen=True, slots=True)
class Job:
    """Turn the file `source` into the file `target`, its frames in `target_uid`.

    `quality` is what a lossy target aims at, its codec's own aim where None. `digests` has the
    digests of the target's frames laid beside it.

    `target_uid` may be PROGRESSIVE: then J2K and HTJ2K is rearranged without decoding, and all
    else becomes .202. `rearrange` asks for the former alone; `target_uid` is then what the
    frames will be called. `not_rearranged` says why an attempt at it failed: PROGRESSIVE then
    means to decode and encode what is lossless.
    """

    source: str
    target: str
    target_uid: str
    verify: Verify = "independent"
    quality: Quality | None = None
    digests: bool = False
    rearrange: bool = False
    not_rearranged: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The file a plan was made for, as it was then."""

    path: str
    size_bytes: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Source:
        status = os.stat(path)
        return cls(path, status.st_size, status.st_mtime_ns, status.st_ino)

    def check_unchanged(self) -> None:
        """Raise FormatError where the file is no longer the one that was planned for."""
        if Source.of(self.path) != self:
            raise FormatError("the file changed while it was being read", source=self.path)


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job is done.

    `action` is ``transcode``, ``copy`` (no frames, or in the target syntax already) or
    ``keep`` (the target syntax has no form for such pixels: `reason`). `pixels` is what the
    written data set declares, `stream_path` where the frames' offsets count: the file, or what
    a deflated one was inflated to. `lossy` is what the written data set says of the loss, if
    the target syntax allows any and some frame then comes out so; `past_loss` what the
    source's should have said.
    """

    job: Job
    source: Source
    instance: Instance
    action: Literal["transcode", "copy", "keep"]
    reason: str = ""
    pixels: PixelFormat | None = None
    library: str = ""
    stream_path: str = ""
    lossy: LossyStep | None = None
    past_loss: PastLoss | None = None

    @property
    def identity(self) -> str:
        """Everything that the bytes of the result depend on."""
        source, job = self.source, self.job
        parts = (source.path, source.size_bytes, source.mtime_ns, source.inode)
        settings = (job.target_uid, job.verify, self.library, job.digests, job.rearrange)
        return repr((*parts, *settings))

    @property
    def frame_count(self) -> int:
        return 0 if self.instance.frames is None else self.instance.frames.count

    @property
    def pixel_bytes(self) -> int:
        """The size of all frames, decoded."""
        pixels = self.instance.pixels
        return 0 if pixels is None else self.frame_count * pixels.decoded_bytes

    def run(self, indices: range) -> FrameRun:
        """The description of the frames at `indices`."""
        frames, pixels = self.instance.frames, self.instance.pixels
        assert frames is not None
        assert pixels is not None
        return FrameRun(
            path=self.stream_path,
            instance_uid=self.instance.sop_instance_uid,
            frames=tuple(frames[index] for index in indices),
            pixels=pixels,
            source_uid=self.instance.transfer_syntax_uid,
            target_uid=self.job.target_uid,
            verify=self.job.verify,
            quality=self.job.quality,
            digests=self.job.digests,
            rearrange=self.job.rearrange,
        )

    @property
    def run_frame_bytes(self) -> int | None:
        """What a frame counts for where frames are cut into runs; None is its samples."""
        frames = self.instance.frames
        if not self.job.rearrange or self.job.verify != "off" or not self.frame_count:
            return None
        assert frames is not None
        assert frames.lengths is not None
        return max(1, int(frames.lengths.sum()) // self.frame_count)


def reader(descriptor: int) -> ReadAt:
    """Positional reads of an open file."""

    def read_at(offset_bytes: int, length_bytes: int, /) -> bytes:
        return os.pread(descriptor, length_bytes, offset_bytes)

    return read_at


def with_reader[T](path: str, use: Callable[[ReadAt], T]) -> T:
    """Call `use` with positional reads of the file `path`, open as long as it runs."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return use(reader(descriptor))
    finally:
        os.close(descriptor)


def plan_transcode(job: Job) -> Plan:
    """Read the headers of the job's source and decide what to do with it.

    Raises
    ------
    DicomError
        The source is not DICOM, or broken.
    UnsupportedError
        Its frames are in a syntax that cannot be decoded here; names the syntax.
    """
    source = Source.of(job.source)

    def read(read_at: ReadAt) -> Plan:
        name = Path(job.source).name
        instance = index_instance(read_at, size_bytes=source.size_bytes, source=name)
        instance = with_stored_colour(instance, read_at)
        if job.target_uid == PROGRESSIVE:
            return _decide_progressive(job, source, instance, read_at)
        return decide(job, source, instance)

    return with_reader(job.source, read)


def _decide_progressive(job: Job, source: Source, instance: Instance, read_at: ReadAt) -> Plan:
    """The plan for the target PROGRESSIVE: rearranged, or as .202, whichever costs less."""
    uid = instance.transfer_syntax_uid
    as_rpcl = replace(job, target_uid=HTJ2K_LOSSLESS_RPCL)
    if uid not in REARRANGEABLE or instance.pixels is None or instance.frames is None:
        return decide(as_rpcl, source, instance)
    if job.not_rearranged:
        syntax = transfer_syntax(uid)
        if syntax is None or not syntax.lossless or uid == HTJ2K_LOSSLESS_RPCL:
            reason = f"its codestreams cannot be rearranged: {job.not_rearranged}"
            return Plan(as_rpcl, source, instance, "keep", reason)
        note = f"decoded and encoded, not rearranged: {job.not_rearranged}"
        instance = replace(instance, warnings=(*instance.warnings, note))
        return decide(as_rpcl, source, instance)
    if is_progressive_already(instance, read_at):
        return Plan(job, source, instance, "copy", "progressive already")
    target_uid = rearranged_uid(instance, read_at)
    return decide(replace(job, target_uid=target_uid, rearrange=True), source, instance)


def decide(job: Job, source: Source, instance: Instance) -> Plan:
    """The plan for an instance whose headers were read."""
    syntax = transfer_syntax(instance.transfer_syntax_uid)
    if syntax is not None and syntax.video and instance.layout.pixel_tag is not None:
        reason = f"{syntax.name} is video, which passes through untouched"
        return Plan(job, source, instance, "keep", reason)
    if instance.pixels is None or instance.frames is None:
        return Plan(job, source, instance, "copy", "no pixel data")
    if job.rearrange:
        return Plan(
            job,
            source,
            instance,
            "transcode",
            pixels=instance.pixels,
            library=rearranging_library(),
            stream_path=job.source,
        )
    if instance.transfer_syntax_uid == job.target_uid and job.quality is None:
        return Plan(job, source, instance, "copy", "in the target syntax already")
    registry = Registry.default()
    encoder = registry.encoder(job.target_uid, quality=job.quality)
    try:
        decoder = registry.decoder(instance.transfer_syntax_uid)
    except MerseyError as error:
        raise error.at(instance=instance.sop_instance_uid or None)  # noqa: B904
    try:
        pixels = encoder.encoded_format(decoder.decoded_format(instance.pixels))
    except UnsupportedError as error:
        return Plan(job, source, instance, "keep", error.message)
    # A codec that has an aim of its own tells it; the bytes depend on that, too.
    aim = job.quality or getattr(encoder, "quality", None)
    library = f"{decoder.library} > {encoder.library}" + (f" at {aim}" if aim else "")
    return Plan(
        job,
        source,
        instance,
        "transcode",
        pixels=pixels,
        library=library,
        stream_path=job.source,
        lossy=_lossy_step(job, instance, library, aim),
        past_loss=_past_loss(instance, syntax),
    )


def _lossy_step(
    job: Job, instance: Instance, library: str, aim: Quality | None
) -> LossyStep | None:
    """What the target says if its frames are not exactly the source's; None where they are."""
    method = LOSSY_METHODS.get(job.target_uid)
    target = transfer_syntax(job.target_uid)
    if method is None or target is None:
        return None
    words = f"Lossy compression: {target.name}" + (f", {aim}" if aim else "")
    uid = derived_uid(instance.sop_instance_uid, job.target_uid, library)
    return LossyStep(method, uid, description=words)


def _past_loss(instance: Instance, syntax: TransferSyntax | None) -> PastLoss | None:
    """The loss that the source's transfer syntax alone tells of, and soon nothing would."""
    frames, pixels = instance.frames, instance.pixels
    if instance.lossy or syntax is None or syntax.lossless is not False:
        return None
    assert frames is not None
    assert pixels is not None
    stored_bytes = sum(frames[index].length_bytes for index in range(frames.count))
    ratio = frames.count * pixels.decoded_bytes / max(stored_bytes, 1)
    return PastLoss(LOSSY_METHODS.get(syntax.uid, ""), ratio)
