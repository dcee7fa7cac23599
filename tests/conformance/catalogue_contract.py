"""What a catalogue promises on every database: subclass `CatalogueContract`, say how to open one.

`opened` gives another connection to the same catalogue each time, as other processes have it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest
from catalogue_answers import in_place, outcomes, search, told
from catalogue_search_contract import CatalogueSearchContract
from catalogue_sharing_contract import CatalogueSharingContract
from made_instances import make_stored
from mersey.engine.archive.blobs import COMPRESSED
from mersey.engine.archive.catalogue import Catalogue

__all__ = ["CatalogueContract"]


class CatalogueContract(CatalogueSearchContract, CatalogueSharingContract):
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
