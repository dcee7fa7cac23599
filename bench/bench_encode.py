"""Encoding frames in one process, every transfer syntax that is written, verified first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pydicom
import pytest
from long_files import LongFiles
from mersey.codecs.codec import Codec
from mersey.codecs.pixels import PixelArray, PixelFormat
from mersey.codecs.registry import TARGETS, Registry
from mersey.codecs.syntaxes import SYNTAXES

_FRAMES = 10
_CT = PixelFormat(512, 512, bits_stored=12, high_bit=11)
_EIGHT_BITS = PixelFormat(480, 640, bits_allocated=8, bits_stored=8, high_bit=7)
_EIGHT_BITS_ONLY = {"jpeg-baseline"}


def _encode_all(encoder: Codec, frames: list[PixelArray], pixels: PixelFormat) -> int:
    return sum(len(encoder.encode(frame, pixels=pixels).data) for frame in frames)


@pytest.mark.parametrize("name", TARGETS)
def bench_encode_frames(benchmark: Any, files: LongFiles, name: str) -> None:
    uid = TARGETS[name]
    encoder = Registry.default().encoder(uid)
    if name in _EIGHT_BITS_ONLY:
        samples = pydicom.dcmread(files.study.us_cine).pixel_array[:_FRAMES, :, :, 0]
        pixels = _EIGHT_BITS.with_(rows=samples.shape[1], columns=samples.shape[2])
    else:
        samples, pixels = files.frames[100 : 100 + _FRAMES], _CT
    frames = [np.ascontiguousarray(frame) for frame in samples]
    for frame in frames[:3]:
        data = encoder.encode(frame, pixels=pixels).data
        found = encoder.decode(data, pixels=encoder.encoded_format(pixels))
        difference = np.abs(found.astype(np.int64) - frame)
        assert difference.max() == 0 if SYNTAXES[uid].lossless else difference.mean() < 20
    encoded = benchmark(_encode_all, encoder, frames, pixels)
    pixel_bytes = len(frames) * pixels.decoded_bytes
    benchmark.extra_info.update(
        {"pixel_bytes": pixel_bytes, "ratio": round(pixel_bytes / encoded, 2)}
    )
