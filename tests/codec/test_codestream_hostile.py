"""Codestreams that are cut, bent or made to hurt: scanned, or refused with marker and place."""

from __future__ import annotations

import struct

import pytest
from codestreams import ht_codestream, image, progressive, segments
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.errors import CodestreamError

SOC, EOC = b"\xff\x4f", b"\xff\xd9"
QCD = bytes.fromhex("ff5c 0004 4000")
SOT_LENGTH = 12


def siz(
    *,
    size: tuple[int, int] = (64, 48),
    origin: tuple[int, int] = (0, 0),
    tile: tuple[int, int] = (64, 48),
    tile_origin: tuple[int, int] = (0, 0),
    components: bytes = bytes([11, 1, 1]),
    count: int | None = None,
) -> bytes:
    count = len(components) // 3 if count is None else count
    fields = struct.pack(">H8IH", 0, *size, *origin, *tile, *tile_origin, count)
    return segment(0xFF51, fields + components)


def cod(
    *,
    order: int = 2,
    layers: int = 1,
    levels: int = 2,
    block: tuple[int, int] = (4, 4),
    style: int = 0x40,
    scod: int = 0,
    precincts: bytes = b"",
) -> bytes:
    fields = struct.pack(">BBHBBBBBB", scod, order, layers, 0, levels, *block, style, 1)
    return segment(0xFF52, fields + precincts)


def segment(marker: int, payload: bytes, length: int | None = None) -> bytes:
    length = len(payload) + 2 if length is None else length
    return struct.pack(">HH", marker, length) + payload


def sot(
    body: bytes, *, tile: int = 0, part: int = 0, parts: int = 1, psot: int | None = None
) -> bytes:
    psot = SOT_LENGTH + 2 + len(body) if psot is None else psot
    return segment(0xFF90, struct.pack(">HIBB", tile, psot, part, parts)) + b"\xff\x93" + body


def stream(*, head: bytes | None = None, body: bytes = b"\0\0\0", more: bytes = b"") -> bytes:
    """A codestream of three empty packets, or what is made of it."""
    head = siz() + cod() + QCD if head is None else head
    return SOC + head + more + sot(body) + EOC


def refused(data: bytes, *, complete: bool = True) -> CodestreamError:
    with pytest.raises(CodestreamError) as caught:
        scan_codestream(data, complete=complete)
    error = caught.value
    assert error.offset_bytes is not None
    assert 0 <= error.offset_bytes <= len(data)
    return error


def test_the_smallest_stream_is_fine() -> None:
    layout = scan_codestream(stream())
    length = len(stream())
    assert layout.cut_points == (length, length - 3, length - 4)
    assert layout.cut_evidence == "packets"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": (0, 48)}, "the image area is empty"),
        ({"origin": (64, 0)}, "the image area is empty"),
        ({"tile": (0, 48)}, "does not meet the image area"),
        ({"origin": (9, 9), "tile": (8, 48)}, "does not meet the image area"),
        ({"tile_origin": (1, 0)}, "does not meet the image area"),
        ({"size": (2**32 - 1, 2**32 - 1), "tile": (1, 1)}, "expected 65535 at most"),
        ({"size": (65536, 1), "tile": (1, 1)}, "65536 x 1 tiles"),
        ({"components": b""}, "Csiz is 0"),
        ({"count": 2}, "Lsiz is 41, expected 44"),
        ({"count": 16385}, "Csiz is 16385"),
        ({"components": bytes([11, 0, 1])}, "a sub-sampling of 0 x 1"),
        ({"components": bytes([38, 1, 1])}, "component 0 has 39 bits"),
    ],
)
def test_a_siz_that_cannot_be_is_refused(change: dict, says: str) -> None:
    error = refused(stream(head=siz(**change) + cod() + QCD))
    assert error.marker == 0xFF51
    assert says in str(error)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": 33}, "33 decomposition levels"),
        ({"levels": 129}, "129 decomposition levels"),
        ({"order": 5}, "progression order 5"),
        ({"layers": 0}, "0 layers"),
        ({"block": (9, 0)}, "code-block exponents"),
        ({"block": (5, 4)}, "code-block exponents"),
        ({"scod": 1, "precincts": b"\xff\xff"}, "needs 1 bytes"),
        ({"scod": 1, "precincts": b"\x00\x55\x50"}, "a precinct of exponent 0"),
    ],
)
def test_a_cod_that_cannot_be_is_refused(change: dict, says: str) -> None:
    error = refused(stream(head=siz() + cod(**change) + QCD))
    assert error.marker == 0xFF52
    assert says in str(error)


