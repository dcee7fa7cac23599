"""The bound of the renditions: what goes, in which order, and what never does."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.archive.byte_size import parse_byte_size
from mersey.engine.archive.frame_digests import digests_path
from mersey.engine.archive.rendition_cache import RenditionCache, collect_parts, list_renditions


def lay(root: Path, number: int, *, used_s: int, size_bytes: int = 900) -> str:
    """A rendition of `size_bytes` with 100 bytes of digests."""
    key = f"{number:02x}" * 32
    path = root / key[:2] / f"{key}.dcm"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size_bytes))
    os.utime(path, (1, 1))
    digests_path(path).write_bytes(bytes(100))
    os.utime(digests_path(path), (used_s, used_s))
    return key


def kept(root: Path) -> set[str]:
    return {file.key for file in list_renditions(root)}


def test_what_was_used_longest_ago_goes_first_and_the_newest_stays(tmp_path: Path) -> None:
    keys = [lay(tmp_path, n, used_s=100 + (n * 7) % 10) for n in range(10)]
    by_use = sorted(keys, key=lambda key: (int(key[:2], 16) * 7) % 10)
    cache = RenditionCache(tmp_path, limit_bytes=5000)
    newest = lay(tmp_path, 99, used_s=1)
    gone = cache.added(newest)
    assert gone == by_use[:7]
    assert kept(tmp_path) == {*by_use[7:], newest}
    assert not list(tmp_path.glob(f"{gone[0][:2]}/*"))


def test_nothing_goes_while_there_is_room(tmp_path: Path) -> None:
    cache = RenditionCache(tmp_path, limit_bytes=5000)
    for number in range(4):
        assert cache.added(lay(tmp_path, number, used_s=number)) == []
    assert cache.has_room(400)
    assert not cache.has_room(600)


def test_one_that_is_larger_than_the_limit_stays_alone(tmp_path: Path) -> None:
    cache = RenditionCache(tmp_path, limit_bytes=5000)
    cache.added(lay(tmp_path, 1, used_s=1))
    large = lay(tmp_path, 2, used_s=2, size_bytes=10_000)
    cache.added(large)
    assert kept(tmp_path) == {large}


def test_an_open_rendition_is_read_to_its_end_after_it_went(tmp_path: Path) -> None:
    cache = RenditionCache(tmp_path, limit_bytes=1500)
    key = lay(tmp_path, 1, used_s=1)
    with open(tmp_path / key[:2] / f"{key}.dcm", "rb") as file:
        cache.added(lay(tmp_path, 2, used_s=2))
        assert key not in kept(tmp_path)
        assert len(file.read()) == 900


def test_part_files_are_collected_when_old_and_held_by_nobody(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    for name in (".mersey-1.part", ".mersey-1.journal", ".mersey-2.part", ".mersey-2.journal"):
        (folder / name).write_bytes(b"123")
        os.utime(folder / name, (1, 1))
    (folder / ".mersey-3.part").write_bytes(b"new")
    with open(folder / ".mersey-2.part") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        seen = collect_parts(tmp_path, older_than_s=60, dry_run=True)
        assert len(list(folder.iterdir())) == 5
        found = collect_parts(tmp_path, older_than_s=60)
    assert found == seen
    assert (found.removed, found.removed_bytes, found.left_bytes) == (2, 6, 9)
    names = {path.name for path in folder.iterdir()}
    assert names == {".mersey-2.part", ".mersey-2.journal", ".mersey-3.part"}


def _add_many(root: str, first: int) -> None:
    cache = RenditionCache(Path(root), limit_bytes=8000)
    for number in range(first, first + 30):
        cache.added(lay(Path(root), number, used_s=1000 + number))


def test_processes_that_share_a_folder_keep_it_bounded_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_add_many, args=(str(tmp_path), n * 30)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [worker.exitcode for worker in workers] == [0, 0]
    RenditionCache(tmp_path, limit_bytes=8000).added(lay(tmp_path, 90, used_s=5000))
    assert sum(file.size_bytes for file in list_renditions(tmp_path)) <= 8000


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("20GB", 20 * 10**9), ("1.5 MiB", 1_572_864), ("0", 0), ("7k", 7000), ("12b", 12)],
)
def test_sizes_are_read_as_people_write_them(text: str, size_bytes: int) -> None:
    assert parse_byte_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "1e3", "1iB", "1 GBB", "١GB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no size"):
        parse_byte_size(text)
