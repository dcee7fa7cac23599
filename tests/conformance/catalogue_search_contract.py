"""What a catalogue finds, on every database; a part of `CatalogueContract`."""

from __future__ import annotations

import random

import naive_matching
from catalogue_answers import in_place, outcomes, search, told
from made_instances import make_stored
from mersey.engine.archive.search import Search, run_search

__all__ = ["CatalogueSearchContract"]
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


class CatalogueSearchContract:
    """Every match that a plain loop finds, and no other."""

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
