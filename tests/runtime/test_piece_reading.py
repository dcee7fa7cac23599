"""The pieces of the frames of a file: they are those of the frames' bytes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mersey.codecs.errors import FormatError
from mersey.engine.dicom.indexing import index_instance
from mersey.engine.runtime import piece_reading
from mersey.engine.runtime.piece_reading import read_frame_pieces
from mersey.engine.transfer.frame_pieces import FramePieces


def frames_of(path: Path):
    data = path.read_bytes()
    instance = index_instance(lambda at, length: data[at : at + length], size_bytes=len(data))
    assert instance.frames is not None
    found = [
        b"".join(
            data[span.offset_bytes : span.offset_bytes + span.length_bytes]
            for span in instance.frames[index].spans
        )
        for index in range(instance.frames.count)
    ]
    return instance.frames, found


@pytest.mark.parametrize("read_bytes", [1 << 20, 300])
def test_a_progressive_frame_has_a_piece_and_a_digest_for_each_resolution(
    progressive_ct: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int
) -> None:
    monkeypatch.setattr(piece_reading, "_READ_BYTES", read_bytes)
    index, frames = frames_of(progressive_ct)
    pieces = read_frame_pieces(str(progressive_ct), index)
    assert len(pieces) == len(frames)
    for one, frame in zip(pieces, frames, strict=True):
        assert len(one.cut_points) > 3
        assert one.cut_points[0] == len(frame)
        assert one == FramePieces.of(frame, one.cut_points)


def test_a_file_that_became_shorter_is_no_such_file(progressive_ct: Path, tmp_path: Path) -> None:
    index, _ = frames_of(progressive_ct)
    path = tmp_path / "short.dcm"
    path.write_bytes(progressive_ct.read_bytes()[: os.stat(progressive_ct).st_size // 2])
    with pytest.raises(FormatError):
        read_frame_pieces(str(path), index)
