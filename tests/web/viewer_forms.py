"""What viewers ask for frames in, and how these tests decode what comes."""

from __future__ import annotations

import numpy as np
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry

RPCL = "1.2.840.10008.1.2.4.202"
DEFAULT = "multipart/related; type=application/octet-stream; transfer-syntax=*"
JPHC = f"image/jphc; transfer-syntax={RPCL}"


def decode(data: bytes, samples: np.ndarray, *, reduce: int = 0) -> np.ndarray:
    pixels = PixelFormat(rows=samples.shape[1], columns=samples.shape[2], bits_stored=12)
    return Registry.default().decoder(RPCL).decode(data, pixels=pixels, reduce=reduce)