@pytest.mark.parametrize(
    ("data", "marker", "says"),
    [
        (b"", None, "neither SOC"),
        (b"\xff", None, "neither SOC"),
        (SOC, None, "needs 2 bytes"),
        (SOC + cod() + siz() + QCD, None, "expected SIZ"),
        (stream(head=siz() + QCD), 0xFF90, "without COD"),
        (stream(head=siz() + cod()), 0xFF90, "without QCD"),
        (stream(more=siz()), 0xFF51, "a second SIZ"),
        (stream(more=b"\x12\x34"), None, "found 1234"),
        (stream(more=b"\xff\x93"), 0xFF93, "not allowed in the main header"),
        (stream(more=segment(0xFF64, b"", 1)), 0xFF64, "its length is 1"),
        (stream(more=segment(0xFF64, b"", 65535)), 0xFF64, "bytes are left"),
        (stream(more=segment(0xFF55, b"\0")), 0xFF55, "needs 1 bytes"),
        (stream(more=segment(0xFF55, b"\0\x30")), 0xFF55, "3 bytes"),
        (stream(more=segment(0xFF55, b"\0\x40\0\0\0")), 0xFF55, "a multiple of 4"),
        (stream(more=segment(0xFF55, b"\0\x40") * 2), 0xFF55, "a second segment has Ztlm 0"),
        (stream(more=segment(0xFF53, b"\1" + bytes(6))), 0xFF53, "component 1 of 1"),
        (SOC + siz() + cod() + QCD + sot(b"", tile=1) + EOC, 0xFF90, "tile 1 of 1"),
        (SOC + siz() + cod() + QCD + sot(b"", part=1) + EOC, 0xFF90, "expected 0"),
        (SOC + siz() + cod() + QCD + sot(b"", psot=13) + EOC, 0xFF90, "Psot is 13"),
        (SOC + siz() + cod() + QCD + sot(b"", psot=2**32 - 1) + EOC, 0xFF90, "4294967295"),
        (SOC + siz() + cod() + QCD + sot(b"\0\0\0", psot=16) + EOC, None, "found 00FF"),
        (SOC + siz() + cod() + QCD + sot(b"", parts=2), 0xFFD9, "after 1 of 2 tile-parts"),
        (SOC + siz() + cod() + QCD + EOC, 0xFFD9, "not allowed in the main header"),
    ],
)
def test_broken_rules_are_refused_by_name(data: bytes, marker: int | None, says: str) -> None:
    error = refused(data)
    assert error.marker == marker
    assert says in str(error)


def test_a_bad_marker_in_a_tile_part_header_is_refused() -> None:
    part = segment(0xFF90, struct.pack(">HIBB", 0, 18, 0, 1)) + b"\x12\x34" + b"\xff\x93\0\0"
    assert "in a tile-part header" in str(refused(SOC + siz() + cod() + QCD + part + EOC))


def test_a_tile_part_header_cannot_reach_into_the_next_tile_part() -> None:
    inside = segment(0xFF64, b"x" * 40)
    part = segment(0xFF90, struct.pack(">HIBB", 0, 20, 0, 1)) + inside + b"\xff\x93"
    assert refused(SOC + siz() + cod() + QCD + part + EOC).marker == 0xFF64


@pytest.mark.parametrize(
    ("boxes", "says"),
    [
        (b"", "no contiguous codestream box"),
        (struct.pack(">I4s", 7, b"jp2h"), "a box length of 7"),
        (struct.pack(">I4sQ", 1, b"jp2h", 15), "a box length of 15"),
        (struct.pack(">I4sQ", 1, b"jp2h", 2**64 - 1), "no contiguous codestream box"),
        (struct.pack(">I4s", 0, b"jp2h"), "no contiguous codestream box"),
        (struct.pack(">I4s", 8, b"free") * 2000, "no contiguous codestream box"),
    ],
)
def test_boxes_that_lead_nowhere_are_refused(boxes: bytes, says: str) -> None:
    signature = bytes.fromhex("0000000c 6a502020 0d0a870a")
    assert says in str(refused(signature + boxes))


def test_a_wrapped_codestream_is_found_behind_any_boxes() -> None:
    signature = bytes.fromhex("0000000c 6a502020 0d0a870a")
    for box in (struct.pack(">I4s", 0, b"jp2c"), struct.pack(">I4sQ", 1, b"jp2c", 999)):
        data = signature + struct.pack(">I4s", 9, b"free") + b"x" + box + stream()
        layout = scan_codestream(data)
        assert data[layout.jp2_offset :] == stream()


