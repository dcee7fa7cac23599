"""Surgery on what encoders seldom write: packed packet headers, POC that overlaps, PLM."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import imagecodecs
import pytest
from codestreams import image
from crafted import PPM, PPT, with_packed_headers, with_plm, with_poc
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.codestream_report import marker_table, packet_table
from mersey.codecs.errors import CodestreamError
from mersey.codecs.surgery import reorder, resolution_ranges, to_progressive
from reference_decoders import by_openjpeg, same
from surgery_contract import assert_keeps_samples, assert_reduces_to_the_same, packets_by_place


@pytest.fixture(scope="module")
def plain() -> bytes:
    """One layer, three components, by resolution: 4 levels, a precinct each."""
    pixels = (image(97, 83, 3) >> 4).astype("u1")
    return bytes(
        imagecodecs.jpeg2k_encode(
            pixels, level=0, resolutions=4, codecformat="j2k", reversible=True
        )
    )


@pytest.fixture(scope="module")
def layered(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The same in three layers, LRCP."""
    if shutil.which("opj_compress") is None:
        pytest.skip("needs opj_compress")
    folder: Path = tmp_path_factory.mktemp("layered")
    pixels = (image(97, 83, 3) >> 4).astype("u1")
    (folder / "image.ppm").write_bytes(b"P6\n83 97\n255\n" + pixels.tobytes())
    command = ["opj_compress", "-i", folder / "image.ppm", "-o", folder / "image.j2k"]
    subprocess.run([*command, *("-n", "4", "-r", "20,6,1")], check=True, capture_output=True)
    return (folder / "image.j2k").read_bytes()


@pytest.mark.parametrize("eph", [False, True])
@pytest.mark.parametrize(("size", "parts"), [(60_000, 1), (7, 1), (60_000, 3), (11, 3)])
@pytest.mark.parametrize("marker", [PPM, PPT])
def test_packed_headers_are_unpacked(
    plain: bytes, marker: int, size: int, parts: int, eph: bool
) -> None:
    data = with_packed_headers(plain, marker, size=size, parts=parts, eph=eph)
    assert {int(flags) for flags in packet_table(data)["flags"]} == {4 + 2 * eph}
    if (marker, size, parts) != (PPM, 11, 3):  # OpenJPEG refuses an Nppm in two segments
        assert same(by_openjpeg(data), by_openjpeg(plain))
    assert packets_by_place(to_progressive(data)) == packets_by_place(plain)
    assert_keeps_samples(data)
    assert_reduces_to_the_same(data)


@pytest.mark.parametrize("marker", [PPM, PPT])
def test_packed_headers_of_layers_are_unpacked(layered: bytes, marker: int) -> None:
    data = with_packed_headers(layered, marker, size=50, parts=2, eph=False)
    assert packets_by_place(to_progressive(data)) == packets_by_place(layered)
    assert_keeps_samples(data)


@pytest.mark.parametrize("marker", [PPM, PPT])
def test_packed_headers_that_end_early_are_refused(plain: bytes, marker: int) -> None:
    data = with_packed_headers(plain, marker, size=60_000, parts=1, eph=False)
    (place,) = (found for found in marker_table(data) if found.code == marker)
    at, length = place.offset_bytes, place.length_bytes
    short = data[at : at + 2] + (length - 5).to_bytes(2) + data[at + 4 : at + length - 3]
    broken = bytearray(data[:at] + short + data[at + length :])
    if marker == PPT:
        psot = broken.index(b"\xff\x90") + 6
        broken[psot : psot + 4] = (int.from_bytes(broken[psot : psot + 4]) - 3).to_bytes(4)
    with pytest.raises(CodestreamError, match=r"packet|PPM"):
        to_progressive(broken)


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize(
    "volumes",
    [
        [(0, 0, 1, 4, 3, 0), (0, 0, 3, 4, 3, 1)],
        [(0, 0, 3, 2, 3, 1), (0, 0, 3, 4, 3, 0)],
        [(1, 0, 2, 3, 1, 0), (0, 0, 3, 4, 2, 1), (0, 0, 3, 4, 3, 0)],
        [(0, 0, 65535, 33, 255, 1), (0, 0, 3, 4, 3, 0)],
    ],
)
def test_packets_that_an_earlier_volume_has_sent_do_not_come_again(
    layered: bytes, volumes: list[tuple[int, int, int, int, int, int]], late: int
) -> None:
    bounded = [(*v[:2], min(v[2], 3), min(v[3], 4), min(v[4], 3), v[5]) for v in volumes]
    data = with_poc(layered, bounded, late=late)
    if volumes != bounded:  # limits beyond what there is mean all of it
        data = data.replace(
            bytes.fromhex("0000 0003 04 03 01"), bytes.fromhex("0000 ffff 21 ff 01")
        )
    assert scan_codestream(data).has_poc
    assert packets_by_place(to_progressive(data)) == packets_by_place(layered)
    assert_keeps_samples(data)
    assert_reduces_to_the_same(data)


def test_a_poc_that_leaves_packets_out_is_refused(layered: bytes) -> None:
    data = with_poc(layered, [(0, 0, 3, 4, 3, 0)], late=0)
    fewer = data.replace(bytes.fromhex("0000 0003 04 03 00"), bytes.fromhex("0000 0002 04 03 00"))
    with pytest.raises(CodestreamError, match="bytes follow the last packet"):
        to_progressive(fewer)


@pytest.mark.parametrize("lie", [0, 1])
def test_lengths_in_the_main_header_are_used_where_right(plain: bytes, lie: int) -> None:
    data = bytearray(with_plm(plain))
    data[data.index(b"\xff\x57") + 6] += lie
    layout = scan_codestream(data)
    assert layout.cut_evidence == "packets"
    assert packets_by_place(to_progressive(data)) == packets_by_place(plain)


def test_cut_points_are_found_in_spite_of_packed_headers_and_poc(
    plain: bytes, layered: bytes
) -> None:
    by_resolution = reorder(plain, progression="RPCL")
    for marker in (PPM, PPT):
        packed = with_packed_headers(by_resolution, marker, size=99, parts=1, eph=False)
        assert scan_codestream(packed).cut_evidence == "packets"
    ordered = with_poc(layered, [(0, 0, 3, 2, 3, 1), (2, 0, 3, 4, 3, 1)], late=0)
    layout = scan_codestream(ordered)
    assert layout.cut_evidence == "packets"
    assert layout.cut_points is not None
    assert len(layout.cut_points) == 4


def test_ranges_of_packed_headers_hold_the_headers(plain: bytes) -> None:
    data = with_packed_headers(plain, PPT, size=60_000, parts=2, eph=False)
    ranges = resolution_ranges(data, reduce=2)
    held = {at for offset, length in ranges for at in range(offset, offset + length)}
    for marker in marker_table(data)[:-1]:
        assert held.issuperset(
            range(marker.offset_bytes, marker.offset_bytes + marker.length_bytes)
        )
