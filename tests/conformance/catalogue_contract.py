"""What a catalogue promises on every database: subclass `CatalogueContract`, say how to open one.

`opened` gives another connection to the same catalogue each time, as other processes have it.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import naive_matching
import pytest
from made_instances import make_instance, make_stored
from mersey.engine.archive.blobs import COMPRESSED
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.commitment_answers import CommitmentAnswers
from mersey.engine.archive.entry import stamp_of
from mersey.engine.archive.indexed_file import IndexedFile
from mersey.engine.archive.levels import Level
from mersey.engine.archive.matching import Match
from mersey.engine.archive.search import Found, Search, run_search

__all__ = ["CatalogueContract"]

TAGS = {
    "PatientName": "00100010",
    "PatientID": "00100020",
    "StudyDate": "00080020",
    "StudyTime": "00080030",
    "AccessionNumber": "00080050",
    "ModalitiesInStudy": "00080061",
    "Modality": "00080060",
    "SeriesNumber": "00200011",
    "InstanceNumber": "00200013",
    "ReferringPhysicianName": "00080090",
}

NAMES = (
    "Müller^Jörg",
    "Smith^John",
    "Schmidt^Eva",
    "Meier^Hans",
    "Katherine^Jones",
    "Washington^George",
    "Łukasiewicz^Jan",
    "YAMADA^Tarou=山田^太郎",
    "O'Connor^Sean",
    "Zeta^Li",
)
NEARLY = {
    "Muller": ["Müller^Jörg"],
    "mueller jorg": ["Müller^Jörg"],
    "Jörg^Müller": ["Müller^Jörg"],
    "M*": ["Müller^Jörg", "Meier^Hans"],
    "M?ller*": ["Müller^Jörg"],
    "smyth": ["Smith^John", "Schmidt^Eva"],
    "Mayer^H": ["Meier^Hans"],
    "Catherine": ["Katherine^Jones"],
    "Washignton": ["Washington^George"],
    "wash*": ["Washington^George"],
    "Lukasiewicz": ["Łukasiewicz^Jan"],
    "山田": ["YAMADA^Tarou=山田^太郎"],
    "oconor": ["O'Connor^Sean"],
    "Connor": ["O'Connor^Sean"],
    "Lo": [],
    "%": [],
}


def in_place(path: Path, uid: str, content: bytes = b"content", **values: str) -> IndexedFile:
    """A file as a scan finds it; the catalogue does not look into it."""
    path.write_bytes(content)
    stamp = stamp_of(path.stat())
    folder, name = os.path.split(path)
    return IndexedFile(folder, name, stamp, "instance", make_instance(uid, **values))


def outcomes(catalogue: Catalogue, *stored: Any, on_conflict: Any = "reject") -> list[str]:
    return [settled.outcome for settled in catalogue.store(stored, on_conflict=on_conflict)]


def told(found: Found) -> dict[str, Any]:
    """The members of a result as Python has them."""
    members: dict[str, Any] = json.loads("{" + ",".join(found.members) + "}")
    return members


def search(catalogue: Catalogue, level: Level, *, fuzzy: bool = False, **keys: str) -> list[Found]:
    matches = tuple(Match(TAGS[keyword], value) for keyword, value in keys.items())
    return list(run_search(catalogue, Search(level, matches, fuzzy=fuzzy)).found)


class CatalogueContract:
    """The promises of one database."""

    @pytest.fixture
    def opened(self) -> Iterator[Callable[[], Catalogue]]:
        raise NotImplementedError

    @pytest.fixture
    def catalogue(self, opened: Callable[[], Catalogue]) -> Catalogue:
        return opened()

    def test_what_is_stored_is_found_as_it_was(self, catalogue) -> None:
        stored = make_stored("1.2.1.1", metadata={"00081030": {"vr": "LO", "Value": ["Thorax"]}})
        assert outcomes(catalogue, stored) == ["new"]
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert (entry.path, entry.blob_key, entry.sha256) == ("", stored.blob_key, stored.sha256)
        assert entry.served_sha256 == stored.served_sha256
        assert entry.served_crc32 == stored.served_crc32
        assert entry.stamp.size_bytes == stored.size_bytes
        assert entry.instance == stored.instance
        assert catalogue.entries("1.2") == [entry]
        assert catalogue.metadata(["1.2.1.1", "9"]) == {"1.2.1.1": stored.metadata}
        assert catalogue.find("9") is None

    def test_the_same_bytes_again_change_nothing(self, catalogue) -> None:
        stored = make_stored("1.2.1.1")
        packed = make_stored("1.2.1.1", ending=COMPRESSED)
        assert outcomes(catalogue, stored) == ["new"]
        for policy in ("reject", "replace", "keep"):
            (again,) = catalogue.store([stored], on_conflict=policy)
            assert (again.outcome, again.unneeded_key) == ("same", "")
            (otherwise,) = catalogue.store([packed], on_conflict=policy)
            assert (otherwise.outcome, otherwise.unneeded_key) == ("same", packed.blob_key)
        assert catalogue.count() == (1, 1, 1)

    @pytest.mark.parametrize(
        ("policy", "outcome", "stays"),
        [
            ("reject", "rejected", "first"),
            ("keep", "kept", "first"),
            ("replace", "replaced", "other"),
        ],
    )
    def test_other_bytes_under_a_uid_are_for_the_policy(
        self, catalogue, policy, outcome, stays
    ) -> None:
        first = make_stored("1.2.1.1", content="first")
        other = make_stored("1.2.1.1", content="other")
        catalogue.store([first], on_conflict=policy)
        (settled,) = catalogue.store([other], on_conflict=policy)
        unneeded = first if stays == "other" else other
        assert (settled.outcome, settled.unneeded_key) == (outcome, unneeded.blob_key)
        assert bool(settled.message) == (stays == "first")
        assert list(catalogue.blob_keys()) == [{"first": first, "other": other}[stays].blob_key]

    def test_of_one_uid_several_times_in_one_call_each_is_settled_in_turn(self, catalogue) -> None:
        one, two = (make_stored("1.2.1.1", content=content) for content in ("one", "two"))
        assert outcomes(catalogue, one, one, two) == ["new", "same", "rejected"]
        settled = catalogue.store([two, one, two], on_conflict="replace")
        assert [each.outcome for each in settled] == ["replaced"] * 3
        # What is needed in the end is not named by any of them.
        assert {each.unneeded_key for each in settled} == {one.blob_key, ""}
        assert list(catalogue.blob_keys()) == [two.blob_key]

    def test_a_replacement_moves_to_its_own_study_and_tells_its_own_values(self, catalogue) -> None:
        catalogue.store(
            [
                make_stored("1.2.1.1", content="old", PatientName="Old^Name"),
                make_stored("1.2.1.2", PatientName="Old^Name"),
            ],
            on_conflict="reject",
        )
        moved = make_stored("1.2.1.1", content="new", study="1.3", series="1.3.1", Modality="MR")
        assert outcomes(catalogue, moved, on_conflict="replace") == ["replaced"]
        counts = {found.uids[0]: told(found) for found in search(catalogue, "study")}
        assert counts["1.2"]["00201208"]["Value"] == counts["1.3"]["00201208"]["Value"] == [1]
        assert counts["1.3"]["00080061"]["Value"] == ["MR"]
        renamed = make_stored("1.2.1.2", content="new", PatientName="New^Name", Modality="PT")
        assert outcomes(catalogue, renamed, on_conflict="replace") == ["replaced"]
        assert search(catalogue, "study", PatientName="Old^Name") == []
        assert not search(catalogue, "study", PatientName="Old", fuzzy=True)
        (study,) = search(catalogue, "study", PatientName="New^Name")
        assert told(study)["00100010"]["Value"] == [{"Alphabetic": "New^Name"}]
        assert told(study)["00080061"]["Value"] == ["PT"]
        assert outcomes(
            catalogue,
            make_stored("1.2.1.2", content="third", study="1.3", series="1.3.1"),
            on_conflict="replace",
        ) == ["replaced"]
        assert catalogue.count() == (1, 1, 2)

    def test_a_blob_of_the_same_bytes_takes_the_place_of_a_file(self, catalogue, tmp_path) -> None:
        stored = make_stored("1.2.1.1")
        path = tmp_path / "1.dcm"
        assert catalogue.add([in_place(path, "1.2.1.1", b"1.2.1.1|")]) == ["instance"]
        (settled,) = catalogue.store([stored], on_conflict="reject")
        assert (settled.outcome, settled.unneeded_key) == ("same", "")
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert (entry.path, entry.blob_key) == ("", stored.blob_key)
        # The scan may look again, or find the file gone: the blob stays.
        assert catalogue.add([in_place(path, "1.2.1.1", b"1.2.1.1|")]) == ["duplicate"]
        catalogue.forget(str(tmp_path), ["1.dcm"])
        assert catalogue.find("1.2.1.1") == entry

    @pytest.mark.parametrize("content", [b"1.2.1.1?", b"of another length"])
    def test_other_bytes_in_place_are_for_the_policy_too(
        self, catalogue, tmp_path, content
    ) -> None:
        path = tmp_path / "1.dcm"
        catalogue.add([in_place(path, "1.2.1.1", content)])
        stored = make_stored("1.2.1.1")
        (rejected,) = catalogue.store([stored], on_conflict="reject")
        assert (rejected.outcome, rejected.unneeded_key) == ("rejected", stored.blob_key)
        assert outcomes(catalogue, stored, on_conflict="keep") == ["kept"]
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert entry.path == str(path)
        assert outcomes(catalogue, stored, on_conflict="replace") == ["replaced"]
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert entry.blob_key == stored.blob_key
        assert catalogue.known_files(str(tmp_path))["1.dcm"][1] == "duplicate"
        # With the blob gone, the next scan is to look at the file anew.
        assert catalogue.remove(["1.2.1.1"]) == [stored.blob_key]
        assert catalogue.known_files(str(tmp_path)) == {}

    def test_a_removed_instance_takes_empty_series_and_studies_along(self, catalogue) -> None:
        twins = [make_stored("1.2.1.1"), make_stored("1.2.2.1", series="1.2.2")]
        shared = make_stored("1.2.1.2")
        other = make_stored("1.3.1.1", study="1.3", series="1.3.1")
        object.__setattr__(other, "blob_key", shared.blob_key)
        catalogue.store([*twins, shared, other], on_conflict="reject")
        assert catalogue.count() == (2, 3, 4)
        assert catalogue.remove(["1.2.1.2", "9.9"]) == []  # the other one needs the blob
        assert catalogue.remove(["1.2.2.1"]) == [twins[1].blob_key]
        assert catalogue.count() == (2, 2, 2)
        (study,) = [found for found in search(catalogue, "study") if found.uids == ("1.2",)]
        assert told(study)["00201206"]["Value"] == told(study)["00201208"]["Value"] == [1]
        assert catalogue.remove(["1.2.1.1", "1.3.1.1"]) == sorted(
            [twins[0].blob_key, shared.blob_key]
        )
        assert catalogue.count() == (0, 0, 0)

    def test_digests_of_a_file_are_kept_while_it_is_that_file(self, catalogue, tmp_path) -> None:
        file = in_place(tmp_path / "1.dcm", "1.2.1.1")
        catalogue.add([file])
        digests = {"sha256": "a" * 64, "served_sha256": "b" * 64, "served_crc32": 0xFFFFFFFF}
        older = type(file.stamp)(file.stamp.size_bytes, 1, file.stamp.inode)
        catalogue.keep_digests("1.2.1.1", older, **digests)
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert (entry.sha256, entry.served_crc32) == ("", None)
        catalogue.keep_digests("1.2.1.1", file.stamp, **digests)
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert (entry.sha256, entry.served_sha256) == ("a" * 64, "b" * 64)
        assert entry.served_crc32 == 0xFFFFFFFF

    def test_every_entry_is_met_once_and_the_newest_first(self, catalogue, tmp_path) -> None:
        uids = [f"1.2.1.{number}" for number in range(1, 1203)]
        for group in itertools.batched(uids, 601):
            catalogue.store([make_stored(uid) for uid in group], on_conflict="reject")
        catalogue.add([in_place(tmp_path / "1.dcm", "1.2.1.9999")])
        met = [entry.instance.sop_instance_uid for entry in catalogue.every_entry()]
        assert met == sorted([*uids, "1.2.1.9999"])
        newest = [entry.instance.sop_instance_uid for entry in catalogue.newest(3)]
        assert newest == ["1.2.1.9999", "1.2.1.1202", "1.2.1.1201"]
        keys = list(catalogue.blob_keys())
        assert keys == sorted(set(keys))
        totals = catalogue.totals()
        assert (totals.studies, totals.series, totals.instances) == (1, 1, 1203)
        assert (totals.instances_in_place, totals.blobs, len(keys)) == (1, 1202, 1202)
        assert totals.blob_bytes == sum(len(f"{uid}|") for uid in uids)

    def test_a_folder_of_bytes_that_are_no_text_is_known(self, catalogue, tmp_path) -> None:
        folder = tmp_path / os.fsdecode(b"caf\xe9")
        folder.mkdir()
        catalogue.add([in_place(folder / "1.dcm", "1.2.1.1")])
        assert catalogue.folders() == [str(folder)]
        assert list(catalogue.known_files(str(folder))) == ["1.dcm"]
        entry = catalogue.find("1.2.1.1")
        assert entry is not None
        assert entry.path == str(folder / "1.dcm")
        catalogue.forget(str(folder), ["1.dcm"])
        assert catalogue.count() == (0, 0, 0)

    def test_a_series_uid_of_two_studies_is_a_series_of_each(self, catalogue) -> None:
        stored = [make_stored(f"{study}.9", study=study, series="7.7") for study in ("1.2", "1.3")]
        catalogue.store(stored, on_conflict="reject")
        assert {found.uids for found in search(catalogue, "series")} == {
            ("1.2", "7.7"),
            ("1.3", "7.7"),
        }
        assert [len(catalogue.entries(study, "7.7")) for study in ("1.2", "1.3")] == [1, 1]

    def test_values_of_any_length_and_kind_are_kept(self, catalogue) -> None:
        odd = make_stored(
            "1.2.1.1",
            PatientID="x" * 3000,
            PatientName='Quote"^Back\\slash\x01=' + "w " * 100,
            Modality='C"T',
            InstanceNumber="99999999999999999999",
        )
        plain = make_stored("1.2.1.2")
        assert outcomes(catalogue, plain, odd) == ["new", "new"]
        found = search(catalogue, "study")
        assert set(told(found[0])["00080061"]["Value"]) == {"CT"}
        assert [each.instance.sop_instance_uid for each in catalogue.entries("1.2")] == [
            "1.2.1.1",  # a number that no database holds counts as none, and comes first
            "1.2.1.2",
        ]

    def test_fuzzy_matching_finds_names_that_are_nearly_so(self, catalogue) -> None:
        catalogue.store(
            [
                make_stored(
                    f"1.{number}.1",
                    study=f"1.{number}",
                    PatientName=name,
                    ReferringPhysicianName="Quux^Any",
                )
                for number, name in enumerate(NAMES)
            ],
            on_conflict="reject",
        )
        for asked, names in NEARLY.items():
            studies = {f"1.{NAMES.index(name)}" for name in names}
            for level in ("study", "series", "instance"):
                found = search(catalogue, level, PatientName=asked, fuzzy=True)
                assert {each.uids[0] for each in found} == studies, asked
            assert not search(catalogue, "study", PatientName=f"{asked} Xavier", fuzzy=True)
            assert not search(catalogue, "study", ReferringPhysicianName=asked, fuzzy=True)

    def test_a_search_finds_what_a_plain_loop_finds(self, catalogue) -> None:
        chosen = random.Random(7)
        objects = naive_matching.make_objects(chosen, count=60)
        stored = [make_stored(made.uid, **made.where, **made.values) for made in objects]
        catalogue.store(stored, on_conflict="reject")
        for _ in range(150):
            keys = naive_matching.make_query(chosen)
            for level in ("study", "series", "instance"):
                found = {each.uids for each in search(catalogue, level, **keys)}
                assert found == naive_matching.find(objects, level, keys), (level, keys)

    def test_what_rows_do_not_keep_comes_from_the_metadata(self, catalogue, tmp_path) -> None:
        sequence = {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["C1"]}}]}
        metadata = {
            "00081032": sequence,
            "00189999": {"vr": "LO", "Value": ["é"]},
            "00400275": {"vr": "SQ"},
        }
        bare = in_place(tmp_path / "2.dcm", "1.2.1.0", InstanceNumber="0")
        catalogue.add([bare])  # has no metadata yet: the next one is asked
        catalogue.store(
            [make_stored("1.2.1.1", metadata=metadata, InstanceNumber="1")], on_conflict="reject"
        )
        fields = frozenset(metadata)
        expected = {
            "study": {"00081032"},
            "series": {"00081032", "00400275"},
            "instance": set(metadata),
        }
        for level, tags in expected.items():
            *_, last = run_search(catalogue, Search(level, fields=fields)).found
            members = told(last)
            assert {tag: members.get(tag) for tag in metadata} == {
                tag: metadata[tag] if tag in tags else None for tag in metadata
            }
            assert last.instance_uids == ("1.2", "1.2.1", "1.2.1.1")

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
        barrier.wait(30)
        return call()

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(run, calls))
