"""Codestreams that are cut, bent or made to hurt: rewritten validly, or refused."""

from __future__ import annotations

from collections.abc import Callable

import imagecodecs
import pytest
from codestreams import ht_codestream, image, progressive
from hypothesis import given, settings
from hypothesis import strategies as st
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.codestream_report import marker_table, packet_table, report_codestream
from mersey.codecs.errors import CodestreamError, MerseyError, UnsupportedError, UsageError
from mersey.codecs.surgery import (
    reduce_codestream,
    reorder,
    resolution_ranges,
    to_progressive,
    truncate_codestream,
)

SEEDS = (
    progressive(image(40, 36), levels=3),
    ht_codestream(image(50, 40, 3), levels=3, tile=(32, 32), at_resolutions=True, tlm=True),
    ht_codestream(image(50, 40), levels=3, order="CPRL", precinct=(16, 16), block=(4, 4)),
    bytes(
        imagecodecs.jpeg2k_encode(
            (image(40, 36, 3) >> 4).astype("u1"), level=30, resolutions=3, codecformat="jp2"
        )
    ),
)

OPERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "progressive": to_progressive,
    "progressive, PLT": lambda data: to_progressive(data, plt=True),
    "reduced": lambda data: reduce_codestream(data, reduce=1),
    "truncated": lambda data: truncate_codestream(data, max_bytes=len(data) // 2 + 1),
    "one layer": lambda data: truncate_codestream(data, layers=1),
    "LRCP": lambda data: reorder(data, progression="LRCP"),
    "PCRL": lambda data: reorder(data, progression="PCRL"),
}


def check(data: bytes, operation: str) -> None:
    made = result(data, operation)
    if isinstance(made, CodestreamError):
        assert made.offset_bytes is not None
        assert 0 <= made.offset_bytes <= len(data)
    if isinstance(made, MerseyError):
        return
    try:
        packet_table(made)
    except UnsupportedError:
        return  # fewer bytes justify fewer code-blocks
    assert scan_codestream(made).has_tlm


def result(data: bytes, operation: str) -> bytes | MerseyError:
    try:
        return OPERATIONS[operation](data)
    except (CodestreamError, UnsupportedError, UsageError) as error:
        return error


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutated_streams_are_rewritten_or_refused(data: st.DataObject) -> None:
    bent = bytearray(data.draw(st.sampled_from(SEEDS)))
    place = st.one_of(st.integers(0, min(300, len(bent) - 1)), st.integers(0, len(bent) - 1))
    edits = data.draw(st.lists(st.tuples(place, st.integers(0, 255)), min_size=1, max_size=4))
    for at, value in edits:
        bent[at] = value
    check(bytes(bent), data.draw(st.sampled_from(sorted(OPERATIONS))))


@pytest.mark.long
@settings(max_examples=10_000, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.sampled_from(sorted(OPERATIONS)),
    st.randoms(use_true_random=False),
)
def test_streams_mutated_at_length_are_rewritten_or_refused(
    seed: bytes, operation: str, random
) -> None:
    bent = bytearray(seed)
    for _ in range(random.randrange(1, 12)):
        bent[random.randrange(len(bent))] = random.randrange(256)
    check(bytes(bent), operation)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_truncation_is_refused(operation: str) -> None:
    data = SEEDS[1]
    for length in range(0, len(data) - 2, 37):
        with pytest.raises(CodestreamError) as caught:
            OPERATIONS[operation](data[:length])
        assert caught.value.offset_bytes is not None


def test_an_absent_packet_is_refused_with_its_place() -> None:
    data = ht_codestream(image(128, 120, 3), levels=3)
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    start, cut = layout.tile_parts[0].offset_bytes, layout.cut_points[1]
    short = data[: start + 6] + (cut - start).to_bytes(4) + data[start + 10 : cut] + b"\xff\xd9"
    with pytest.raises(CodestreamError, match="tile 0 has 9 of its 12 packets") as caught:
        to_progressive(short)
    assert (caught.value.marker, caught.value.offset_bytes) == (0xFF93, cut)


def test_the_place_counts_the_wrapper() -> None:
    data = SEEDS[3]
    layout = scan_codestream(data)
    assert layout.jp2_offset > 0
    part = layout.tile_parts[-1]
    bent = bytearray(data)
    body = layout.jp2_offset + part.offset_bytes + 14
    bent[body : body + 9] = b"\xff\x7f" * 4 + b"\xff"
    with pytest.raises(CodestreamError) as caught:
        to_progressive(bent)
    assert caught.value.offset_bytes == body


def test_huge_images_of_few_bytes_cost_nothing() -> None:
    side = (2**32 - 1).to_bytes(4)
    data = bytearray(ht_codestream(image(16, 16), levels=2))
    data[8:16] = data[24:32] = side * 2  # Xsiz, Ysiz, XTsiz, YTsiz
    for operation in OPERATIONS:
        with pytest.raises(MerseyError):
            OPERATIONS[operation](bytes(data))


def test_more_layers_than_bytes_are_refused_at_once() -> None:
    data = bytearray(ht_codestream(image(64, 64), levels=2))
    layers = data.index(b"\xff\x52") + 6
    data[layers : layers + 2] = b"\xff\xff"
    with pytest.raises(CodestreamError, match="should have 196605 packets, more than"):
        to_progressive(data)


def test_wrong_arguments_are_usage_errors() -> None:
    data = SEEDS[0]
    for wrong in ("rpcl", "", "LRCPX"):
        with pytest.raises(UsageError, match="progression is"):
            reorder(data, progression=wrong)
    for reduce in (-1, 4, 33, 10**9):
        with pytest.raises(UsageError, match="reduce is"):
            reduce_codestream(data, reduce=reduce)
    offset = ht_codestream(image(1, 1).reshape(1, 1), levels=3, offset=(1, 1))
    with pytest.raises(UsageError, match="leaves no sample"):
        reduce_codestream(offset, reduce=1)


def test_tables_refuse_what_is_no_codestream() -> None:
    for table in (marker_table, packet_table, report_codestream):
        with pytest.raises(CodestreamError):
            table(b"\xff\x4f\xff")
    with pytest.raises(CodestreamError):
        resolution_ranges(b"", reduce=0)
