"""A prefix up to a cut point decodes to what the whole codestream decodes to there.

OpenJPEG decides: it shares no code with what makes most of these streams, or scans them.
"""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from codestreams import HT_FORMS, blank_bodies_from, ht_codestream, image, progressive
from crafted import variable_length
from mersey.codecs.codestream import prefix_length, scan_codestream
from mersey.codecs.errors import CodestreamError

EOC = b"\xff\xd9"


def decoded(data: bytes, reduce: int) -> np.ndarray:
    return np.asarray(imagecodecs.jpeg2k_decode(data, skipres=reduce))


def assert_cuts_are_true(data: bytes, *, empty: bytes = b"\0") -> None:
    """Nothing behind a cut is needed, and the byte before it is."""
    layout = scan_codestream(data)
    assert layout.cut_evidence == "packets", layout.why_no_cut_points
    points = layout.cut_points
    assert points is not None
    assert len(points) == layout.decompositions + 1
    assert list(points) == sorted(points, reverse=True)
    assert points[0] == layout.length_bytes
    for reduce in range(1, len(points)):
        blanked = blank_bodies_from(data, layout, points[reduce], empty)
        np.testing.assert_array_equal(decoded(blanked, reduce), decoded(data, reduce))
        at = prefix_length(layout, reduce)
        held = scan_codestream(data[:at], complete=False).complete_reduce
        less = scan_codestream(data[: at - 1], complete=False).complete_reduce
        assert held is not None
        assert held <= reduce
        assert less is None or less > reduce


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("form", HT_FORMS)
def test_htj2k_cuts_are_true(form: str, samples: int) -> None:
    assert_cuts_are_true(ht_codestream(image(201, 187, samples), **HT_FORMS[form]))


@pytest.mark.parametrize(
    "options",
    [
        {"level": 0, "reversible": True},
        {"level": 40},
        {"level": 0, "reversible": True, "codecformat": "jp2"},
    ],
    ids=str,
)
@pytest.mark.parametrize("samples", [1, 3])
def test_part_1_cuts_are_true(options: dict[str, Any], samples: int) -> None:
    pixels = (image(201, 187, samples) >> 4).astype("u1")
    data = imagecodecs.jpeg2k_encode(pixels, resolutions=5, **{"codecformat": "j2k", **options})
    assert_cuts_are_true(bytes(data))


@pytest.mark.skipif(shutil.which("opj_compress") is None, reason="needs opj_compress")
@pytest.mark.parametrize("order", ["RLCP", "RPCL"])
@pytest.mark.parametrize(
    "options",
    [
        "-r 40,20,5,1",
        "-r 20,10,1 -c [128,32],[64,128],[32,32]",
        "-r 30,8,1 -SOP -EPH -t 140,140 -M 1 -TP R",
        "-PLT -TLM -TP R",
        "-M 1 -r 30,20,10,3,1",
        "-M 5",
        "-M 36 -r 30,10,1",
        "-d 20,30 -T 10,5 -t 77,91",
        "-I -r 10 -b 4,256",
    ],
)
def test_layers_precincts_tiles_and_coding_modes_have_true_cuts(
    options: str, order: str, tmp_path: Path
) -> None:
    pixels = (image(301, 267, 3) >> 4).astype("u1")
    source, target = tmp_path / "image.ppm", tmp_path / "image.j2k"
    source.write_bytes(b"P6\n267 301\n255\n" + pixels.tobytes())
    command = ["opj_compress", "-i", source, "-o", target, "-p", order, "-n", "5"]
    subprocess.run([*command, *options.split()], check=True, capture_output=True)
    empty = b"\0\xff\x92" if "-EPH" in options else b"\0"
    assert_cuts_are_true(target.read_bytes(), empty=empty)


@pytest.mark.parametrize("size", [(1, 1), (2, 1), (1, 9), (3, 5), (33, 32)])
@pytest.mark.parametrize("order", ["RPCL", "RLCP", "LRCP"])
def test_images_smaller_than_their_decompositions_have_true_cuts(
    size: tuple[int, int], order: str
) -> None:
    pixels = image(*size).reshape(size)
    assert_cuts_are_true(ht_codestream(pixels, levels=5, order=order, at_resolutions=True))


@pytest.mark.parametrize("samples", [1, 3])
def test_a_prefix_of_our_own_form_decodes_as_it_is(samples: int) -> None:
    pixels = image(260, 300, samples)
    data = progressive(pixels)
    layout = scan_codestream(data)
    for reduce in range(1, layout.decompositions + 1):
        prefix = data[: prefix_length(layout, reduce)] + EOC
        np.testing.assert_array_equal(decoded(prefix, reduce), decoded(data, reduce))


