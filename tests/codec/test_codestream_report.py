"""What the report says of codestreams made here."""

from __future__ import annotations

import numpy as np
import pytest
from codestreams import ht_codestream, image, progressive
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.codestream_report import (
    PACKET_DTYPE,
    CodestreamReport,
    marker_table,
    packet_table,
    report_codestream,
)
from mersey.codecs.surgery import to_progressive


@pytest.fixture(scope="module")
def data() -> bytes:
    return ht_codestream(
        image(130, 157, 3), levels=3, order="PCRL", precinct=(32, 32), tile=(100, 90)
    )


def test_markers_and_packets_are_all_of_the_codestream(data: bytes) -> None:
    """Every byte belongs to one marker or one packet."""
    owners = np.zeros(len(data), "u1")
    for marker in marker_table(data):
        owners[marker.offset_bytes :][: marker.length_bytes] += 1
    for row in packet_table(data):
        owners[int(row["header_offset"]) :][: int(row["header_length"])] += 1
        owners[int(row["body_offset"]) :][: int(row["body_length"])] += 1
    assert (owners == 1).all()


def test_markers_are_named_and_placed(data: bytes) -> None:
    markers = marker_table(data)
    assert [marker.name for marker in markers[:3]] == ["SOC", "SIZ", "CAP"]
    assert markers[-1].name == "EOC"
    for marker in markers:
        assert data[marker.offset_bytes :][:2] == marker.code.to_bytes(2)
    layout = scan_codestream(data)
    starts = [(m.tile, m.tile_part, m.offset_bytes) for m in markers if m.name == "SOT"]
    assert starts == [(p.tile, p.part, p.offset_bytes) for p in layout.tile_parts]
    assert {m.tile for m in markers if m.offset_bytes < layout.main_header_bytes} == {None}


def test_the_packet_table_is_a_view_of_rows(data: bytes) -> None:
    table = packet_table(data)
    assert table.dtype == PACKET_DTYPE
    assert not table.flags.writeable
    places = {tuple(row) for row in table[["tile", "component", "level", "precinct"]].tolist()}
    assert len(places) == len(table)  # one layer
    assert set(table["tile"]) == set(range(scan_codestream(data).tiles))


def test_resolutions_add_up(data: bytes) -> None:
    report = report_codestream(data)
    assert isinstance(report, CodestreamReport)
    assert [one.level for one in report.resolutions] == [0, 1, 2, 3]
    assert [(one.width, one.height) for one in report.resolutions] == [
        (20, 17), (40, 33), (79, 65), (157, 130),
    ]  # fmt: skip
    assert sum(one.packets for one in report.resolutions) == report.packets
    assert report.header_bytes + sum(one.total_bytes for one in report.resolutions) == len(data)
    assert (report.sop_markers, report.eph_markers) == (0, 0)


def test_bytes_of_resolutions_are_those_between_cut_points() -> None:
    data = progressive(image(128, 120), levels=4)
    report = report_codestream(data)
    points = report.layout.cut_points
    assert points is not None
    for one in report.resolutions[1:]:
        between = points[one.reduce] - points[one.reduce + 1]
        extra = 2 if one.reduce == 0 else 0  # EOC
        assert one.total_bytes == between - 14 - extra


def test_a_rewritten_codestream_has_the_same_packets(data: bytes) -> None:
    columns = ["tile", "component", "level", "precinct", "layer", "header_length", "body_length"]
    before = sorted(packet_table(data)[columns].tolist())
    assert sorted(packet_table(to_progressive(data))[columns].tolist()) == before
