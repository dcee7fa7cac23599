"""The store of renditions: what their keys hold, and that any of them may go."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mersey.codecs.errors import IntegrityError
from mersey.engine.archive import renditions
from mersey.engine.archive.entry import Entry, is_uid, stamp_of
from mersey.engine.archive.frame_digests import FileDigests, digest_of, digests_path
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.archive.part10_body import file_segments
from mersey.engine.archive.renditions import (
    RECHECK_S,
    RenditionStore,
    rendition_key,
    verify_rendition,
)
from mersey.engine.transfer.body import Body, FileSlice
from pydicom.data import get_testdata_file


@pytest.fixture
def entry() -> Entry:
    path = Path(get_testdata_file("CT_small.dcm", download=False))
    found = index_file(str(path.parent), path.name)
    assert found is not None
    assert found.instance is not None
    return Entry(found.instance, found.path, found.stamp)


def test_a_key_changes_with_all_that_the_bytes_depend_on(entry: Entry) -> None:
    key = rendition_key(entry, target_uid="1.2", library="a 1")
    assert key == rendition_key(entry, target_uid="1.2", library="a 1")
    touched = Entry(entry.instance, entry.path, replace(entry.stamp, mtime_ns=1))
    moved = Entry(entry.instance, "/elsewhere", entry.stamp)
    others = {
        rendition_key(entry, target_uid="1.3", library="a 1"),
        rendition_key(entry, target_uid="1.2", library="a 2"),
        rendition_key(touched, target_uid="1.2", library="a 1"),
    }
    assert len(others - {key}) == 3
    assert rendition_key(moved, target_uid="1.2", library="a 1") == key


def test_a_hostile_uid_never_reaches_a_path(entry: Entry, tmp_path: Path) -> None:
    instance = replace(entry.instance, sop_instance_uid="../../etc/passwd\0")
    key = rendition_key(Entry(instance, entry.path, entry.stamp), target_uid="../x", library="/")
    path = RenditionStore(tmp_path).path_of(key)
    assert path.parent.parent == tmp_path
    assert path.stem.isalnum()


def test_a_rendition_is_found_when_it_is_there_and_forgotten_when_it_goes(
    entry: Entry, tmp_path: Path
) -> None:
    store = RenditionStore(tmp_path)
    key = "ab" * 32
    assert store.find(key) is None
    path = store.path_of(key)
    path.parent.mkdir()
    lay_rendition(path, Path(entry.path).read_bytes(), entry)
    found = store.find(key)
    assert found is not None
    assert found.stamp == stamp_of(path.stat())
    assert found.frame_slices(0)[0].length_bytes == 128 * 128 * 2
    assert store.find(key) is found
    path.unlink()
    assert store.find(key) is None


def lay_rendition(path: Path, data: bytes, entry: Entry) -> None:
    """A file and its digests: of what is before the frame, of the frame, of what is behind."""
    assert entry.instance.frames is not None
    (span,) = entry.instance.frames[0].spans
    ends = (span.offset_bytes, span.offset_bytes + span.length_bytes, len(data))
    starts = (0, *ends[:-1])
    pieces = [data[start:end] for start, end in zip(starts, ends, strict=True)]
    path.write_bytes(data)
    FileDigests.of((len(piece), digest_of(piece)) for piece in pieces).write(path)


def flip(path: Path, offset_bytes: int) -> None:
    """Change one bit, as a bad disk does: the file's times stay."""
    status = path.stat()
    with path.open("r+b") as file:
        file.seek(offset_bytes)
        (byte,) = file.read(1)
        file.seek(offset_bytes)
        file.write(bytes([byte ^ 4]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.fixture
def stored(entry: Entry, tmp_path: Path) -> tuple[RenditionStore, str, Path]:
    store, key = RenditionStore(tmp_path), "ab" * 32
    path = store.path_of(key)
    path.parent.mkdir()
    lay_rendition(path, Path(entry.path).read_bytes(), entry)
    return store, key, path


def test_a_flipped_bit_of_a_frame_is_found_when_the_frame_is_checked(stored) -> None:
    store, key, path = stored
    found = store.find(key)
    flip(path, found.frame_slices(0)[0].offset_bytes + 12345)
    assert found.unchecked([0]) == [1]
    with pytest.raises(IntegrityError, match="not those that were written"):
        found.check(found.unchecked([0]))
    assert found.unchecked([0]) == [1]
    with pytest.raises(IntegrityError):
        verify_rendition(found)


def test_a_frame_is_checked_once(stored) -> None:
    store, key, path = stored
    found = store.find(key)
    found.check(found.unchecked([0]))
    assert found.unchecked([0]) == []
    assert found.unchecked(None) == [2]
    assert store.find(key) is found
    verify_rendition(found)
    assert found.unchecked(None) == []
    flip(path, found.frame_slices(0)[0].offset_bytes)
    with pytest.raises(IntegrityError):
        verify_rendition(found)


@pytest.mark.parametrize("damage", ["header", "digests", "no digests", "longer", "other digests"])
def test_a_rendition_whose_headers_or_digests_are_damaged_is_dropped(stored, damage: str) -> None:
    store, key, path = stored
    beside = digests_path(path)
    if damage == "header":
        flip(path, 200)
    elif damage == "digests":
        flip(beside, 60)
    elif damage == "no digests":
        beside.unlink()
    elif damage == "longer":
        path.write_bytes(path.read_bytes() + b"\0\0")
    else:
        FileDigests.of([(path.stat().st_size, bytes(16))]).write(path)
    assert store.find(key) is None
    assert not path.exists()
    assert not beside.exists()


def test_any_bytes_beside_a_file_are_its_digests_or_an_integrity_error(tmp_path: Path) -> None:
    target = tmp_path / "a.dcm"
    digests = FileDigests.of([(10, bytes(16)), (0, bytes(16)), (7, bytes(16))])
    digests.write(target)
    data = digests_path(target).read_bytes()
    assert np.array_equal(FileDigests.read(target).ends, [10, 10, 17])
    for length in range(len(data)):
        digests_path(target).write_bytes(data[:length])
        with pytest.raises(IntegrityError):
            FileDigests.read(target)


@pytest.mark.parametrize(
    ("offset", "length", "expected"),
    [
        (0, 10, [0]),
        (0, 11, [0, 1, 2]),
        (9, 1, [0]),
        (10, 1, [2]),
        (16, 1, [2]),
        (0, 17, [0, 1, 2]),
        (5, 0, []),
        (17, 1, []),
    ],
)
def test_stretches_are_found_by_the_bytes_they_hold(
    offset: int, length: int, expected: list[int]
) -> None:
    digests = FileDigests.of([(10, bytes(16)), (0, bytes(16)), (7, bytes(16))])
    assert list(digests.stretches(offset, length)) == expected


@pytest.mark.parametrize("data", [b"", b"no DICOM", bytes(128) + b"DICM" + bytes(50)])
def test_a_file_that_is_no_rendition_is_dropped(tmp_path: Path, data: bytes) -> None:
    store = RenditionStore(tmp_path)
    path = store.path_of("cd" * 32)
    path.parent.mkdir()
    path.write_bytes(data)
    assert store.find("cd" * 32) is None
    assert not path.exists()


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("1.2.840", True),
        ("1" * 64, True),
        ("", False),
        ("1" * 65, False),
        ("1.2\n", False),
        ("..", False),
        ("1/2", False),
        ("１", False),
    ],
)
def test_a_uid_is_digits_and_dots(text: str, good: bool) -> None:
    assert is_uid(text) is good


