"""A parcel as it arrives: nothing noted is lost, nothing is noted that is not there."""

from __future__ import annotations

import mmap
import os
import random
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from mersey.codecs.errors import ResourceError, UsageError
from mersey.engine.archive import inbound as inbound_module
from mersey.engine.archive.inbound import Inbound
from mersey.engine.archive.shared_inbound import SharedInbound
from mersey.engine.transfer.manifest import Item, Manifest, WireForm

_SIZES = (100, 1, 5000, 40, 300)
_WHOLE = random.Random(7).randbytes(sum(_SIZES))


def _manifest(etag: str = '"one"') -> Manifest:
    items, at = [], 0
    for number, size in enumerate(_SIZES):
        uid = f"1.2.{number + 1}"
        items.append(Item("1.2", "1.2.0", uid, size, "ab" * 32, "stored", at, size))
        at += size
    return Manifest(etag, tuple(items))


def _received(inbound: Inbound) -> bool:
    """Whether the bytes that are said to be there are the right ones."""
    for index, item in enumerate(inbound.manifest.items):
        if index in inbound.settled or not inbound.is_whole(index):
            continue
        found = inbound.path_of(index).read_bytes()
        if found != _WHOLE[item.offset_bytes : item.end_bytes]:
            return False
    return True


def test_bytes_come_in_any_order_and_twice(tmp_path: Path) -> None:
    chance = random.Random(3)
    cuts = [0, *sorted(chance.sample(range(1, len(_WHOLE)), 20)), len(_WHOLE)]
    pieces = list(pairwise(cuts)) * 2
    chance.shuffle(pieces)
    whole: list[int] = []

    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        for start, stop in pieces:
            whole += inbound.write(start, _WHOLE[start:stop])

        assert sorted(whole) == list(range(len(_SIZES)))
        assert not list(inbound.missing())
        assert _received(inbound)


