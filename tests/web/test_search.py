"""QIDO-RS: what is found, by which key, and what is told of it."""

from __future__ import annotations

import json

import pytest


def search(client, path: str) -> list[dict]:
    answer = client.get(path, "application/dicom+json")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/dicom+json"
    return json.loads(answer.body)


def uids(found: list[dict], tag: str) -> set[str]:
    return {item[tag]["Value"][0] for item in found}


def test_a_study_tells_its_counts_its_modalities_and_its_address(client) -> None:
    (study,) = search(client, "/studies")
    assert study["0020000D"] == {"vr": "UI", "Value": ["1.2.3"]}
    assert study["00100010"]["Value"] == [{"Alphabetic": "Müller^Jörg"}]
    assert study["00201206"]["Value"] == [3]
    assert study["00201208"]["Value"] == [8]
    assert study["00080061"]["Value"] == ["CT", "SEG", "US"]
    assert study["00081190"]["Value"] == [f"{client.address}/dicom-web/studies/1.2.3"]
    assert study["00081030"]["Value"] == ["Thorax"]


def test_series_and_instances_are_found_below_their_study_and_by_themselves(client) -> None:
    assert uids(search(client, "/studies/1.2.3/series"), "0020000E") == {
        "1.2.3.1",
        "1.2.3.2",
        "1.2.3.3",
    }
    (series,) = search(client, "/series?Modality=US")
    assert series["0020000D"]["Value"] == ["1.2.3"]
    assert series["00201209"]["Value"] == [1]
    assert len(search(client, "/studies/1.2.3/instances")) == 8
    assert len(search(client, "/studies/1.2.3/series/1.2.3.1/instances")) == 6
    (instance,) = search(client, "/instances?SOPInstanceUID=1.2.3.1.1")
    assert instance["00280010"]["Value"] == [256]
    assert instance["00280008"]["Value"] == [7]
    assert instance["00081190"]["Value"][0].endswith("/series/1.2.3.1/instances/1.2.3.1.1")


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("StudyInstanceUID=1.2.3", 1),
        ("0020000D=1.2.3,9.9", 1),
        ("0020000d=9.9", 0),
        ("StudyInstanceUID=9.9%5C1.2.3", 1),
        ("PatientName=*ller*", 1),
        ("PatientName=M%C3%BCLLER%5Ej%C3%B6rg", 1),
        ("PatientName=M%3Fller*", 1),
        ("PatientName=ller*", 0),
        ("PatientID=P1", 1),
        ("PatientID=P%3F", 1),
        ("PatientID=P%25", 0),
        ("00100020=p1", 0),
        ("StudyDate=20240310", 1),
        ("StudyDate=20240101-20240401", 1),
        ("StudyDate=-20240309", 0),
        ("StudyDate=20240310-", 1),
        ("StudyTime=1000-1030", 1),
        ("StudyTime=1031-", 0),
        ("ModalitiesInStudy=SEG", 1),
        ("ModalitiesInStudy=MR", 0),
        ("StudyDescription=*horax", 1),
        ("StudyDescription=*hora_", 0),
        ("Modality=CT", 1),
        ("AccessionNumber=", 1),
        ("NoSuchThing=1", 1),
        ("00400275.00400009=1", 1),
        ("fuzzymatching=true&PatientName=M*", 1),
        ("PatientID=P1&PatientID=P2", 0),
    ],
)
def test_keys_match_as_the_standard_says(client, query, count) -> None:
    assert len(search(client, f"/studies?{query}")) == count


def test_nothing_found_is_an_empty_list(client) -> None:
    answer = client.get("/studies?PatientID=nobody")
    assert (answer.status, answer.body) == (200, b"[]")
    assert answer.headers["content-type"] == "application/dicom+json"


def test_limit_and_offset_page_through_and_a_warning_says_that_there_is_more(client) -> None:
    pages = [search(client, f"/instances?limit=3&offset={offset}") for offset in (0, 3, 6)]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert len(set().union(*(uids(page, "00080018") for page in pages))) == 8
    assert "299" in client.get("/instances?limit=3").headers["warning"]
    assert "warning" not in client.get("/instances?limit=8").headers


@pytest.mark.parametrize("limit", ["-1", "x", "99999999999"])
def test_a_limit_that_is_no_number_is_refused(client, limit) -> None:
    assert client.get(f"/studies?limit={limit}").status == 400


def test_a_date_that_is_none_is_refused_without_repeating_it(client) -> None:
    answer = client.get("/studies?StudyDate=Smith")
    assert answer.status == 400
    assert b"Smith" not in answer.body


def test_include_fields_come_by_keyword_tag_or_all_together(client) -> None:
    path = "/studies/1.2.3/series?limit=1"
    assert "00080021" not in search(client, path)[0]
    for field in (
        "includefield=StudyTime%2C0008103E",
        "includefield=0008103E&includefield=StudyTime",
    ):
        (series,) = search(client, f"{path}&{field}")
        assert {"00080030", "0008103E"} <= set(series)
    (instance,) = search(client, "/instances?SOPInstanceUID=1.2.3.1.1&includefield=all")
    assert {"00280030", "00280101", "00100010", "0008103E"} <= set(instance)


def test_only_json_is_offered(client) -> None:
    xml = 'multipart/related; type="application/dicom+xml"'
    assert client.get("/studies", xml).status == 406
    assert client.get("/studies", "application/json").status == 200


def test_too_many_keys_are_refused(client) -> None:
    assert client.get("/studies?" + "a=1&" * 300).status == 400
    assert client.get("/studies?PatientID=" + "1" * 5000).status == 400
    assert client.get("/studies?" + "a" * 62_000).status == 414


def test_fuzzy_matching_is_done_where_it_is_asked_for(client) -> None:
    assert search(client, "/studies?PatientName=Mueller+Joerg") == []
    assert len(search(client, "/studies?fuzzymatching=true&PatientName=Mueller")) == 1
    answer = client.get("/studies?fuzzymatching=true&PatientName=jorg%5Emuler")
    assert len(json.loads(answer.body)) == 1
    assert "warning" not in answer.headers
    assert search(client, "/studies?fuzzymatching=true&PatientName=Miranda") == []


def test_any_attribute_is_told_where_the_whole_metadata_is_there(client) -> None:
    assert client.get("/studies/1.2.3/series/1.2.3.1/metadata").status == 200
    path = "/instances?SOPInstanceUID=1.2.3.1.3&includefield=RequestAttributesSequence,00291010"
    (instance,) = search(client, path)
    assert instance["00400275"]["vr"] == "SQ"
    (item,) = instance["00400275"]["Value"]
    address = item["00291011"]["BulkDataURI"]
    assert address.startswith(f"{client.address}/dicom-web/studies/1.2.3/series/1.2.3.1/")
    assert client.ask(address.removeprefix(client.address)).status == 200
    assert list(instance) == sorted(instance)
    # A private attribute may be another in the next instance: it is told of instances alone.
    (study,) = search(client, "/studies?includefield=00291010")
    assert "00291010" not in study


def test_a_range_of_dates_and_one_of_times_are_one_range(client) -> None:
    night = "StudyDate=20240309-20240310&StudyTime="
    assert len(search(client, f"/studies?{night}2200-1031")) == 1
    assert search(client, f"/studies?{night}2200-1029") == []


@pytest.mark.parametrize("value", ["%00", "a%00b"])
def test_a_value_that_no_database_holds_is_refused(client, value) -> None:
    assert client.get(f"/studies?PatientID={value}").status == 400
