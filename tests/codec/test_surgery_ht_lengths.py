"""Lengths in packet headers of single code-blocks, layer by layer (15444-1 B.10, 15444-15 B).

The headers are written here bit by bit: no encoder at hand writes HT code-blocks in several
layers, or of both coders side by side.
"""

from __future__ import annotations

import struct

import pytest
from mersey.codecs.codestream_report import packet_table
from mersey.codecs.errors import CodestreamError, UnsupportedError

HT, MIXED, TERMINATE, BYPASS = 0x40, 0xC0, 0x04, 0x01
PASSES = {1: "0", 2: "10", 3: "1100", 4: "1101", 5: "1110", 6: "111100000", 7: "111100001"}


def stuffed(bits: str) -> bytes:
    """Bytes of these bits; one after FF holds 7 (B.10.1)."""
    out = bytearray()
    while bits:
        width = 7 if out and out[-1] == 0xFF else 8
        out.append(int(bits[:width].ljust(width, "0"), 2))
        bits = bits[width:]
    return bytes(out) + (b"\0" if out[-1] == 0xFF else b"")


def packet(layer: int, passes: int, more_lblock: int, lengths: list[tuple[int, int]]) -> bytes:
    """One code-block, included first in layer 0 with no zero bit-planes; (value, bits) each."""
    included = "1" + ("11" if layer == 0 else "1")
    counts = PASSES[passes] + "1" * more_lblock + "0"
    sizes = "".join(f"{value:0{bits}b}" for value, bits in lengths)
    return stuffed(included + counts + sizes) + b"\xaa" * sum(value for value, _ in lengths)


def codestream(style: int, packets: list[bytes]) -> bytes:
    """64 x 64, one component, no decomposition, one code-block, a layer a packet."""
    siz = struct.pack(">H8IHBBB", 0, 64, 64, 0, 0, 64, 64, 0, 0, 1, 7, 1, 1)
    cod = struct.pack(">BBHBBBBBB", 0, 0, len(packets), 0, 0, 4, 4, style, 1)
    head = b"\xff\x4f" + b"".join(
        struct.pack(">HH", code, len(payload) + 2) + payload
        for code, payload in ((0xFF51, siz), (0xFF52, cod), (0xFF5C, b"\x40\x40"))
    )
    body = b"".join(packets)
    sot = struct.pack(">HHHIBB", 0xFF90, 10, 0, 14 + len(body), 0, 1)
    return head + sot + b"\xff\x93" + body + b"\xff\xd9"


# Style, then for each layer: passes, bits added to Lblock (3 at first), lengths with their bits.
FORMS: dict[str, tuple[int, list[tuple[int, int, list[tuple[int, int]]]]]] = {
    "HT, a cleanup": (HT, [(1, 0, [(7, 3)])]),
    "HT, all three passes": (HT, [(3, 1, [(9, 4), (5, 5)])]),
    "HT, cleanup and propagation": (HT, [(2, 1, [(9, 4), (5, 4)])]),
    "HT, a pass a layer": (HT, [(1, 0, [(7, 3)]), (1, 0, [(2, 3)]), (1, 0, [(3, 3)])]),
    "HT, refinements in a later layer": (HT, [(1, 0, [(7, 3)]), (2, 0, [(6, 4)])]),
    "HT, a second set": (HT, [(3, 0, [(7, 3), (4, 4)]), (3, 0, [(5, 3), (9, 4)])]),
    "HT, sets across layers": (HT, [(2, 0, [(7, 3), (4, 3)]), (3, 0, [(1, 3), (6, 3), (3, 3)])]),
    "HT, placeholders before the cleanup": (HT, [(4, 0, [(7, 5)])]),
    "HT, a layer of placeholders": (HT, [(3, 0, [(0, 3), (0, 1)]), (3, 0, [(6, 3), (9, 4)])]),
    "HT, placeholders, then in mid set": (HT, [(2, 0, [(0, 4)]), (2, 0, [(6, 4)])]),
    "HT, cleanup with modes": (HT | TERMINATE | BYPASS, [(3, 1, [(9, 4), (5, 5)])]),
    "Part 1 in layers": (0, [(4, 0, [(20, 5)]), (7, 0, [(31, 5)])]),
    "Part 1, terminated": (TERMINATE, [(3, 0, [(7, 3), (2, 3), (1, 3)]), (1, 0, [(4, 3)])]),
    "Part 1, bypass": (BYPASS, [(7, 0, [(9, 5)]), (7, 0, [(5, 4), (3, 4), (4, 3), (6, 3)])]),
    "mixed, HT": (MIXED, [(1, 2, [(9, 5)]), (2, 0, [(30, 6)])]),
    "mixed, Part 1 by its length": (MIXED, [(1, 0, [(7, 3)]), (5, 0, [(17, 5)])]),
    "mixed, Part 1 by its top bit": (MIXED, [(5, 2, [(0b1100001, 7)])]),
    "mixed, Part 1 behind placeholders": (MIXED, [(3, 0, [(0, 3), (0, 1)]), (2, 0, [(3, 4)])]),
}


@pytest.mark.parametrize("form", FORMS)
def test_lengths_add_up_to_the_bodies(form: str) -> None:
    style, layers = FORMS[form]
    packets = [packet(index, *layer) for index, layer in enumerate(layers)]
    table = packet_table(codestream(style, packets))
    bodies = [sum(value for value, _ in lengths) for _, _, lengths in layers]
    assert table["body_length"].tolist() == bodies
    heads = [len(one) - body for one, body in zip(packets, bodies, strict=True)]
    assert table["header_length"].tolist() == heads


def test_an_ht_cleanup_of_one_byte_is_refused() -> None:
    with pytest.raises(CodestreamError, match="less than 2 bytes"):
        packet_table(codestream(HT, [packet(0, 1, 0, [(1, 3)])]))


def test_placeholders_with_a_length_are_refused() -> None:
    with pytest.raises(CodestreamError, match="placeholder"):
        packet_table(codestream(HT, [packet(0, 2, 0, [(0, 4)]), packet(1, 1, 0, [(3, 3)])]))


def test_modes_of_mixed_part_1_blocks_are_named_as_not_supported() -> None:
    with pytest.raises(UnsupportedError) as caught:
        packet_table(codestream(MIXED | BYPASS, [packet(0, 1, 0, [(7, 3)])]))
    assert caught.value.feature == "bypass or termination in mixed HT and Part 1 code-blocks"
