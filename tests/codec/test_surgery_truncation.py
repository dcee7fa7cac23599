"""Truncated codestreams: small enough, valid, and what comes first is kept."""

from __future__ import annotations

import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from codestreams import ht_codestream, image
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.codestream_report import packet_table, report_codestream
from mersey.codecs.errors import UsageError
from mersey.codecs.surgery import reorder, resolution_ranges, truncate_codestream
from reference_decoders import by_openjpeg, same
from surgery_contract import packets_by_place

LAYERS = 4
FORMS = {
    "LRCP": "-p LRCP",
    "RLCP, precincts": "-p RLCP -c [64,64],[32,32]",
    "RPCL, tiles": "-p RPCL -t 100,90",
    "LRCP, tiles": "-p LRCP -t 100,90",
    "PCRL, precincts, tiles": "-p PCRL -c [64,64] -t 128,128",
    "CPRL, SOP, EPH": "-p CPRL -SOP -EPH",
}


@pytest.fixture(scope="module", params=FORMS)
def layered(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    if shutil.which("opj_compress") is None:
        pytest.skip("needs opj_compress")
    folder: Path = tmp_path_factory.mktemp("layered")
    pixels = (image(201, 187, 3) >> 4).astype("u1")
    (folder / "image.ppm").write_bytes(b"P6\n187 201\n255\n" + pixels.tobytes())
    command = ["opj_compress", "-i", folder / "image.ppm", "-o", folder / "image.j2k"]
    options = ["-n", "4", "-r", "40,15,5,1", *FORMS[request.param].split(" ")]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return (folder / "image.j2k").read_bytes()


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_fewer_layers_decode_as_the_first_layers_do(
    layered: bytes, layers: int, tmp_path: Path
) -> None:
    made = truncate_codestream(layered, layers=layers)
    assert scan_codestream(made).layers == layers
    wanted = {at: one for at, one in packets_by_place(layered).items() if at[-1] < layers}
    assert packets_by_place(made) == wanted
    source, target = tmp_path / "in.j2k", tmp_path / "out.pgx"
    source.write_bytes(layered)
    command = ["opj_decompress", "-i", source, "-o", target, "-l", str(layers)]
    subprocess.run(command, check=True, capture_output=True)
    reference = b"".join(
        (tmp_path / f"out_{index}.pgx").read_bytes().partition(b"\n")[2] for index in range(3)
    )
    planes = by_openjpeg(made)
    assert planes is not None
    assert b"".join(plane.astype("u1").tobytes() for plane in planes) == reference


@pytest.mark.parametrize("share", [0.05, 0.1, 0.4, 0.8, 0.999])
def test_a_limit_is_kept_and_used(layered: bytes, share: float) -> None:
    limit = int(len(layered) * share)
    made = truncate_codestream(layered, max_bytes=limit)
    assert len(made) <= limit
    assert by_openjpeg(made) is not None
    originals, kept = packets_by_place(layered), packets_by_place(made)
    replaced = {at for at, one in kept.items() if one != originals[at]}
    assert all(kept[at] == b"\0" for at in replaced)
    cut = replaced | (originals.keys() - kept.keys())
    # Of a precinct, what is kept comes before what is not.
    for at in cut:
        assert all((*at[:-1], layer) in cut for layer in range(at[-1], LAYERS))
    if scan_codestream(layered).tiles == 1 and cut:
        # The next packet in the order of the stream would not have fitted.
        rows = packet_table(layered)[["tile", "component", "level", "precinct", "layer"]].tolist()
        following = next(row for row in rows if row in cut)
        another_layer = len(kept) if following[-1] == scan_codestream(made).layers else 0
        assert len(made) + another_layer + len(originals[following]) - 1 > limit


def test_limits_only_add_packets(layered: bytes) -> None:
    sizes = [
        len(truncate_codestream(layered, max_bytes=limit))
        for limit in range(len(layered) // 10, len(layered), len(layered) // 10)
    ]
    assert sizes == sorted(sizes)


def test_a_limit_that_is_no_limit_keeps_every_packet(layered: bytes) -> None:
    made = truncate_codestream(layered, max_bytes=1 << 70, layers=1 << 40)
    assert packets_by_place(made) == packets_by_place(layered)
    assert same(by_openjpeg(made), by_openjpeg(layered))
    assert truncate_codestream(layered, max_bytes=len(made)) == made
    assert len(truncate_codestream(layered, max_bytes=len(made) - 1)) < len(made)


def test_bytes_and_layers_are_both_limits(layered: bytes) -> None:
    made = truncate_codestream(layered, max_bytes=len(layered) // 2, layers=3)
    assert len(made) <= len(layered) // 2
    assert scan_codestream(made).layers <= 3


@pytest.mark.parametrize("order", ["LRCP", "RPCL"])
def test_a_truncated_htj2k_stream_loses_the_finest_resolution_first(order: str) -> None:
    data = ht_codestream(image(128, 120), levels=3, order=order)
    made = truncate_codestream(data, max_bytes=len(data) // 2)
    layout = scan_codestream(made)
    table = packet_table(made)
    assert table["body_length"][table["level"] == layout.decompositions].sum() == 0
    assert same(by_openjpeg(made, 1), by_openjpeg(data, 1))


def test_what_cannot_be_had_is_a_usage_error() -> None:
    data = ht_codestream(image(40, 36), levels=2)
    with pytest.raises(UsageError, match="the smallest valid codestream has"):
        truncate_codestream(data, max_bytes=30)
    for limits in ({}, {"max_bytes": 0}, {"layers": 0}, {"max_bytes": 9, "layers": -1}):
        with pytest.raises(UsageError):
            truncate_codestream(data, **limits)
    with pytest.raises(UsageError, match="the smallest valid codestream has") as caught:
        truncate_codestream(data, max_bytes=1)
    smallest = int(str(caught.value).split()[5])
    assert len(truncate_codestream(data, max_bytes=smallest)) == smallest
    with pytest.raises(UsageError, match=f"has {smallest} bytes"):
        truncate_codestream(data, max_bytes=smallest - 1)


def test_ranges_hold_the_packets_of_a_resolution_and_no_more(layered: bytes) -> None:
    report = report_codestream(layered)
    for reduce in range(report.layout.decompositions + 1):
        ranges = resolution_ranges(layered, reduce=reduce)
        assert all(a + n < b for (a, n), (b, _) in pairwise(ranges))
        wanted = (
            report.header_bytes
            - 2
            + sum(one.total_bytes for one in report.resolutions if one.reduce >= reduce)
        )
        assert sum(length for _, length in ranges) == wanted


def test_ranges_by_resolution_are_a_prefix() -> None:
    data = reorder(ht_codestream(image(128, 120, 3), order="CPRL"), progression="RPCL")
    layout = scan_codestream(data)
    assert layout.cut_points is not None
    for reduce in range(1, layout.decompositions + 1):
        first, *rest = resolution_ranges(data, reduce=reduce)
        assert first == (0, layout.cut_points[reduce] + 14)
        assert all(length == 14 for _, length in rest)  # SOT and SOD of the other tile-parts


def test_a_reduction_that_is_not_there_is_a_usage_error() -> None:
    data = ht_codestream(image(40, 36), levels=2)
    for reduce in (-1, 3, 33, 1 << 20):
        with pytest.raises(UsageError, match="reduce is"):
            resolution_ranges(data, reduce=reduce)