def _bytes(segments) -> bytes:
    found = b""
    for segment in Body.of(segments, etag="").segments():
        if isinstance(segment, FileSlice):
            data = Path(segment.path).read_bytes()
            segment = data[segment.offset_bytes :][: segment.length_bytes]
        found += segment
    return found


def test_a_file_without_file_meta_is_served_with_one(entry: Entry, tmp_path: Path) -> None:
    data = Path(entry.path).read_bytes()
    bare = tmp_path / "bare"
    bare.write_bytes(data[entry.instance.layout.dataset_offset :])
    found = index_file(str(tmp_path), "bare")
    assert found is not None
    assert found.instance is not None
    served = _bytes(file_segments(Entry(found.instance, found.path, found.stamp)))
    assert served[:132] == bytes(128) + b"DICM"
    (length,) = struct.unpack_from("<I", served, 140)
    assert served[144 + length :] == bare.read_bytes()
    (tmp_path / "served").write_bytes(served)
    again = index_file(str(tmp_path), "served")
    assert again is not None
    assert again.instance is not None
    assert again.instance.sop_instance_uid == entry.instance.sop_instance_uid
    assert not again.instance.warnings


def test_a_whole_file_is_served_byte_for_byte(entry: Entry) -> None:
    served = _bytes(file_segments(entry))
    assert served == bytes(128) + Path(entry.path).read_bytes()[128:]


def test_a_rendition_is_compared_again_after_a_while(entry: Entry, tmp_path: Path) -> None:
    now = 0.0
    store, key = RenditionStore(tmp_path, clock=lambda: now), "ab" * 32
    path = store.path_of(key)
    path.parent.mkdir()
    lay_rendition(path, Path(entry.path).read_bytes(), entry)
    found = store.find(key)
    assert found is not None
    verify_rendition(found)
    flip(path, found.frame_slices(0)[0].offset_bytes + 9)
    now = RECHECK_S
    assert store.find(key) is found
    now = RECHECK_S + 1
    again = store.find(key)
    assert again is not None
    assert again.unchecked([0]) == [1]
    with pytest.raises(IntegrityError):
        again.check([1])


def test_a_use_is_noted_on_the_digests_once_a_minute_and_leaves_the_stamp(stored) -> None:
    store, key, path = stored
    os.utime(digests_path(path), (1, 1))
    found = store.find(key)
    noted = digests_path(path).stat().st_mtime
    assert noted > 1
    os.utime(digests_path(path), (1, 1))
    assert store.find(key) is found
    assert digests_path(path).stat().st_mtime == 1


def test_a_key_changes_with_the_version_of_mersey(entry: Entry, monkeypatch) -> None:
    key = rendition_key(entry, target_uid="1.2", library="a 1")
    monkeypatch.setattr(renditions, "_our_version", lambda: "999")
    assert rendition_key(entry, target_uid="1.2", library="a 1") != key