def test_every_truncation_of_a_whole_stream_is_refused_and_every_prefix_is_told() -> None:
    data = progressive(image(40, 36), levels=2)
    header = scan_codestream(data).main_header_bytes
    for length in range(len(data) - 2):  # without EOC it is still whole
        refused(data[:length])
        if length < header + 2:
            refused(data[:length], complete=False)
        else:
            assert scan_codestream(data[:length], complete=False).cut_points is not None


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"\xe7\0\0", "the packet at byte {} runs past its tile-part"),  # 7 bytes for one block
        (b"\xff", "the packet header at byte {} runs past its tile-part"),  # a stuffed bit is due
        (b"\0\0\0\0", "bytes follow the last packet of a tile"),
        (b"\0\0", "packets of resolution level 2 of tile 0 are absent"),
    ],
)
def test_packets_that_do_not_fill_their_tile_part_give_no_cuts(body: bytes, says: str) -> None:
    data = stream(body=body)
    layout = scan_codestream(data)
    assert layout.cut_points is None
    assert layout.why_no_cut_points == says.format(data.index(b"\xff\x93") + 2)


def test_unknown_segments_are_skipped_and_bare_markers_too() -> None:
    odd = segment(0xFF6F, b"anything") + b"\xff\x30\xff\x3f" + segment(0xFF50, bytes(6))
    assert scan_codestream(stream(more=odd)).cut_evidence == "packets"


def test_a_huge_image_of_few_bytes_costs_nothing() -> None:
    """Precincts and code-blocks beyond what the bytes can hold are not enumerated."""
    tiny_precincts = cod(scod=1, levels=5, block=(0, 0), precincts=b"\x11" * 6)
    side = 2**32 - 1
    for style in (
        tiny_precincts,
        cod(levels=5, block=(0, 0)),
        cod(levels=32, layers=65535, block=(0, 0), style=0),
    ):
        head = siz(size=(side, side), tile=(side, side)) + style + QCD
        for body in (bytes(50), b"\xff\x7f" * 50, b"\xc0" * 50):
            layout = scan_codestream(stream(head=head, body=body))
            assert layout.cut_points is None
            assert layout.why_no_cut_points


def test_many_components_of_many_tiles_cost_no_more_than_their_bytes() -> None:
    components = bytes([7, 1, 1]) * 16384
    head = siz(size=(4000, 1), tile=(1, 1), components=components) + cod(levels=32) + QCD
    parts = b"".join(sot(b"\0", tile=tile) for tile in range(4000))
    layout = scan_codestream(SOC + head + parts + EOC)
    assert layout.cut_points is None
    assert "than its bytes can describe" in layout.why_no_cut_points


SEEDS = (
    progressive(image(40, 36), levels=3),
    progressive(image(33, 30, 3), levels=2),
    ht_codestream(image(50, 40, 3), levels=3, tile=(32, 32), at_resolutions=True, tlm=True),
    ht_codestream(image(50, 40), levels=3, order="RLCP", precinct=(16, 16), block=(4, 4)),
)


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_streams_are_scanned_or_refused(data: st.DataObject) -> None:
    stream_bytes = bytearray(data.draw(st.sampled_from(SEEDS)))
    headers = next(at for marker, at, _ in segments(stream_bytes, 0) if marker == 0xFF90) + 60
    place = st.one_of(st.integers(0, headers), st.integers(0, len(stream_bytes) - 1))
    edits = data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=6))
    for at, value in edits:
        stream_bytes[at] = value
    end = data.draw(st.one_of(st.none(), st.integers(0, len(stream_bytes))))
    for complete in (True, False):
        check(bytes(stream_bytes[:end]), complete=complete)


@pytest.mark.long
@settings(max_examples=20_000, deadline=None)
@given(st.sampled_from(SEEDS), st.randoms(use_true_random=False))
def test_streams_mutated_at_length_are_scanned_or_refused(seed: bytes, random) -> None:
    stream_bytes = bytearray(seed)
    for _ in range(random.randrange(1, 30)):
        stream_bytes[random.randrange(len(stream_bytes))] = random.randrange(256)
    check(bytes(stream_bytes), complete=random.random() < 0.5)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_noise_behind_a_main_header_is_scanned_or_refused(noise: bytes, complete: bool) -> None:
    check(SOC + siz() + cod() + QCD + noise, complete=complete)
    check(stream(body=noise), complete=complete)
    check(SOC + noise, complete=complete)


def refusal(data: bytes, *, complete: bool) -> CodestreamError | None:
    try:
        scan_codestream(data, complete=complete)
    except CodestreamError as error:
        return error
    return None


def check(data: bytes, *, complete: bool) -> None:
    if error := refusal(data, complete=complete):
        assert error.offset_bytes is not None
        assert 0 <= error.offset_bytes <= len(data)
        return
    layout = scan_codestream(data, complete=complete)
    assert 1 <= layout.width < 2**32
    assert 0 <= layout.decompositions <= 32
    points = layout.cut_points
    assert (points is None) == (layout.cut_evidence is None) == bool(layout.why_no_cut_points)
    if points is not None:
        assert len(points) == layout.decompositions + 1
        assert list(points) == sorted(points, reverse=True)
    if complete:
        assert layout.length_bytes is not None
        assert layout.length_bytes <= len(data)
        assert points is None or points[0] == layout.length_bytes
