"""Measures one codec on frames of a file: encoding, decoding, and every resolution.

`CodecTrial` describes the work and pickles; `run_trial` does it, in a worker process. Nothing is
timed before what was encoded has been decoded and compared.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...codecs.codec import Codec, Encoded
from ...codecs.codestream import prefix_length, scan_codestream
from ...codecs.errors import CodestreamError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.quality import Quality, psnr_db
from ...codecs.reduction import reduced_size
from ...codecs.registry import Registry
from ..dicom.frame_index import Frame
from .frame_decode import FrameDecode, decode_frame
from .source_read import read_frames
from .verification import verify_frame

__all__ = ["CodecFigures", "CodecTrial", "ResolutionFigures", "run_trial"]

_MOST_PASSES = 9
_WARM_SIDE = 64


@dataclass(frozen=True, slots=True)
class CodecTrial:
    """Encode `frames` of the file `path` in `target_uid`, decode them, for about `limit_s`."""

    path: str
    frames: tuple[Frame, ...]
    pixels: PixelFormat
    source_uid: str
    target_uid: str
    quality: Quality | None = None
    limit_s: float = 3.0

    @property
    def longest_s(self) -> float:
        """After this a worker is to be given up: the first pass over one frame may be long."""
        return 30 + 4 * self.limit_s + len(self.frames) * self.pixels.decoded_bytes / 4e5


@dataclass(frozen=True, slots=True)
class ResolutionFigures:
    """One resolution of the frames: `pixel_bytes` are those of the smaller images."""

    reduce: int
    columns: int
    rows: int
    stored_bytes: int
    pixel_bytes: int
    decode_s: float


@dataclass(frozen=True, slots=True)
class CodecFigures:
    """What one codec did. Seconds are medians over `passes` of all `frames`.

    `pixel_bytes` counts uncompressed samples, `stored_bytes` what they were encoded to. `equal`
    says that every sample came back; where it did not, `psnr_db` tells how close the worst frame
    came (None where nothing tells). `resolutions`, largest first, is empty where the form has no
    cut points. `frames` may be fewer than asked for, where time was up.
    """

    library: str
    frames: int
    pixel_bytes: int
    stored_bytes: int
    encode_s: float
    decode_s: float
    passes: int
    equal: bool
    psnr_db: float | None
    resolutions: tuple[ResolutionFigures, ...] = ()


def run_trial(trial: CodecTrial) -> CodecFigures:
    """Measure one codec here, in this process.

    Raises
    ------
    UnsupportedError
        The codec has no form for these pixels.
    IntegrityError
        A lossless form came back with other samples; nothing was timed.
    """
    registry = Registry.default()
    decoder = registry.decoder(trial.source_uid)
    encoder = registry.encoder(trial.target_uid, quality=trial.quality)
    pixels = decoder.decoded_format(trial.pixels)
    written = encoder.encoded_format(pixels)
    samples = _samples(trial)
    _warm(encoder, samples[0], pixels)
    encoded, first_s = _encode(encoder, samples, pixels, limit_s=0.4 * trial.limit_s)
    samples = samples[: len(encoded)]
    psnrs = [_check(one, image, encoder, pixels) for one, image in _pairs(encoded, samples)]
    encode_s = _median_pass(
        lambda: [encoder.encode(image, pixels=pixels) for image in samples],
        limit_s=0.4 * trial.limit_s - first_s,
        first_s=first_s,
    )
    decode_s = _median_pass(
        lambda: [encoder.decode(one.data, pixels=written) for one in encoded],
        limit_s=0.3 * trial.limit_s,
    )
    lossy = any(one.lossy for one in encoded)
    known = [psnr for psnr in psnrs if psnr is not None]
    return CodecFigures(
        library=encoder.library,
        frames=len(encoded),
        pixel_bytes=len(encoded) * pixels.decoded_bytes,
        stored_bytes=sum(len(one.data) for one in encoded),
        encode_s=encode_s.median_s,
        decode_s=decode_s.median_s,
        passes=min(encode_s.passes, decode_s.passes),
        equal=not lossy,
        psnr_db=min(known) if lossy and known else None,
        resolutions=_resolutions(encoded, encoder, written, limit_s=0.3 * trial.limit_s),
    )


def _samples(trial: CodecTrial) -> list[PixelArray]:
    return [
        decode_frame(FrameDecode(bytes(data), trial.pixels, trial.source_uid, frame.bit_offset))
        for frame, data in read_frames(trial.path, trial.frames)
    ]


def _warm(encoder: Codec, image: PixelArray, pixels: PixelFormat) -> None:
    """Have kernels compiled and libraries loaded, at the cost of a corner of the image."""
    rows, columns = min(pixels.rows, _WARM_SIDE), min(pixels.columns, _WARM_SIDE)
    small = pixels.with_(rows=rows, columns=columns)
    encoded = encoder.encode(image[:rows, :columns].copy(), pixels=small)
    encoder.decode(encoded.data, pixels=encoder.encoded_format(small))


def _encode(
    encoder: Codec, samples: Sequence[PixelArray], pixels: PixelFormat, *, limit_s: float
) -> tuple[list[Encoded], float]:
    """Encode as many frames as there is time for, at least one; and the seconds it took."""
    encoded: list[Encoded] = []
    started = time.perf_counter()
    for image in samples:
        encoded.append(encoder.encode(image, pixels=pixels))
        if time.perf_counter() - started > limit_s:
            break
    return encoded, time.perf_counter() - started


def _pairs(
    encoded: Sequence[Encoded], samples: Sequence[PixelArray]
) -> list[tuple[Encoded, PixelArray]]:
    return list(zip(encoded, samples, strict=True))


def _check(
    encoded: Encoded, image: PixelArray, encoder: Codec, pixels: PixelFormat
) -> float | None:
    """Compare a lossless frame with its source; tell how close a lossy one comes."""
    if not encoded.lossy:
        verify_frame(encoded.data, image, encoder=encoder, pixels=pixels, verify="self")
        return None
    if encoded.psnr_db is not None:
        return encoded.psnr_db
    found = encoder.decode(encoded.data, pixels=encoder.encoded_format(pixels))
    return psnr_db(found, image, pixels=pixels) if found.shape == image.shape else None


@dataclass(frozen=True, slots=True)
class _Passes:
    median_s: float
    passes: int


def _median_pass(
    work: Callable[[], object], *, limit_s: float, first_s: float | None = None
) -> _Passes:
    """Repeat `work` while there is time: the median of its seconds, `first_s` counted in."""
    seconds = [] if first_s is None else [first_s]
    spent = 0.0
    while not seconds or (spent < limit_s and len(seconds) < _MOST_PASSES):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
        spent += seconds[-1]
    return _Passes(statistics.median(seconds), len(seconds))


def _resolutions(
    encoded: Sequence[Encoded], encoder: Codec, pixels: PixelFormat, *, limit_s: float
) -> tuple[ResolutionFigures, ...]:
    """Every resolution that all frames can be cut at, from the bytes up to there alone."""
    try:
        layouts = [scan_codestream(one.data) for one in encoded]
    except CodestreamError:
        return ()
    if any(layout.cut_points is None for layout in layouts):
        return ()
    decoded = encoder.decoded_format(pixels)
    count = 1 + min(layout.decompositions for layout in layouts)
    found = []
    for reduce in range(count):
        prefixes = [
            one.data[: prefix_length(layout, reduce)]
            for one, layout in zip(encoded, layouts, strict=True)
        ]

        def decode(prefixes: list[bytes] = prefixes, reduce: int = reduce) -> object:
            return [encoder.decode(prefix, pixels=pixels, reduce=reduce) for prefix in prefixes]

        rows = reduced_size(decoded.rows, reduce=reduce)
        columns = reduced_size(decoded.columns, reduce=reduce)
        one = decoded.with_(rows=rows, columns=columns)
        found.append(
            ResolutionFigures(
                reduce=reduce,
                columns=columns,
                rows=rows,
                stored_bytes=sum(map(len, prefixes)),
                pixel_bytes=len(prefixes) * one.decoded_bytes,
                decode_s=_median_pass(decode, limit_s=limit_s / count).median_s,
            )
        )
    return tuple(found)
