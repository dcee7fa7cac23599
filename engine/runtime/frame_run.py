"""A FrameRun: consecutive frames of one instance, the unit of CPU work.

A pure, picklable description; `execute_run` reads the frames, decodes, encodes and verifies
them, and gives the encoded frames back. It runs in a worker process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ...codecs.pixels import PixelFormat
from ..dicom.frame_index import Frame

__all__ = ["FrameRun", "RunResult", "Verify", "execute_run"]

type Verify = Literal["off", "self", "independent"]


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Frames of the file `path`, to be had in the transfer syntax `target_uid`.

    `pixels` is the format declared by the data set; `verify` says how a lossless result is
    checked: not at all, by the codec's own decoder, or by another implementation's.
    """

    path: str
    instance_uid: str
    frames: tuple[Frame, ...]
    pixels: PixelFormat
    source_uid: str
    target_uid: str
    verify: Verify = "independent"


@dataclass(frozen=True, slots=True)
class RunResult:
    """The encoded frames back to back in `data`; `lengths` in bytes, one a frame."""

    lengths: tuple[int, ...]
    data: bytes
    lossy: bool
    ratio: float


def execute_run(run: FrameRun) -> RunResult:
    """Encode the frames of `run`."""
    raise AssertionError(run)
