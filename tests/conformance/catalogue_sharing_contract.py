"""What several connections at once make of a catalogue; a part of `CatalogueContract`."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from catalogue_answers import in_place, outcomes, search, told
from made_instances import make_stored
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.commitment_answers import CommitmentAnswers

__all__ = ["CatalogueSharingContract"]


class CatalogueSharingContract:
    """`opened` gives each of them a connection of its own."""

    def test_what_a_commitment_came_to_is_told_by_every_server_while_it_is_kept(
        self, opened
    ) -> None:
        now_s = [1e9]
        here, there = (
            CommitmentAnswers(
                opened().database, most_kept=3, kept_bytes=10_000, clock=lambda: now_s[0]
            )
            for _ in range(2)
        )
        here.keep("1.2.1", b"first")
        there.keep("1.2.1", b"second")
        assert here.find("1.2.1") == there.find("1.2.1") == b"second"
        assert here.find("1.2.2") is None
        for number in (2, 3, 4):
            now_s[0] += 1
            here.keep(f"1.2.{number}", b"%d" % number)
        assert [there.find(f"1.2.{n}") for n in (1, 2, 3, 4)] == [None, b"2", b"3", b"4"]
        now_s[0] += 1
        there.keep("1.2.5", random.Random(5).randbytes(9_999))  # does not fit, nor leaves room
        assert [here.find(f"1.2.{n}") for n in (2, 3, 4, 5)] == [None] * 4
        here.keep("1.2.6", b"6")
        now_s[0] += 31 * 86400
        there.keep("1.2.7", b"7")
        assert [here.find(f"1.2.{n}") for n in (6, 7)] == [None, b"7"]

    def test_two_that_store_the_same_at_once_come_to_one_result(self, opened) -> None:
        catalogues = [opened() for _ in range(4)]
        for turn in range(4):
            stored = [
                make_stored(f"1.{turn}.1.{number}", study=f"1.{turn}", InstanceNumber=str(number))
                for number in range(40)
            ]
            orders = [stored, stored[::-1], stored[20:] + stored[:20], stored]
            settled = at_once(
                [
                    lambda c=c, order=order: outcomes(c, *order)
                    for c, order in zip(catalogues, orders, strict=True)
                ]
            )
            assert sum(each.count("new") for each in settled) == 40
            assert sum(each.count("same") for each in settled) == 120
            (study,) = [f for f in search(catalogues[0], "study") if f.uids == (f"1.{turn}",)]
            assert told(study)["00201208"]["Value"] == [40]

    def test_of_other_bytes_at_once_one_is_taken_and_no_count_is_lost(self, opened) -> None:
        catalogues = [opened() for _ in range(4)]
        for turn in range(4):
            # The same UIDs in different studies, in different order: who comes first, has them.
            stored = [
                [
                    make_stored(
                        f"2.{turn}.{n}", content=str(who), study=f"2.{who}", series=f"2.{who}.1"
                    )
                    for n in range(15)
                ]
                for who in range(4)
            ]
            settled = at_once(
                [
                    lambda c=c, own=own, who=who: outcomes(c, *(own if who % 2 else own[::-1]))
                    for who, (c, own) in enumerate(zip(catalogues, stored, strict=True))
                ]
            )
            assert sum(each.count("new") for each in settled) == 15
            assert sum(each.count("rejected") for each in settled) == 45
        replaced = [
            [
                make_stored(f"2.0.{n}", content=f"{who}+", study=f"2.{who}", series=f"2.{who}.1")
                for n in range(15)
            ]
            for who in range(4)
        ]
        at_once(
            [
                lambda c=c, own=own: outcomes(c, *own, on_conflict="replace")
                for c, own in zip(catalogues, replaced, strict=True)
            ]
        )
        self.check_counts(catalogues[0], instances=60)

    def test_a_scan_and_a_store_at_once_leave_one_of_each(self, opened, tmp_path) -> None:
        scanning, storing, removing = opened(), opened(), opened()
        found = [in_place(tmp_path / f"{n}.dcm", f"3.1.{n}", study="3") for n in range(24)]
        stored = [make_stored(f"3.1.{n}", study="3") for n in range(24)]

        def scan() -> None:
            for group in itertools.batched(found, 6):
                scanning.add(group)
                scanning.forget(str(tmp_path), [file.name for file in group[:2]])

        def store() -> None:
            for group in itertools.batched(reversed(stored), 6):
                storing.store(group, on_conflict="replace")

        def remove() -> None:
            for n in range(0, 24, 5):
                removing.remove([f"3.1.{n}"])

        at_once([scan, store, remove])
        storing.store(stored, on_conflict="replace")
        self.check_counts(storing, instances=24)
        assert len(list(storing.blob_keys())) == 24

    @staticmethod
    def check_counts(catalogue: Catalogue, *, instances: int) -> None:
        """What studies and series tell of what is below them is so."""
        entries = list(catalogue.every_entry())
        assert len(entries) == instances
        for level in ("study", "series"):
            depth, tag = (1, "00201208") if level == "study" else (2, "00201209")
            expected: dict[tuple[str, ...], int] = {}
            for entry in entries:
                key = entry.uids[:depth]
                expected[key] = expected.get(key, 0) + 1
            found = {each.uids: told(each)[tag]["Value"][0] for each in search(catalogue, level)}
            assert found == expected


def at_once(calls: list[Callable[[], Any]]) -> list[Any]:
    """Run them in threads that start together; their results."""
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], Any]) -> Any:
        barrier.wait(240)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
