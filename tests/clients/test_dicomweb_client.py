"""dicomweb-client, the DICOMweb client of Python, against a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = pytest.mark.long

RPCL = "1.2.840.10008.1.2.4.202"


@pytest.fixture(params=["original", "progressive"])
def client(request: pytest.FixtureRequest) -> Any:
    """A client of the study as it was written, and of its progressive form."""
    api = pytest.importorskip("dicomweb_client.api", reason="dicomweb-client is not installed")
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    return api.DICOMwebClient(server.root)


def uids(path: Path) -> tuple[str, str, str]:
    dataset = dcmread(path, stop_before_pixels=True)
    return dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID


def test_searches_at_every_level_find_what_there_is(client: Any, study: SampleStudy) -> None:
    (found,) = client.search_for_studies(search_filters={"PatientID": "MERSEY-SAMPLE"})
    dataset = Dataset.from_json(found)
    assert dataset.StudyInstanceUID == study.study_instance_uid
    assert dataset.NumberOfStudyRelatedInstances == len(study.files)
    assert set(dataset.ModalitiesInStudy) == {"CT", "US"}
    series = client.search_for_series(study.study_instance_uid)
    assert sorted(Dataset.from_json(each).Modality for each in series) == ["CT", "CT", "US"]
    _, series_uid, _ = uids(study.ct_series[0])
    instances = client.search_for_instances(
        study.study_instance_uid, series_uid, fields=["InstanceNumber"], limit=1000
    )
    numbers = {Dataset.from_json(each).InstanceNumber for each in instances}
    assert numbers == set(range(1, len(study.ct_series) + 1))
    assert client.search_for_studies(search_filters={"PatientID": "NOBODY"}) == []


def test_searches_can_be_paged(client: Any, study: SampleStudy) -> None:
    found = [
        each["00080018"]["Value"][0]
        for offset in range(0, len(study.files), 7)
        for each in client.search_for_instances(limit=7, offset=offset)
    ]
    assert sorted(found) == sorted(uids(path)[2] for path in study.files)


def test_an_instance_is_the_one_that_was_written(client: Any, study: SampleStudy) -> None:
    for path in (study.ct_series[2], study.us_cine):
        source = dcmread(path)
        explicit = (("application/dicom", "1.2.840.10008.1.2.1"),)
        dataset = client.retrieve_instance(*uids(path), media_types=explicit)
        assert dataset.SOPInstanceUID == source.SOPInstanceUID
        assert dataset.PatientName == source.PatientName
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        np.testing.assert_array_equal(dataset.pixel_array, source.pixel_array)


def test_an_instance_comes_as_it_is_stored_where_nothing_else_is_asked_for(
    client: Any, study: SampleStudy, request: pytest.FixtureRequest
) -> None:
    path = study.enhanced_ct
    dataset = client.retrieve_instance(*uids(path))  # asks for transfer-syntax=*
    stored = RPCL if "progressive" in request.node.name else "1.2.840.10008.1.2.1"
    assert dataset.file_meta.TransferSyntaxUID == stored
    np.testing.assert_array_equal(dataset.pixel_array, dcmread(path).pixel_array)


def test_a_series_comes_whole(client: Any, study: SampleStudy) -> None:
    study_uid, series_uid, _ = uids(study.ct_series[0])
    found = client.retrieve_series(study_uid, series_uid)
    assert len(found) == len(study.ct_series)
    by_uid = {dataset.SOPInstanceUID: dataset for dataset in found}
    for path in study.ct_series:
        source = dcmread(path)
        samples = by_uid[source.SOPInstanceUID].pixel_array
        np.testing.assert_array_equal(samples, source.pixel_array)


def test_frames_come_decoded_in_the_order_asked(client: Any, study: SampleStudy) -> None:
    source = dcmread(study.enhanced_ct)
    found = client.retrieve_instance_frames(*uids(study.enhanced_ct), frame_numbers=[5, 1, 6])
    for data, index in zip(found, (4, 0, 5), strict=True):
        samples = np.frombuffer(data, "<u2").reshape(512, 512)
        np.testing.assert_array_equal(samples, source.pixel_array[index])


def test_metadata_is_the_data_set_and_its_bulk_data_is_the_pixels(
    client: Any, study: SampleStudy
) -> None:
    path = study.ct_series[4]
    source = dcmread(path)
    found = client.retrieve_instance_metadata(*uids(path))
    address = found["7FE00010"]["BulkDataURI"]
    dataset = Dataset.from_json({tag: found[tag] for tag in found if tag != "7FE00010"})
    for name in ("Rows", "PixelSpacing", "RescaleIntercept", "PatientName", "StudyDate"):
        assert dataset[name].value == source[name].value
    (data,) = client.retrieve_bulkdata(address)
    assert data == source.PixelData
    series = client.retrieve_series_metadata(*uids(path)[:2])
    assert len(series) == len(study.ct_series)
