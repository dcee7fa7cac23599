"""JPEG codestreams written and read without any JPEG library, as plainly as the standard says.

`lossless_jpeg` writes process 14 with everything that real encoders leave out: every predictor,
a point transform, restart intervals, a scan for each component. `decode_dct` reads sequential
Huffman-coded DCT images of 8 and 12 bits with floating-point arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["decode_dct", "lossless_jpeg", "segment"]

type _Array = np.ndarray[Any, np.dtype[Any]]

_CODE_BITS = 5
"""Every category, 0 to 16, has a code of 5 bits: its own number."""


def segment(code: int, body: bytes) -> bytes:
    """A marker segment: FFxx, length, parameters."""
    return bytes((0xFF, code)) + (len(body) + 2).to_bytes(2, "big") + body


def lossless_jpeg(
    samples: _Array,
    *,
    precision: int,
    predictor: int = 1,
    point_transform: int = 0,
    restart_rows: int = 0,
    identifiers: tuple[int, ...] | None = None,
    interleaved: bool = True,
    before_frame: bytes = b"",
) -> bytes:
    """Process 14 of unsigned samples (ISO/IEC 10918-1 Annex H)."""
    rows, columns = samples.shape[:2]
    planes = samples.reshape(rows, columns, -1).astype(np.int64) >> point_transform
    count = planes.shape[2]
    names = identifiers or tuple(range(1, count + 1))
    values, lengths = _codes(planes, precision - point_transform, predictor, restart_rows or rows)
    table = bytes([0, *([0] * (_CODE_BITS - 1)), 17, *([0] * (16 - _CODE_BITS)), *range(17)])
    frame = bytes((precision, *rows.to_bytes(2, "big"), *columns.to_bytes(2, "big"), count))
    parts = [
        b"\xff\xd8" + before_frame,
        segment(0xC3, frame + b"".join(bytes((name, 0x11, 0)) for name in names)),
        segment(0xC4, table),
    ]
    if restart_rows:
        parts.append(segment(0xDD, (restart_rows * columns).to_bytes(2, "big")))
    groups = [tuple(range(count))] if interleaved else [(index,) for index in range(count)]
    for group in groups:
        head = bytes((len(group), *(part for index in group for part in (names[index], 0))))
        parts.append(segment(0xDA, head + bytes((predictor, 0, point_transform))))
        for turn, first in enumerate(range(0, rows, restart_rows or rows)):
            if turn:
                parts.append(bytes((0xFF, 0xD0 + (turn - 1) % 8)))
            part = slice(first, first + (restart_rows or rows)), slice(None), list(group)
            parts.append(_packed(values[part], lengths[part]))
    return b"".join(parts) + b"\xff\xd9"


def _codes(planes: _Array, bits: int, predictor: int, interval: int) -> tuple[_Array, _Array]:
    """The code and its length of every sample."""
    left, above, corner = (np.zeros_like(planes) for _ in range(3))
    left[:, 1:], above[1:], corner[1:, 1:] = planes[:, :-1], planes[:-1], planes[:-1, :-1]
    predicted = {
        1: left,
        2: above,
        3: corner,
        4: left + above - corner,
        5: left + ((above - corner) >> 1),
        6: above + ((left - corner) >> 1),
        7: (left + above) >> 1,
    }[predictor].copy()
    starts = np.arange(planes.shape[0]) % interval == 0
    predicted[starts] = left[starts]
    predicted[~starts, 0] = above[~starts, 0]
    predicted[starts, 0] = 1 << (bits - 1)
    difference = (planes - predicted + (1 << 15)) % (1 << 16) - (1 << 15)
    difference[difference == -(1 << 15)] = 1 << 15
    category = np.zeros_like(planes)
    for power in range(16):
        category[np.abs(difference) >= 1 << power] = power + 1
    extra_bits = np.where(category == 16, 0, category)
    extra = np.where(difference > 0, difference, difference + (1 << category) - 1)
    code = (category << extra_bits) | np.where(category == 16, 0, extra)
    return code, extra_bits + _CODE_BITS


def _packed(code: _Array, length: _Array) -> bytes:
    code, length = code.reshape(-1, 1), length.reshape(-1, 1)
    shift = np.arange(_CODE_BITS + 15, -1, -1)
    bits = ((code >> shift) & 1)[shift < length].astype(np.uint8)
    filled = np.concatenate([bits, np.ones(-bits.size % 8, np.uint8)])
    return np.packbits(filled).tobytes().replace(b"\xff", b"\xff\0")


@dataclass(slots=True)
class _Component:
    horizontal: int
    vertical: int
    table: int
    plane: _Array
    dc: int = 0
    ac: int = 0
    last: int = 0


def decode_dct(data: bytes) -> list[_Array]:
    """The planes of a sequential Huffman-coded image with one scan, float64, clipped.

    Subsampled planes keep their own size: nothing is interpolated, no colour converted.
    """
    quantisers: dict[int, _Array] = {}
    tables: dict[int, dict[tuple[int, int], int]] = {}
    components: dict[int, _Component] = {}
    precision = rows = columns = interval = 0
    position = 2
    while True:
        code, length = data[position + 1], int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : position + 2 + length]
        position += 2 + length
        if code == 0xDB:
            _take_quantisers(body, quantisers)
        elif code == 0xC4:
            _take_tables(body, tables)
        elif code == 0xDD:
            interval = int.from_bytes(body, "big")
        elif code in (0xC0, 0xC1):
            precision, rows, columns = body[0], int.from_bytes(body[1:3]), int.from_bytes(body[3:5])
            for at in range(6, len(body), 3):
                sampling = body[at + 1]
                components[body[at]] = _Component(
                    sampling >> 4, sampling & 15, body[at + 2], np.empty(0)
                )
        elif code == 0xDA:
            for at in range(1, 1 + 2 * body[0], 2):
                row = components[body[at]]
                row.dc, row.ac = body[at + 1] >> 4, 16 | (body[at + 1] & 15)
            break
    rows_of_units, columns_of_units = _make_planes(components, rows, columns)
    units = [(y, x) for y in range(rows_of_units) for x in range(columns_of_units)]
    bits = _bits(data, position)
    for turn, (y, x) in enumerate(units):
        if interval and turn and turn % interval == 0:
            position = _after_restart(data, position)
            bits = _bits(data, position)
            for row in components.values():
                row.last = 0
        for row in components.values():
            for v in range(row.vertical):
                for h in range(row.horizontal):
                    block = _block(bits, row, tables, quantisers[row.table])
                    top, left = 8 * (y * row.vertical + v), 8 * (x * row.horizontal + h)
                    row.plane[top : top + 8, left : left + 8] = block
    most = max(row.vertical for row in components.values())
    widest = max(row.horizontal for row in components.values())
    return [
        np.clip(row.plane + 2.0 ** (precision - 1), 0, 2**precision - 1)[
            : -(-rows * row.vertical // most), : -(-columns * row.horizontal // widest)
        ]
        for row in components.values()
    ]


def _make_planes(components: dict[int, _Component], rows: int, columns: int) -> tuple[int, int]:
    if len(components) == 1:
        for row in components.values():
            row.horizontal = row.vertical = 1
    high = -(-rows // (8 * max(row.vertical for row in components.values())))
    wide = -(-columns // (8 * max(row.horizontal for row in components.values())))
    for row in components.values():
        row.plane = np.zeros((high * row.vertical * 8, wide * row.horizontal * 8))
    return high, wide


def _take_quantisers(body: bytes, quantisers: dict[int, _Array]) -> None:
    while body:
        wide = 2 if body[0] >> 4 else 1
        steps = np.frombuffer(body[1 : 1 + 64 * wide], f">u{wide}").astype(np.float64)
        quantisers[body[0] & 15] = steps
        body = body[1 + 64 * wide :]


def _take_tables(body: bytes, tables: dict[int, dict[tuple[int, int], int]]) -> None:
    while body:
        counts, symbols = body[1:17], iter(body[17:])
        table, code = {}, 0
        for length, count in enumerate(counts, 1):
            for _ in range(count):
                table[length, code] = next(symbols)
                code += 1
            code <<= 1
        tables[body[0]] = table
        body = body[17 + sum(counts) :]


def _after_restart(data: bytes, position: int) -> int:
    while not (data[position] == 0xFF and 0xD0 <= data[position + 1] <= 0xD7):
        position += 1
    return position + 2


def _bits(data: bytes, position: int) -> Iterator[int]:
    while True:
        octet = data[position]
        if octet == 0xFF and data[position + 1] != 0:
            return
        position += 2 if octet == 0xFF else 1
        for shift in range(7, -1, -1):
            yield octet >> shift & 1


def _symbol(bits: Iterator[int], table: dict[tuple[int, int], int]) -> int:
    code = 0
    for length in range(1, 17):
        code = code << 1 | next(bits)
        if (length, code) in table:
            return table[length, code]
    raise ValueError("no such code")


def _receive(bits: Iterator[int], size: int) -> int:
    value = 0
    for _ in range(size):
        value = value << 1 | next(bits)
    return value if size == 0 or value >> (size - 1) else value - (1 << size) + 1


def _block(
    bits: Iterator[int],
    row: _Component,
    tables: dict[int, dict[tuple[int, int], int]],
    quantiser: _Array,
) -> _Array:
    zigzag = np.zeros(64)
    row.last += _receive(bits, _symbol(bits, tables[row.dc]))
    zigzag[0] = row.last
    index = 1
    while index < 64:
        symbol = _symbol(bits, tables[row.ac])
        run, size = symbol >> 4, symbol & 15
        if size == 0 and run != 15:
            break
        index += run
        if size:
            zigzag[index] = _receive(bits, size)
        index += 1
    block = np.zeros(64)
    block[_ORDER] = zigzag * quantiser
    result: _Array = _BASIS.T @ block.reshape(8, 8) @ _BASIS
    return result


_ORDER = np.array(
    sorted(
        range(64),
        key=lambda at: (
            at // 8 + at % 8,
            at // 8 if (at // 8 + at % 8) % 2 else at % 8,
        ),
    )
)
_BASIS = np.array(
    [
        [
            math.cos((2 * x + 1) * u * math.pi / 16) / 2 * (math.sqrt(0.5) if u == 0 else 1)
            for x in range(8)
        ]
        for u in range(8)
    ]
)
