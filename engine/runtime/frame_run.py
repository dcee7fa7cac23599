"""A FrameRun: consecutive frames of one instance, the unit of CPU work.

A pure, picklable description; `execute_run` reads the frames, decodes, encodes and verifies
them, and gives the encoded frames back. It runs in a worker process.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Buffer, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...codecs.codec import Codec
from ...codecs.errors import MerseyError
from ...codecs.kernels import align_bits, pack_bits
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.quality import Quality
from ...codecs.registry import Registry
from ...codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, SYNTAXES
from ..archive.frame_digests import digest_of
from ..dicom.encapsulation import frame_item
from ..dicom.frame_index import Frame, FrameIndex
from .beacon import mark_frame
from .rearranging import meets_rpcl, rearrange_frame, verify_rearranged
from .source_read import read_frames
from .verification import Verify, verify_frame

__all__ = ["RUN_BYTES", "FrameRun", "RunResult", "execute_run", "plan_runs", "warm"]

RUN_BYTES = 16 << 20
_MOST_FRAMES = 1024
_SLOWEST, _SLOWEST_SEARCH = 2e6, 4e5
"""Bytes of samples a second; an encoder that aims at a quality encodes a frame many times."""


@dataclass(frozen=True, slots=True)
class FrameRun:
    """Frames of the file `path`, to be had in the transfer syntax `target_uid`.

    `pixels` is the format declared by the data set; `verify` says how a lossless result is
    checked: not at all, by the codec's own decoder, or by another implementation's. `quality`
    is what a lossy encoder aims at; `digests` asks for a digest of every frame, too.
    `rearrange` has packets of codestreams moved, nothing decoded and nothing encoded.
    """

    path: str
    instance_uid: str
    frames: tuple[Frame, ...]
    pixels: PixelFormat
    source_uid: str
    target_uid: str
    verify: Verify = "independent"
    quality: Quality | None = None
    digests: bool = False
    rearrange: bool = False

    @property
    def time_limit_s(self) -> float:
        """How long a worker may take: generous for the slowest codec on a busy machine."""
        bytes_per_s = _SLOWEST if SYNTAXES[self.target_uid].lossless else _SLOWEST_SEARCH
        return 4.0 + len(self.frames) * self.pixels.decoded_bytes / bytes_per_s

    @property
    def weight_bytes(self) -> int:
        """What the run holds in memory at its worst: source, samples, result."""
        if self.rearrange:
            # Source and result; the samples of one frame at a time, where it is verified.
            stored = sum(frame.length_bytes for frame in self.frames)
            return 3 * stored + 2 * self.pixels.decoded_bytes
        return 3 * len(self.frames) * self.pixels.decoded_bytes


@dataclass(frozen=True, slots=True)
class RunResult:
    """The encoded `frames` of a run, in order; `data` has one piece a frame.

    Uncompressed Bits Allocated 1 is packed across frames (PS3.5 §8.2): there `data` is one
    piece. `lossy` says that some frame cannot be had back exactly; `ratio` is uncompressed
    bytes over encoded bytes. `digests`, where asked for, has one entry a piece, of the bytes
    that go into the file for it: an encapsulated frame's item with its header and padding.
    `keeps_rules` is false where frames rearranged for .202 do not all meet its rules.
    """

    data: tuple[Buffer, ...]
    frames: int
    lossy: bool
    ratio: float
    digests: tuple[bytes, ...] = ()
    keeps_rules: bool = True

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        wrap = pickle.PickleBuffer if protocol >= 5 else bytes
        data = tuple(map(wrap, self.data))
        rest = (self.frames, self.lossy, self.ratio, self.digests, self.keeps_rules)
        return (RunResult, (data, *rest))

    @property
    def lengths(self) -> tuple[int, ...]:
        """The length of each piece in bytes."""
        return tuple(memoryview(piece).nbytes for piece in self.data)


def plan_runs(
    frames: FrameIndex,
    *,
    pixels: PixelFormat,
    jobs: int,
    first: int = 0,
    frame_bytes: int | None = None,
) -> Iterator[range]:
    """Cut the frames from index `first` on into runs of about 16 MiB of samples.

    Fewer frames a run where that leaves some of `jobs` workers idle; never less than one.
    `frame_bytes` is what a frame counts for where that is not the size of its samples.
    """
    length = max(1, min(RUN_BYTES // (frame_bytes or pixels.decoded_bytes), _MOST_FRAMES))
    length = max(1, min(length, -(-(frames.count - first) // jobs)))
    if pixels.frame_bits % 8:
        length = -(-length // 8) * 8  # so that each run starts on a byte
    for start in range(first, frames.count, length):
        yield range(start, min(start + length, frames.count))


def execute_run(run: FrameRun) -> RunResult:
    """Decode, encode and verify the frames of `run`.

    Raises
    ------
    MerseyError
        Some frame cannot be decoded, encoded or verified: the error names instance and frame.
        A NotRearrangedError is one that can perhaps be decoded and encoded instead.
    """
    if run.rearrange:
        return _rearrange(run)
    decoder, encoder = _codecs(run.source_uid, run.target_uid, run.quality)
    pixel_bytes = len(run.frames) * run.pixels.decoded_bytes
    if run.target_uid == EXPLICIT_LE and run.pixels.frame_bits % 8:
        bits = np.concatenate([samples.ravel() for _, samples in _decoded(run, decoder)])
        packed = pack_bits(bits)
        return _result(run, [packed.data], lossy=False, ratio=pixel_bytes / packed.nbytes)
    pixels = decoder.decoded_format(run.pixels)
    pieces: list[Buffer] = []
    lossy = False
    for frame, samples in _decoded(run, decoder):
        with _named(run, frame):
            encoded = encoder.encode(samples, pixels=pixels)
            if not encoded.lossy:
                verify_frame(
                    encoded.data, samples, encoder=encoder, pixels=pixels, verify=run.verify
                )
        pieces.append(encoded.data)
        lossy |= encoded.lossy
    ratio = pixel_bytes / max(sum(memoryview(piece).nbytes for piece in pieces), 1)
    return _result(run, pieces, lossy=lossy, ratio=ratio)


def _rearrange(run: FrameRun) -> RunResult:
    pieces: list[Buffer] = []
    keeps_rules = True
    for frame, data in read_frames(run.path, run.frames):
        mark_frame(frame.index)
        with _named(run, frame):
            made = rearrange_frame(data)
            verify_rearranged(made, data, uid=run.source_uid, pixels=run.pixels, verify=run.verify)
            if run.target_uid == HTJ2K_LOSSLESS_RPCL:
                keeps_rules = keeps_rules and meets_rpcl(made)
        pieces.append(made)
    result = _result(run, pieces, lossy=False, ratio=1.0)
    return replace(result, keeps_rules=keeps_rules)


def _result(run: FrameRun, pieces: Sequence[Buffer], *, lossy: bool, ratio: float) -> RunResult:
    digests: tuple[bytes, ...] = ()
    if run.digests:
        is_item = SYNTAXES[run.target_uid].encapsulated
        digests = tuple(
            digest_of(*(frame_item(piece) if is_item else (piece,))) for piece in pieces
        )
    return RunResult(
        tuple(pieces), frames=len(run.frames), lossy=lossy, ratio=ratio, digests=digests
    )


@functools.lru_cache(maxsize=256)
def _codecs(source_uid: str, target_uid: str, quality: Quality | None) -> tuple[Codec, Codec]:
    """Decoder and encoder; looked up once, since a lookup asks what is installed."""
    registry = Registry.default()
    return registry.decoder(source_uid), registry.encoder(target_uid, quality=quality)


def _decoded(run: FrameRun, decoder: Codec) -> Iterator[tuple[Frame, PixelArray]]:
    """Each frame of the run with its samples."""
    for frame, data in read_frames(run.path, run.frames):
        mark_frame(frame.index)
        with _named(run, frame):
            if frame.bit_offset:
                data = align_bits(
                    np.frombuffer(data, np.uint8),
                    bit_offset=frame.bit_offset,
                    bit_count=run.pixels.frame_bits,
                ).data
            samples = decoder.decode(data, pixels=run.pixels)
        yield frame, samples


@contextmanager
def _named(run: FrameRun, frame: Frame) -> Iterator[None]:
    """Errors from inside name the run's instance and the frame."""
    try:
        yield
    except MerseyError as error:
        raise error.at(instance=run.instance_uid or None, frame=frame.index + 1)  # noqa: B904


def warm() -> None:
    """Import what nearly every run needs, ahead of the first."""
    _codecs(EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL, None)
