"""Codestreams made here, by OpenJPH and OpenJPEG, and ways to take them apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import imagecodecs
import numpy as np
from mersey.codecs.pixels import PixelArray
from ojph import ojph_bindings as ojph

__all__ = ["HT_FORMS", "blank_bodies_from", "ht_codestream", "image", "progressive", "segments"]

# Keyword arguments of `ht_codestream` whose packets come in the order of their resolutions.
HT_FORMS: dict[str, dict[str, Any]] = {
    "RPCL": {},
    "RPCL, tile-part per resolution, TLM": {"at_resolutions": True, "tlm": True},
    "RLCP": {"order": "RLCP"},
    "RLCP, tile-part per resolution and component": {
        "order": "RLCP",
        "at_resolutions": True,
        "at_components": True,
        "tlm": True,
    },
    "LRCP, one layer": {"order": "LRCP"},
    "RPCL, precincts": {"precinct": (32, 64)},
    "RLCP, precincts": {"order": "RLCP", "precinct": (64, 32)},
    "RPCL, tiles": {"tile": (100, 90), "tlm": True},
    "RPCL, tiles, tile-part per resolution": {"tile": (128, 128), "at_resolutions": True},
    "RLCP, small code-blocks": {"order": "RLCP", "block": (8, 16)},
    "RPCL, offset": {"offset": (13, 7)},
    "RPCL, lossy": {"reversible": False},
}


def image(rows: int, columns: int, samples: int = 1) -> PixelArray:
    """12-bit structure with noise; the same for the same size."""
    rng = np.random.default_rng(rows * columns + samples)
    y, x = np.mgrid[:rows, :columns]
    planes = [
        2000 + 900 * np.sin(x / 19 + c) + 700 * np.cos(y / 13) + rng.normal(0, 9, x.shape)
        for c in range(samples)
    ]
    return np.stack(planes, axis=-1).squeeze().clip(0, 4095).astype("u2")


def progressive(samples: PixelArray, *, levels: int = 5, **options: Any) -> bytes:
    """The project's own form: RPCL, TLM, a tile-part per resolution."""
    made = imagecodecs.htj2k_encode(
        samples,
        planar=False,
        rgb=samples.ndim == 3,
        resolutions=levels,
        bitspersample=12,
        **{"reversible": True, "tlm": True, "tilepart": 1, **options},
    )
    return bytes(made)


def ht_codestream(
    samples: PixelArray,
    *,
    levels: int = 4,
    order: str = "RPCL",
    reversible: bool = True,
    tile: tuple[int, int] | None = None,
    offset: tuple[int, int] = (0, 0),
    precinct: tuple[int, int] | None = None,
    block: tuple[int, int] = (64, 64),
    at_resolutions: bool = False,
    at_components: bool = False,
    tlm: bool = False,
) -> bytes:
    """An HTJ2K codestream by OpenJPH with every choice that its layout has."""
    rows, columns, *rest = samples.shape
    count = rest[0] if rest else 1
    stream = ojph.Codestream()
    siz = stream.access_siz()
    siz.set_image_offset(ojph.Point(*offset))
    siz.set_image_extent(ojph.Point(columns + offset[0], rows + offset[1]))
    if tile is not None:
        siz.set_tile_size(ojph.Size(*tile))
    siz.set_num_components(count)
    for component in range(count):
        siz.set_component(component, ojph.Point(1, 1), 12, False)
    cod = stream.access_cod()
    cod.set_num_decomposition(levels)
    cod.set_progression_order(order)
    cod.set_reversible(reversible)
    cod.set_color_transform(count == 3)
    cod.set_block_dims(*block)
    if precinct is not None:
        cod.set_precinct_size(1, ojph.Size(*precinct))
    if not reversible:
        stream.access_qcd().set_irrev_quant(0.001)
    stream.set_planar(False)
    stream.set_tilepart_divisions(at_resolutions, at_components)
    stream.request_tlm_marker(tlm)
    out = ojph.MemOutfile()
    out.open(1 << 16, False)
    stream.write_headers(out, None, 0)
    stream.push_all_components(samples, count, "HW" if count == 1 else "HWC")
    stream.flush()
    data = bytes(out.get_data())
    stream.close()
    return data


def segments(data: bytes, start: int = 0) -> Iterator[tuple[int, int, int]]:
    """(marker, offset, length) of the segments from `start` to SOD or SOT, that one included."""
    at = start
    while True:
        marker = int.from_bytes(data[at : at + 2])
        if marker in (0xFF4F, 0xFF93):
            yield marker, at, 2
            at += 2
            if marker == 0xFF93:
                return
            continue
        length = 2 + int.from_bytes(data[at + 2 : at + 4])
        yield marker, at, length
        if marker == 0xFF90 and at != start:
            return
        at += length


def blank_bodies_from(data: bytes, layout: Any, cut: int, empty: bytes = b"\0") -> bytes:
    """`data` with every packet after `cut` replaced by empty ones.

    A decoder that reads the result as it reads `data` needs nothing behind the cut, whatever
    it makes of truncated input. `empty` is an empty packet: with EPH, ``00 FF 92``.
    """
    out = bytearray(data)
    for part in layout.tile_parts:
        start = layout.jp2_offset + part.offset_bytes
        *_, (_, sod, _) = segments(data, start)
        body, end = max(sod + 2, layout.jp2_offset + cut), start + part.length_bytes
        if body < end:
            out[body:end] = (empty * (end - body))[: end - body]
    return bytes(out)
