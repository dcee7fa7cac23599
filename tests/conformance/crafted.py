"""Codestreams that no encoder at hand makes, put together from one that it does.

Each takes a bare codestream of one tile in one tile-part without SOP and EPH, and decodes to the
same samples.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from codestreams import segments
from mersey.codecs.codestream_report import packet_table

__all__ = [
    "PPM",
    "PPT",
    "Pieces",
    "joined",
    "take_apart",
    "variable_length",
    "with_packed_headers",
    "with_plm",
    "with_poc",
]

SOT, SOD, EOC = 0xFF90, b"\xff\x93", b"\xff\xd9"
TLM, PLM, POC, PPM, PPT = 0xFF55, 0xFF57, 0xFF5F, 0xFF60, 0xFF61


@dataclass(frozen=True, slots=True)
class Pieces:
    """Main header without TLM; (component, level, layer, header, body) of each packet, in order."""

    main: bytes
    packets: tuple[tuple[int, int, int, bytes, bytes], ...]


def take_apart(data: bytes) -> Pieces:
    *headers, _ = segments(data)
    main = b"".join(data[at : at + length] for code, at, length in headers if code != TLM)
    packets = []
    for row in packet_table(data):
        head, body = int(row["header_offset"]), int(row["body_offset"])
        assert row["flags"] == 0
        packets.append(
            (
                int(row["component"]),
                int(row["level"]),
                int(row["layer"]),
                data[head : head + int(row["header_length"])],
                data[body : body + int(row["body_length"])],
            )
        )
    return Pieces(main, tuple(packets))


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">HH", marker, len(payload) + 2) + payload


def joined(main: bytes, parts: list[tuple[bytes, bytes]]) -> bytes:
    """A codestream of tile 0 in these tile-parts, each a header and a body."""
    out = main
    for index, (header, body) in enumerate(parts):
        length = 14 + len(header) + len(body)
        out += segment(SOT, struct.pack(">HIBB", 0, length, index, len(parts)))
        out += header + SOD + body
    return out + EOC


def with_packed_headers(data: bytes, marker: int, *, size: int, parts: int, eph: bool) -> bytes:
    """Headers in PPM or PPT segments of `size` bytes, which cut them anywhere."""
    pieces = take_apart(data)
    ending = b"\xff\x92" if eph else b""
    count = len(pieces.packets)
    groups = [pieces.packets[count * i // parts : count * (i + 1) // parts] for i in range(parts)]
    headers = [b"".join(packet[3] + ending for packet in group) for group in groups]
    bodies = [b"".join(packet[4] for packet in group) for group in groups]
    main = bytearray(pieces.main)
    if eph:
        main[main.index(b"\xff\x52") + 4] |= 4
    if marker == PPT:
        made, taken = [], 0
        for head, body in zip(headers, bodies, strict=True):
            made.append((_cut(PPT, head, size, first=taken), body))
            taken += -(-len(head) // size)
        return joined(bytes(main), made)
    packed = b"".join(struct.pack(">I", len(head)) + head for head in headers)
    return joined(bytes(main) + _cut(PPM, packed, size), [(b"", body) for body in bodies])


def _cut(marker: int, content: bytes, size: int, *, first: int = 0) -> bytes:
    runs = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(
        segment(marker, bytes([index]) + run) for index, run in enumerate(runs, start=first)
    )


def with_poc(
    data: bytes, volumes: list[tuple[int, int, int, int, int, int]], *, late: int
) -> bytes:
    """In the order of these (RS, CS, LYE, RE, CE, P), of which P is 0 (LRCP) or 1 (RLCP).

    The last `late` of them stand in the header of a second tile-part. One precinct a level.
    """
    pieces = take_apart(data)
    left = {packet[:3]: packet[3] + packet[4] for packet in pieces.packets}
    bodies = [b""]
    for index, volume in enumerate(volumes):
        if late and index == len(volumes) - late:
            bodies.append(b"")
        for place in _volume(*volume):
            bodies[-1] += left.pop(place, b"")
    assert not left
    listed = [struct.pack(">BBHBBB", *volume) for volume in volumes]
    early = segment(POC, b"".join(listed[: len(listed) - late]))
    later = [segment(POC, b"".join(listed[len(listed) - late :]))] if late else []
    return joined(pieces.main, list(zip([early, *later], bodies, strict=True)))


def _volume(rs: int, cs: int, lye: int, re: int, ce: int, order: int) -> list[tuple[int, int, int]]:
    if order == 0:
        return [(c, r, n) for n in range(lye) for r in range(rs, re) for c in range(cs, ce)]
    return [(c, r, n) for r in range(rs, re) for n in range(lye) for c in range(cs, ce)]


def with_plm(data: bytes) -> bytes:
    """The lengths of the packets, in the main header."""
    pieces = take_apart(data)
    packets = [packet[3] + packet[4] for packet in pieces.packets]
    listed = b"".join(variable_length(len(packet)) for packet in packets)
    assert len(listed) < 256
    main = pieces.main + segment(PLM, bytes([0, len(listed)]) + listed)
    return joined(main, [(b"", b"".join(packets))])


def variable_length(value: int) -> bytes:
    digits = [value & 0x7F]
    while value := value >> 7:
        digits.append(0x80 | (value & 0x7F))
    return bytes(reversed(digits))
