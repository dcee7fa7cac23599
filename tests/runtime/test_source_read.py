"""What frames are read from a file, whether it is read or mapped."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mersey.codecs.errors import FormatError
from mersey.engine.dicom.frame_index import Frame, Span
from mersey.engine.runtime import beacon
from mersey.engine.runtime.source_read import read_frames

_FRAME_BYTES = 700_001  # no multiple of a page
_BEFORE = 4321


@pytest.fixture(params=["read", "mapped"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "mapped":
        monkeypatch.setattr(beacon, "_beacon", beacon.Beacon.create())
    return str(request.param)


def frames(count: int) -> list[Frame]:
    return [
        Frame(index, (Span(_BEFORE + index * _FRAME_BYTES, _FRAME_BYTES),))
        for index in range(count)
    ]


def test_frames_are_the_bytes_of_the_file_and_writing_to_them_is_private(
    way: str, tmp_path: Path
) -> None:
    path = tmp_path / "frames"
    data = os.urandom(_BEFORE + 40 * _FRAME_BYTES)
    path.write_bytes(data)
    for frame, found in read_frames(str(path), frames(40)):
        start = frame.spans[0].offset_bytes
        assert found == data[start : start + _FRAME_BYTES]
        found[0] ^= 0xFF
    assert path.read_bytes() == data


def test_a_file_that_ends_too_soon_is_told_with_where_it_ends(way: str, tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(bytes(_BEFORE + 2 * _FRAME_BYTES + 17))
    with pytest.raises(FormatError) as caught:
        list(read_frames(str(path), frames(3)))
    assert caught.value.offset_bytes == _BEFORE + 2 * _FRAME_BYTES + 17
