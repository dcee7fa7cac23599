"""Which bytes of a parcel are asked for at once: small items whole, large ones in slices.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..transfer.manifest import Manifest
from ..transfer.ranges import ByteRange

__all__ = ["CHUNK_BYTES", "plan_chunks"]

CHUNK_BYTES = 8 << 20
"""What travels twice where a connection breaks or a process dies, at most."""


def plan_chunks(
    manifest: Manifest,
    missing: Iterable[ByteRange],
    *,
    chunk_bytes: int = CHUNK_BYTES,
    alone_bytes: int | None = None,
) -> Iterator[ByteRange]:
    """Cut `missing` into chunks, in order: at the ends of items, as far as those are close enough.

    An item of `alone_bytes` or more shares a chunk with no other.

    An item longer than a chunk is cut at multiples of `chunk_bytes` from its beginning, so that
    the same item is always cut at the same places.
    """
    ends = iter(manifest.items)
    item = next(ends, None)
    for gap in missing:
        start = gap.start
        while start < gap.stop:
            stop = start
            while item is not None and stop < gap.stop:
                if item.end_bytes <= stop:
                    item = next(ends, None)
                    continue
                upto = min(item.end_bytes, gap.stop)
                is_alone = alone_bytes is not None and item.length_bytes >= alone_bytes
                if upto - start <= chunk_bytes and (stop == start or not is_alone):
                    stop = upto
                    if is_alone:
                        break
                    continue
                if stop == start:
                    cut = (start - item.offset_bytes) // chunk_bytes + 1
                    stop = min(item.offset_bytes + cut * chunk_bytes, upto)
                break
            if item is None:
                return
            yield ByteRange(start, stop)
            start = stop
