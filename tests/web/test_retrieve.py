"""WADO-RS: instances, metadata and bulk data, and what is done with paths that are none."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless

DICOM = "application/dicom"
ANY = f"{DICOM}; transfer-syntax=*"


def test_an_instance_comes_as_stored_with_its_preamble_zeroed(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    data = sample.path.read_bytes()
    sample.path.write_bytes(b"MZ" + b"\x90" * 126 + data[128:])
    with run_server(folder, tmp_path / "store") as client:
        answer = client.get(sample.url, DICOM)
        part = client.get(sample.url, DICOM, Range="bytes=100-199")
    assert answer.body == bytes(128) + data[128:]
    assert answer.headers["content-type"] == f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1"
    assert part.body == answer.body[100:200]


@pytest.mark.parametrize("name", ["implicit", "big_endian"])
def test_implicit_and_big_endian_never_go_over_the_web(client, samples, name) -> None:
    sample = getattr(samples, name)
    for accept in (DICOM, ANY, "*/*"):
        answer = client.get(sample.url, accept)
        found = dcmread(io.BytesIO(answer.body))
        assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert found.PatientID == "P1"
        expected = sample.samples.tobytes()
        assert found.PixelData == expected


def test_compressed_comes_uncompressed_unless_its_syntax_is_accepted(client, samples) -> None:
    plain = dcmread(io.BytesIO(client.get(samples.j2k.url, DICOM).body))
    assert plain.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert plain.PixelData == samples.j2k.samples.tobytes()
    for accept in (ANY, f"{DICOM}; transfer-syntax={JPEG2000Lossless}"):
        assert client.get(samples.j2k.url, accept).body == samples.j2k.path.read_bytes()


def test_an_instance_can_be_had_progressive(client, samples) -> None:
    accept = f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.202"
    found = dcmread(io.BytesIO(client.get(samples.ct.url, accept).body))
    assert found.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.202"
    assert found.SOPInstanceUID == "1.2.3.1.1"
    np.testing.assert_array_equal(found.pixel_array, samples.ct.samples)


@pytest.mark.parametrize(
    ("path", "count"), [("/studies/1.2.3/series/1.2.3.1", 6), ("/studies/1.2.3", 8)]
)
def test_series_and_studies_come_as_multipart(client, samples, path, count) -> None:
    accept = f'multipart/related; type="{DICOM}"; transfer-syntax=*'
    client.get(path, accept)  # what has to be made for it is there when that has come
    answer = client.get(path, accept)
    parts = answer.parts()
    assert len(parts) == count
    found = {dcmread(io.BytesIO(data)).SOPInstanceUID for _, data in parts}
    assert "1.2.3.1.1" in found
    assert len(found) == count
    part = client.get(path, accept, Range="bytes=1000-250000", If_Range=answer.headers["etag"])
    assert part.status == 206
    assert part.body == answer.body[1000:250001]


def test_a_series_does_not_fit_in_a_single_part(client) -> None:
    assert client.get("/studies/1.2.3/series/1.2.3.1", DICOM).status == 406


@pytest.mark.parametrize("name", ["ct", "implicit", "big_endian", "planar", "j2k", "bits"])
def test_metadata_is_pydicoms_without_pixels_and_group_2(client, samples, name) -> None:
    sample = getattr(samples, name)
    answer = client.get(f"{sample.url}/metadata", "application/dicom+json")
    (found,) = json.loads(answer.body)
    expected = dcmread(sample.path, stop_before_pixels=True).to_json_dict(
        bulk_data_threshold=1024, bulk_data_element_handler=lambda element: "bulk"
    )
    pixels = found.pop("7FE00010")
    assert pixels["BulkDataURI"] == f"{client.address}/dicom-web{sample.url}/bulkdata/7FE00010"
    for element in ("00291010", "00400275"):
        assert (element in found) == (element in expected)
        found.pop(element, None)
        expected.pop(element, None)
    assert found == expected


def test_metadata_of_a_series_and_a_study_is_that_of_their_instances(client) -> None:
    for path, count in (("/studies/1.2.3/series/1.2.3.1", 6), ("/studies/1.2.3", 8)):
        answers = [client.get(f"{path}/metadata") for _ in range(2)]
        assert answers[0].body == answers[1].body
        found = json.loads(answers[0].body)
        assert len(found) == count
        assert {item["0020000D"]["Value"][0] for item in found} == {"1.2.3"}


def test_bulk_data_resolves_and_honours_range(client, samples) -> None:
    (found,) = json.loads(client.get(f"{samples.implicit.url}/metadata").body)
    url = found["00291010"]["BulkDataURI"].removeprefix(f"{client.address}/dicom-web")
    expected = bytes(range(256)) * 20
    assert client.get(url).body == expected
    assert client.get(url, Range="bytes=300-309").body == expected[300:310]
    nested = found["00400275"]["Value"][0]["00291011"]["BulkDataURI"]
    nested = nested.removeprefix(f"{client.address}/dicom-web")
    assert client.get(nested).body == b"nested" * 300
    multipart = 'multipart/related; type="application/octet-stream"'
    ((content_type, data),) = client.get(url, multipart).parts()
    assert (content_type, data) == ("application/octet-stream", expected)


def test_pixel_data_is_bulk_data_too(client, samples) -> None:
    url = f"{samples.ct.url}/bulkdata/7FE00010"
    assert client.get(url).body == samples.ct.samples.tobytes()
    part = client.get(url, Range="bytes=100000-100099")
    assert part.body == samples.ct.samples.tobytes()[100000:100100]
    frames = client.get(f"{samples.big_endian.url}/bulkdata/7FE00010").parts()
    assert b"".join(data for _, data in frames) == samples.big_endian.samples.tobytes()


@pytest.mark.parametrize("path", ["00990099", "00400275/7/00291011", "00291010/0/00291010"])
def test_bulk_data_that_is_not_there_is_not_found(client, samples, path) -> None:
    assert client.get(f"{samples.implicit.url}/bulkdata/{path}").status == 404


@pytest.mark.parametrize(
    "path", ["x", "..%2F..%2Fetc%2Fpasswd", "00291010/0", "00291010/x/00291010"]
)
def test_a_bulk_data_path_that_is_none_is_refused(client, samples, path) -> None:
    assert client.get(f"{samples.implicit.url}/bulkdata/{path}").status in (400, 404)


@pytest.mark.parametrize(
    "uid", ["..", "%2E%2E%2F", "1.2.3%00", "1" * 65, "a", "1.2.3%2F..", "%F0%9F%92%A9"]
)
def test_what_is_no_uid_is_not_found(client, uid) -> None:
    for path in (
        f"/studies/{uid}",
        f"/studies/{uid}/metadata",
        f"/studies/1.2.3/series/{uid}/metadata",
        f"/studies/1.2.3/series/1.2.3.1/instances/{uid}/frames/1",
    ):
        assert client.get(path).status == 404


def test_an_instance_is_not_found_below_another_series(client) -> None:
    path = "/studies/1.2.3/series/1.2.3.2/instances/1.2.3.1.1/metadata"
    assert client.get(path).status == 404


def test_a_file_that_has_gone_is_answered_with_that(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    kept = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    gone = make_instance(folder / "b.dcm", "1.2.3.1.2", make_ct_samples(1, 32))
    with run_server(folder, tmp_path / "store") as client:
        assert client.get(f"{gone.url}/frames/1").status == 200
        gone.path.unlink()
        for path in ("/frames/1", "/metadata", "", "/frames/1"):
            assert client.get(gone.url + path).status == 410
        assert client.get(f"{kept.url}/frames/1").status == 200
        assert len(json.loads(client.get("/instances").body)) == 1
        gone.path.mkdir()
        kept.path.unlink()
        assert client.get("/studies/1.2.3/metadata").status == 404


def test_a_file_that_was_replaced_is_indexed_anew_before_it_is_served(
    tmp_path, run_server, make_instance, make_ct_samples
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    old = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(3, 48))
    accept = "multipart/related; type=application/octet-stream; transfer-syntax=*"
    with run_server(folder, tmp_path / "store") as client:
        paths = [f"{old.url}/frames/1", f"{old.url}/metadata", old.url]
        before = [client.get(path, accept if "frames" in path else None) for path in paths]
        new = make_instance(tmp_path / "new.dcm", "1.2.3.1.1", make_ct_samples(2, 64, 9))
        new.path.replace(old.path)
        after = [client.get(path, accept if "frames" in path else None) for path in paths]
        raw = client.get(paths[0], "application/octet-stream")
        resumed = client.get(
            paths[0], accept, Range="bytes=10-", If_Range=before[0].headers["etag"]
        )
    for one, other in zip(before, after, strict=True):
        assert one.headers["etag"] != other.headers["etag"]
        assert one.body != other.body
    assert raw.body == new.samples[0].tobytes()
    assert resumed.status == 200
    assert resumed.body == after[0].body


def test_what_is_there_can_be_served_again_after_a_restart_without_parsing(
    tmp_path, run_server, make_instance, make_ct_samples, monkeypatch
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(2, 32))
    with run_server(folder, tmp_path / "store") as client:
        first = client.get(f"{sample.url}/frames/2").body

    def refuse(*_: object) -> None:
        raise AssertionError("a file that had not changed was parsed again")

    monkeypatch.setattr("mersey.engine.archive.folder_index.index_rows", refuse)
    with run_server(folder, tmp_path / "store") as client:
        assert client.get(f"{sample.url}/frames/2").body == first


def test_objects_without_pixels_are_served_and_have_no_frames(tmp_path, run_server) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    report = Dataset()
    report.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    report.SOPInstanceUID = "1.2.5.1.1"
    report.StudyInstanceUID, report.SeriesInstanceUID = "1.2.5", "1.2.5.1"
    report.Modality = "SR"
    report.TextValue = "nothing found"
    report.save_as(folder / "bare", implicit_vr=True, little_endian=True)
    with run_server(folder, tmp_path / "store") as client:
        url = "/studies/1.2.5/series/1.2.5.1/instances/1.2.5.1.1"
        found = dcmread(io.BytesIO(client.get(url, DICOM).body))
        assert found.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert found.TextValue == "nothing found"
        assert client.get(f"{url}/frames/1").status == 404
        (metadata,) = json.loads(client.get(f"{url}/metadata").body)
        assert metadata["0040A160"]["Value"] == ["nothing found"]


def test_capabilities_are_told_in_open_api(client) -> None:
    for path in ("/", "/dicom-web", "/dicom-web/"):
        answer = client.ask(path, method="OPTIONS")
        assert answer.status == 200
        described = json.loads(answer.body)
        assert described["openapi"].startswith("3.")
        assert "/studies" in described["paths"]


def test_errors_are_json_and_unknown_addresses_are_not_found(client) -> None:
    answer = client.get("/nothing/here")
    assert answer.status == 404
    assert json.loads(answer.body)["message"]
    assert client.ask("/dicom-web/series", method="POST").status == 405


@pytest.mark.parametrize("host", ['evil"onload=', "a b", "<x>", "h" * 300])
def test_a_host_that_is_none_does_not_get_into_addresses(client, samples, host) -> None:
    answer = client.get(f"{samples.ct.url}/metadata", Host=host)
    assert host.encode() not in answer.body


def test_addresses_have_the_port_even_where_a_client_leaves_it_out_of_host(client, samples) -> None:
    for host in ("127.0.0.1", "localhost"):  # as dicomweb-client 0.61 does
        answer = client.get(f"{samples.ct.url}/metadata", Host=host)
        port = client.address.rpartition(":")[2]
        (dataset,) = json.loads(answer.body)
        assert dataset["7FE00010"]["BulkDataURI"].startswith(f"http://{host}:{port}/dicom-web/")


@pytest.mark.parametrize("host", ["pacs.example", "pacs.example:8443"])
def test_addresses_are_those_of_the_proxy_that_a_client_asked(client, samples, host) -> None:
    answer = client.get(f"{samples.ct.url}/metadata", Host=host)
    (dataset,) = json.loads(answer.body)
    assert dataset["7FE00010"]["BulkDataURI"].startswith(f"http://{host}/dicom-web/")
