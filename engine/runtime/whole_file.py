"""Jobs small enough for one worker, from headers to rename.

`begin` runs in a worker process. It finishes what fits a single FrameRun, and gives a Plan
back for what does not.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ...codecs.errors import MerseyError, UsageError
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from .file_writing import FileWriting
from .frame_run import RUN_BYTES, execute_run
from .inflated import inflate_beside
from .outcome import Outcome
from .plan import Job, Plan, Source, plan_transcode, with_reader
from .progressive_form import is_progressive_already

__all__ = ["begin"]


def begin(job: Job, *, overwrite: bool = False) -> Outcome | Plan:
    """Do the job if it is small; otherwise say how it is to be done.

    Raises
    ------
    MerseyError
        The source cannot be read, decoded or written in the target syntax.
    """
    target = Path(job.target)
    if target.exists() and target.samefile(job.source):
        raise UsageError(f"{job.target} is the source itself, which is never altered")
    plan = plan_transcode(job)
    if not overwrite and _is_done(plan):
        return Outcome(
            source=job.source,
            target=job.target,
            action="skipped",
            bytes_in=plan.source.size_bytes,
            bytes_out=target.stat().st_size,
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if plan.action != "transcode":
        return plan
    if plan.instance.layout.deflated:
        plan = replace(plan, stream_path=str(inflate_beside(plan)))
    if plan.pixel_bytes > RUN_BYTES:
        return plan
    with FileWriting(plan) as writing:
        writing.add(execute_run(plan.run(range(writing.done_frames, plan.frame_count))))
        return writing.finish()


def _is_done(plan: Plan) -> bool:
    """Whether an earlier run made the target of this plan: it appears only when complete."""
    job = plan.job
    if not os.path.exists(job.target):
        return False
    made = Source.of(job.target)
    if made.mtime_ns < plan.source.mtime_ns:
        return False
    if plan.action != "transcode" and made.size_bytes != plan.source.size_bytes:
        return False
    try:
        instance = with_reader(
            job.target, lambda read_at: index_instance(read_at, size_bytes=made.size_bytes)
        )
    except MerseyError:
        return False
    return (
        instance.transfer_syntax_uid in _written_syntaxes(plan)
        and instance.sop_instance_uid in _written_uids(plan)
        and (instance.frames.count if instance.frames else 0) == plan.frame_count
        and (not job.rearrange or _is_rearranged(job, instance))
    )


def _written_syntaxes(plan: Plan) -> tuple[str, ...]:
    """The transfer syntaxes that the target may have been given."""
    stored_uid = plan.instance.transfer_syntax_uid
    if plan.action != "transcode":
        return (stored_uid,)
    return (plan.job.target_uid, stored_uid) if plan.job.rearrange else (plan.job.target_uid,)


def _is_rearranged(job: Job, instance: Instance) -> bool:
    """Whether the target is no mere copy of a source that has the same transfer syntax."""
    return with_reader(job.target, lambda read_at: is_progressive_already(instance, read_at))


def _written_uids(plan: Plan) -> tuple[str, ...]:
    """The SOP Instance UIDs that the target may have: another one where something was lost."""
    uid = plan.instance.sop_instance_uid
    return (uid,) if plan.lossy is None else (uid, plan.lossy.sop_instance_uid)