@pytest.mark.parametrize("order", ["PCRL", "CPRL"])
def test_orders_that_are_not_by_resolution_have_no_cuts(order: str) -> None:
    data = ht_codestream(image(201, 187, 3), order=order, precinct=(64, 64))
    layout = scan_codestream(data)
    assert (layout.cut_points, layout.cut_evidence, layout.complete_reduce) == (None, None, 0)
    assert f"not in the order of their resolutions ({order}" in layout.why_no_cut_points


@pytest.mark.parametrize("order", ["PCRL", "CPRL"])
def test_one_precinct_of_one_component_is_in_order_whatever_the_progression(order: str) -> None:
    assert_cuts_are_true(ht_codestream(image(201, 187), order=order))


def test_tile_parts_that_split_elsewhere_give_no_false_cuts() -> None:
    """As many tile-parts as resolutions, but by component: the packets tell the truth."""
    pixels = image(128, 120, 3)
    by_component = ht_codestream(
        pixels, levels=2, order="CPRL", at_components=True, tlm=True, block=(32, 32)
    )
    layout = scan_codestream(by_component)
    assert len(layout.tile_parts) == layout.decompositions + 1
    assert layout.cut_points is None
    # The same under a progression byte that claims order: the packets deny it.
    claimed = bytearray(by_component)
    claimed[claimed.index(b"\xff\x52") + 5] = 2
    assert scan_codestream(claimed).cut_points is None
    prefix = claimed[: layout.tile_parts[1].offset_bytes]
    assert scan_codestream(prefix, complete=False).cut_points is None


def test_plt_is_used_where_it_is_right_and_ignored_where_it_lies() -> None:
    data = ht_codestream(image(128, 120), levels=3)
    plain = scan_codestream(data)
    assert plain.cut_points is not None
    start = plain.tile_parts[0].offset_bytes
    ends = [start + 14, *reversed(plain.cut_points[1:]), plain.cut_points[0] - 2]
    lengths = [b - a for a, b in pairwise(ends)]

    def with_plt(values: list[int]) -> bytes:
        listed = b"".join(variable_length(value) for value in values)
        segment = b"\xff\x58" + (3 + len(listed)).to_bytes(2) + b"\0" + listed
        psot = int.from_bytes(data[start + 6 : start + 10]) + len(segment)
        head = data[: start + 6] + psot.to_bytes(4) + data[start + 10 : start + 12]
        return head + segment + data[start + 12 :]

    grown = len(with_plt(lengths)) - len(data)
    right = scan_codestream(with_plt(lengths))
    assert right.cut_points == tuple(point + grown for point in plain.cut_points)
    # Its sum is wrong, so the headers are walked: the same cuts.
    lying = [lengths[0] + 1, *lengths[1:]]
    assert scan_codestream(with_plt(lying)).cut_points == right.cut_points
    # The body is garbage, but the list is right: it is believed, and needs no walk.
    garbage = bytearray(with_plt(lengths))
    garbage[start + grown + 14 : -2] = b"\xff" * (len(garbage) - 2 - (start + grown + 14))
    assert scan_codestream(garbage).cut_points == right.cut_points


def test_packet_headers_that_cannot_be_deny_the_cuts() -> None:
    data = bytearray(ht_codestream(image(128, 120, 3), levels=3))
    start = scan_codestream(data).tile_parts[0].offset_bytes
    data[start + 14 : start + 24] = b"\xff\x7f" * 5
    layout = scan_codestream(data)
    assert (layout.cut_points, layout.why_no_cut_points) == (None, "Lblock is more than 32")


def test_absent_packets_are_seen() -> None:
    """Psot is true and EOC is there, but the last resolution is not."""
    data = ht_codestream(image(128, 120, 3), levels=3)
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    start, cut = layout.tile_parts[0].offset_bytes, layout.cut_points[1]
    short = data[: start + 6] + (cut - start).to_bytes(4) + data[start + 10 : cut] + EOC
    found = scan_codestream(short)
    assert (found.cut_points, found.complete_reduce) == (None, 1)
    assert found.why_no_cut_points == "packets of resolution level 3 of tile 0 are absent"


def test_a_stream_cut_between_tile_parts_is_truncated_not_short() -> None:
    data = progressive(image(128, 120))
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    with pytest.raises(CodestreamError, match="after 4 of 6 tile-parts of tile 0"):
        scan_codestream(data[: layout.cut_points[2]])
