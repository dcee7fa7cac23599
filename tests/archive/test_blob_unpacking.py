"""The original of a blob, in bounded memory, however well it was compressed."""

from __future__ import annotations

import pytest
import zstandard
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive.blob_unpacking import BlobUnpacking

_PLAIN, _COMPRESSED = "a" * 64 + ".dcm", "a" * 64 + ".dcm.zst"
_DATA = b"words, words and words; " * 9000


def unpacked(key: str, kept: bytes, step: int) -> bytes:
    unpacking = BlobUnpacking(key)
    data = b"".join(
        original
        for start in range(0, len(kept), step)
        for original in unpacking.feed(kept[start : start + step])
    )
    unpacking.finish()
    return data


@pytest.mark.parametrize("step", [1, 7, 1 << 20])
def test_any_split_gives_the_original(step: int) -> None:
    assert unpacked(_PLAIN, _DATA[:5000], step) == _DATA[:5000]
    assert unpacked(_COMPRESSED, zstandard.compress(_DATA), step) == _DATA


def test_few_bytes_that_stand_for_many_come_a_piece_at_a_time() -> None:
    size_bytes = 512 << 20
    compressor = zstandard.ZstdCompressor().compressobj()
    kept = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(512)) + compressor.flush()
    assert len(kept) < 100_000
    unpacking, most, total = BlobUnpacking(_COMPRESSED), 0, 0
    for piece in unpacking.feed(kept):
        most, total = max(most, len(piece)), total + len(piece)
    unpacking.finish()
    assert total == size_bytes
    assert most <= 32 << 20


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda kept: kept[:-10], "cut short"),
        (lambda kept: kept + b"more", "behind its end"),
        (lambda kept: b"\0" * 20 + kept[20:], "does not decompress"),
        (lambda _: b"", "cut short"),
    ],
)
def test_what_is_no_whole_frame_is_refused(spoil, said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        unpacked(_COMPRESSED, spoil(zstandard.compress(_DATA)), 1 << 20)
