"""One frame is decoded where it can do no harm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mersey.codecs.errors import CodestreamError, FormatError, UnsupportedError
from mersey.codecs.pixels import PixelFormat
from mersey.codecs.registry import Registry
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from mersey.engine.dicom.frame_index import FrameIndex
from mersey.engine.runtime.frame_decode import FrameDecode, decode_frame, decode_safely
from phantom import Thorax

_CT = PixelFormat(128, 128, bits_stored=12, high_bit=11)


def test_a_worker_decodes_what_this_process_would() -> None:
    image = Thorax(size=128, slices=3, seed=0).frame(1)
    data = Registry.default().encoder(HTJ2K_LOSSLESS_RPCL).encode(image, pixels=_CT).data
    work = FrameDecode(data, pixels=_CT, source_uid=HTJ2K_LOSSLESS_RPCL)
    assert np.array_equal(decode_safely(work), image)
    assert np.array_equal(decode_frame(work), image)


def test_an_error_of_the_worker_comes_back_whole() -> None:
    work = FrameDecode(b"\xff\x4f\xff\x51junk", pixels=_CT, source_uid=HTJ2K_LOSSLESS_RPCL)
    with pytest.raises(CodestreamError):
        decode_safely(work)


def test_an_unsupported_syntax_starts_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a worker was started")

    monkeypatch.setattr("mersey.engine.runtime.worker_pool.WorkerPool.__init__", refuse)
    with pytest.raises(UnsupportedError):
        decode_safely(FrameDecode(b"", pixels=_CT, source_uid="1.2.3"))
    with pytest.raises(FormatError):
        decode_safely(FrameDecode(b"short", pixels=_CT, source_uid=EXPLICIT_LE))


def test_a_frame_of_single_bits_may_start_within_a_byte(tmp_path: Path) -> None:
    pixels = PixelFormat(3, 5, bits_allocated=1, bits_stored=1, high_bit=0)
    frames = np.random.default_rng(0).integers(0, 2, (4, 3, 5), dtype=np.uint8)
    packed = np.packbits(frames.ravel(), bitorder="little").tobytes()
    index = FrameIndex.uniform(count=4, first_offset_bytes=0, frame_bits=15)
    for number in range(4):
        frame = index[number]
        (span,) = frame.spans
        work = FrameDecode(
            packed[span.offset_bytes : span.offset_bytes + span.length_bytes],
            pixels=pixels,
            source_uid=EXPLICIT_LE,
            bit_offset=frame.bit_offset,
        )
        assert np.array_equal(decode_safely(work), frames[number])
