"""A FrameRun: consecutive frames of one instance, the unit of CPU work.

A pure, picklable description; `execute_run` reads the frames, decodes, encodes and verifies
them, and gives the encoded frames back. It runs in a worker process.
"""

from __future__ import annotations

import pickle
from collections.abc import Buffer, Iterator
from dataclasses import dataclass
from typing import Any

from ...codecs.codec import Codec
from ...codecs.errors import MerseyError
from ...codecs.pixels import PixelFormat
from ...codecs.registry import Registry
from ..dicom.frame_index import Frame, FrameIndex
from .beacon import mark_frame
from .source_read import read_frames
from .verification import Verify, verify_frame

__all__ = ["RUN_BYTES", "FrameRun", "RunResult", "execute_run", "plan_runs", "warm"]

RUN_BYTES = 4 << 20


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

    @property
    def time_limit_s(self) -> float:
        """How long a worker may take: generous for the slowest codec on a busy machine."""
        return 4.0 + len(self.frames) * self.pixels.decoded_bytes / 2e6

    @property
    def weight_bytes(self) -> int:
        """What the run holds in memory at its worst: source, samples, result."""
        return 3 * len(self.frames) * self.pixels.decoded_bytes


@dataclass(frozen=True, slots=True)
class RunResult:
    """The encoded frames back to back in `data`; `lengths` in bytes, one a frame.

    `lossy` says that some frame cannot be had back exactly; `ratio` is uncompressed bytes
    over encoded bytes.
    """

    lengths: tuple[int, ...]
    data: Buffer
    lossy: bool
    ratio: float

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        data = pickle.PickleBuffer(self.data) if protocol >= 5 else bytes(self.data)
        return (RunResult, (self.lengths, data, self.lossy, self.ratio))

    def frames(self) -> Iterator[memoryview]:
        """The encoded frames, one by one, without copying."""
        view = memoryview(self.data)
        position = 0
        for length in self.lengths:
            yield view[position : position + length]
            position += length


def plan_runs(
    frames: FrameIndex, *, pixels: PixelFormat, jobs: int, first: int = 0
) -> Iterator[range]:
    """Cut the frames from index `first` on into runs of about 4 MiB of samples.

    Fewer frames a run where that leaves some of `jobs` workers idle; never less than one.
    """
    length = max(1, RUN_BYTES // pixels.decoded_bytes)
    length = max(1, min(length, -(-(frames.count - first) // jobs)))
    for start in range(first, frames.count, length):
        yield range(start, min(start + length, frames.count))


def execute_run(run: FrameRun) -> RunResult:
    """Decode, encode and verify the frames of `run`.

    Raises
    ------
    MerseyError
        Some frame cannot be decoded, encoded or verified: the error names instance and frame.
    """
    registry = Registry.default()
    decoder = registry.decoder(run.source_uid)
    encoder = registry.encoder(run.target_uid)
    encoded = bytearray()
    lengths = []
    lossy = False
    for frame, data in read_frames(run.path, run.frames):
        mark_frame(frame.index)
        try:
            piece, piece_is_lossy = _transcode(run, frame, data, decoder, encoder)
        except MerseyError as error:
            raise error.at(instance=run.instance_uid, frame=frame.index + 1)  # noqa: B904
        encoded += piece
        lengths.append(len(piece))
        lossy |= piece_is_lossy
    samples_bytes = len(run.frames) * run.pixels.decoded_bytes
    return RunResult(tuple(lengths), encoded, lossy, samples_bytes / max(len(encoded), 1))


def _transcode(
    run: FrameRun, frame: Frame, data: memoryview, decoder: Codec, encoder: Codec
) -> tuple[Buffer, bool]:
    if frame.bit_offset:
        data = _realigned(data, frame.bit_offset, run.pixels.frame_bits)
    samples = decoder.decode(data, pixels=run.pixels)
    pixels = decoder.decoded_format(run.pixels)
    encoded = encoder.encode(samples, pixels=pixels)
    if not encoded.lossy:
        verify_frame(encoded.data, samples, encoder=encoder, pixels=pixels, verify=run.verify)
    return encoded.data, encoded.lossy


def _realigned(data: memoryview, bit_offset: int, length_bits: int) -> memoryview:
    """The frame's bits moved down so that its first sample starts a byte (PS3.5 §8.2)."""
    from ...codecs.kernels import realign_bits

    return memoryview(realign_bits(data, bit_offset=bit_offset, length_bits=length_bits))


def warm() -> None:
    """Import what nearly every run needs, ahead of the first."""
    registry = Registry.default()
    from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL

    registry.decoder(EXPLICIT_LE)
    registry.encoder(HTJ2K_LOSSLESS_RPCL)
