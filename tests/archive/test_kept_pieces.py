"""Pieces of frames that are kept beside renditions: of that file, whole, or none."""

from __future__ import annotations

from pathlib import Path

import pytest
from mersey.engine.archive.kept_pieces import find_pieces, keep_pieces, pieces_path
from mersey.engine.archive.rendition_cache import list_renditions, remove_rendition
from mersey.engine.transfer.body import FileStamp
from mersey.engine.transfer.frame_pieces import FramePieces

STAMP = FileStamp(1234, 1_700_000_000_000_000_001, (1 << 63) - 1)
PIECES = (
    FramePieces.of(bytes(range(90)), (90, 40, 10)),
    FramePieces.of(b"xy", (2,)),
    FramePieces.of(bytes(300), (300, 200, 200, 5)),
)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "ab" / "abcd.dcm"


def test_what_was_kept_is_found_again(target: Path) -> None:
    assert find_pieces(target, STAMP) is None
    for pieces in (PIECES, (), PIECES[1:]):
        keep_pieces(target, STAMP, pieces)
        assert find_pieces(target, STAMP) == pieces


@pytest.mark.parametrize("change", [(1, 0, 0), (0, 1, 0), (0, 0, -1)])
def test_the_pieces_of_another_file_are_none(target: Path, change: tuple[int, int, int]) -> None:
    keep_pieces(target, STAMP, PIECES)
    size, mtime, inode = change
    other = FileStamp(STAMP.size_bytes + size, STAMP.mtime_ns + mtime, STAMP.inode + inode)
    assert find_pieces(target, other) is None


def test_a_damaged_or_cut_file_of_them_is_none(target: Path) -> None:
    keep_pieces(target, STAMP, PIECES)
    path = pieces_path(target)
    whole = path.read_bytes()
    for at in range(0, len(whole), 7):
        data = bytearray(whole)
        data[at] ^= 4
        path.write_bytes(data)
        assert find_pieces(target, STAMP) is None
        path.write_bytes(whole[:at])
        assert find_pieces(target, STAMP) is None


def test_a_folder_that_cannot_be_written_keeps_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    target = tmp_path / "file" / "abcd.dcm"
    keep_pieces(target, STAMP, PIECES)
    assert find_pieces(target, STAMP) is None


def test_they_count_for_the_cache_and_go_with_their_rendition(target: Path) -> None:
    keep_pieces(target, STAMP, PIECES)
    (found,) = list_renditions(target.parent.parent)
    assert (found.key, found.path) == ("abcd", target)
    assert found.size_bytes == pieces_path(target).stat().st_size
    remove_rendition(target)
    assert list(target.parent.iterdir()) == []
