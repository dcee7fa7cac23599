"""Copying a file that is not transcoded, byte for byte.

Runs beside the workers, which have better things to do: reads and writes wait in threads.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiofiles

from ..archive.part_file import PartFile
from .outcome import Outcome
from .plan import Plan

__all__ = ["copy_file"]

_PIECE_BYTES = 8 << 20


async def copy_file(plan: Plan) -> Outcome:
    """Copy the plan's source to its target, which appears when it is whole and durable.

    Raises
    ------
    FormatError
        The source changed meanwhile.
    ResourceError
        The disk is full, or fails.
    """
    with PartFile(Path(plan.job.target), identity=plan.identity) as part:
        async with aiofiles.open(plan.source.path, "rb", buffering=0) as source:
            await source.seek(part.position)
            while piece := await source.read(_PIECE_BYTES):
                await asyncio.to_thread(_append, part, piece)
        plan.source.check_unchanged()
        length_bytes = part.position
        await asyncio.to_thread(part.publish)
    return Outcome(
        source=plan.job.source,
        target=plan.job.target,
        action="copied" if plan.action == "copy" else "kept",
        bytes_in=plan.source.size_bytes,
        bytes_out=length_bytes,
        reason=plan.reason,
        warnings=plan.instance.warnings,
    )


def _append(part: PartFile, piece: bytes) -> None:
    part.write(piece)
    part.add_frames(())  # no frames, but a stretch to go on from