@pytest.fixture(params=["disk", "memory"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk, and one where everything goes through the page cache."""
    if request.param == "disk":
        yield tmp_path
        return
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("no file system in memory")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


@pytest.mark.parametrize("form", ["stored", "zstd"])
@pytest.mark.parametrize("shift", [0, 1, 512])
@pytest.mark.parametrize("start", [0, 4096, 4096 + 7])
def test_long_bytes_are_the_same_however_they_lie_in_memory(
    anywhere: Path, form: WireForm, shift: int, start: int
) -> None:
    whole = random.Random(11).randbytes(300_001)
    item = Item("1.2", "1.2.0", "1.2.1", len(whole), "ab" * 32, form, 0, len(whole))
    room = memoryview(mmap.mmap(-1, len(whole) + 2 * mmap.PAGESIZE))
    at = start % mmap.PAGESIZE + shift
    data = room[at : at + len(whole) - start]
    data[:] = whole[start:]

    with Inbound.open(anywhere / "in", Manifest('"one"', (item,))) as inbound:
        assert inbound.write(0, whole[:start]) == []
        assert inbound.write(start, data) == [0]
        assert inbound.path_of(0).read_bytes() == whole
        inbound.refuse_bytes(start + 1, len(whole))
        inbound.write(start, data[:100_000])
        inbound.sync()
        assert inbound.path_of(0).read_bytes() == whole

    with Inbound.open(anywhere / "in", Manifest('"one"', (item,))) as again:
        assert [(one.start, one.stop) for one in again.missing()] == [(start + 100_000, len(whole))]


def test_what_was_noted_is_there_after_a_kill(tmp_path: Path) -> None:
    inbound = Inbound.open(tmp_path / "in", _manifest())
    inbound.write(50, _WHOLE[50:3000])
    inbound.close()  # nothing is synced

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert [(one.start, one.stop) for one in again.missing()] == [(0, 50), (3000, 5441)]


def test_what_was_not_synced_is_not_trusted_after_a_restart_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(0, _WHOLE[:100])
        inbound.sync()
        inbound.write(100, _WHOLE[100:4000])
        inbound.settle(1, "stored")
    monkeypatch.setattr(inbound_module, "boot_id", lambda: "another")

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert [(one.start, one.stop) for one in again.missing()] == [(100, 5441)]
        assert not again.settled


def test_a_journal_torn_anywhere_tells_nothing_that_is_not_so(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        for start in range(0, 5400, 900):
            inbound.write(start, _WHOLE[start : start + 900][: len(_WHOLE) - start])
            if start == 1800:
                inbound.sync()
                inbound.settle(0, "stored")
    journal = (tmp_path / "in" / "journal").read_bytes()

    counts = []
    for end in range(len(journal), -1, -1):
        (tmp_path / "in" / "journal").write_bytes(journal[:end])
        with Inbound.open(tmp_path / "in", _manifest()) as again:
            counts.append(again.received_bytes)
            assert _received(again)
        if not again.received_bytes:
            break
    assert counts == sorted(counts, reverse=True)


def test_a_file_that_is_gone_comes_again(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(0, _WHOLE)
        inbound.path_of(2).unlink()

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert [(one.start, one.stop) for one in again.missing()] == [(101, 5101)]


def test_an_item_that_is_refused_comes_again(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(0, _WHOLE)
        inbound.refuse(2)
        assert not inbound.is_whole(2)

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert [(one.start, one.stop) for one in again.missing()] == [(101, 5101)]
        assert again.write(101, _WHOLE[101:5101]) == [2]


def test_a_settled_item_needs_nothing_more(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(0, _WHOLE[:101])
        for index in range(len(_SIZES)):
            inbound.settle(index, "stored")
        inbound.sync()
        assert inbound.is_done

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert again.is_done
        assert not list(again.missing())
        assert not list((tmp_path / "in").glob("*.part"))


def test_another_parcel_of_the_same_name_is_received_anew(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(0, _WHOLE)

    with Inbound.open(tmp_path / "in", _manifest('"two"')) as again:
        assert again.received_bytes == 0
        assert not list((tmp_path / "in").glob("*.part"))


def test_bytes_that_were_placed_count_when_they_are_noted(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        inbound.write(50, _WHOLE[50:3000])
        gaps = inbound.gaps(0, len(_WHOLE))
        assert [(one.start, one.stop) for one in gaps] == [(0, 50), (3000, len(_WHOLE))]
        for start in range(0, len(_WHOLE), 700):
            # What is there is not written again.
            data = bytes(700) if start == 700 else _WHOLE[start : start + 700]
            inbound.place(start, data, gaps=gaps)
        assert inbound.received_bytes == 2950

    with Inbound.open(tmp_path / "in", _manifest()) as again:
        assert again.received_bytes == 2950
        assert again.is_whole(1)
        assert sorted(again.note(gaps)) == [0, *range(2, len(_SIZES))]
        assert not again.note(gaps)
        assert _received(again)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        Inbound.open(tmp_path / "in", _manifest()),
        pytest.raises(ResourceError, match="another process"),
    ):
        Inbound.open(tmp_path / "in", _manifest())


def test_bytes_outside_the_parcel_are_refused(tmp_path: Path) -> None:
    with Inbound.open(tmp_path / "in", _manifest()) as inbound:
        for start, data in ((len(_WHOLE), b"x"), (-1, b"xx"), (0, _WHOLE + b"x")):
            with pytest.raises(UsageError):
                inbound.write(start, data)
        assert inbound.received_bytes == 0


def _shared(folder: Path) -> SharedInbound:
    return SharedInbound.open(folder / "in", _manifest())


def test_two_that_share_a_parcel_both_know_what_either_has(tmp_path: Path) -> None:
    chance = random.Random(11)
    cuts = [0, *sorted(chance.sample(range(1, len(_WHOLE)), 40)), len(_WHOLE)]
    pieces = list(pairwise(cuts)) * 2
    chance.shuffle(pieces)
    whole: list[int] = []

    with _shared(tmp_path) as one, _shared(tmp_path) as other:
        for start, stop in pieces:
            here, there = chance.sample((one, other), 2)
            whole += here.write(start, _WHOLE[start:stop])
            if chance.random() < 0.2:
                there.sync()
            there.refresh()
            assert list(here.missing()) == list(there.missing())
        assert sorted(whole) == list(range(len(_SIZES)))  # told to one of them, once
        assert _received(one)
        one.refuse(2)
        other.refresh()
        assert not other.is_whole(2)
        assert other.write(101, _WHOLE[101:5101]) == [2]
        other.settle(2, "stored")
        one.refuse(2)  # too late
        assert one.settled == {2: "stored"}
        assert one.is_whole(2)


def test_a_whole_item_is_claimed_by_one_until_that_one_is_done_or_dead(tmp_path: Path) -> None:
    with _shared(tmp_path) as one, _shared(tmp_path) as other:
        one.write(0, _WHOLE[:50])
        assert other.claim(0) is None
        one.write(50, _WHOLE[50:101])
        held = other.claim(0)
        assert held is not None
        assert one.claim(0) is None
        held.close()  # as it is when its process dies
        held = one.claim(0)
        assert held is not None
        one.settle(0, "stored")
        held.close()
        assert other.claim(0) is None


def test_what_one_of_two_synced_of_the_other_outlives_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _shared(tmp_path) as one, _shared(tmp_path) as other:
        one.write(0, _WHOLE[:100])
        other.write(100, _WHOLE[100:4000])
        one.sync()
        other.write(4000, _WHOLE[4000:])
    monkeypatch.setattr(inbound_module, "boot_id", lambda: "another")
    with _shared(tmp_path) as again:
        assert [(found.start, found.stop) for found in again.missing()] == [(4000, 5441)]


def test_what_one_that_died_left_torn_is_cut_off_by_the_other(tmp_path: Path) -> None:
    with _shared(tmp_path) as one, _shared(tmp_path) as other:
        one.write(0, _WHOLE[:100])
        with (tmp_path / "in" / "journal").open("ab") as journal:
            journal.write(b'{"w":[1000,')
        other.write(100, _WHOLE[100:200])
        one.refresh()
        assert one.received_bytes == other.received_bytes == 200
    with _shared(tmp_path) as again:
        assert again.received_bytes == 200


def test_what_one_discards_is_gone_for_the_other(tmp_path: Path) -> None:
    with _shared(tmp_path) as one, _shared(tmp_path) as other:
        one.write(0, _WHOLE)
        other.discard()
        for call in (one.refresh, lambda: one.write(0, _WHOLE), lambda: one.claim(0)):
            with pytest.raises(ResourceError):
                call()
        assert one.is_removed
        one.discard()
    with _shared(tmp_path) as again:
        assert again.received_bytes == 0
