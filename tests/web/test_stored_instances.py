"""What was stored by STOW-RS comes back in every form that files in place come in."""

from __future__ import annotations

import http.client
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.web import server
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from .samples import write

_STUDY = "1.2.3"
_CT, _PDF = "1.2.3.1.1", "1.2.3.9.2"
_HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"


def make_document(path: Path) -> bytes:
    """A PDF of words: it is kept compressed, with a preamble that is not zero."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = EncapsulatedPDFStorage, _PDF
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _STUDY, "1.2.3.9"
    dataset.PatientID, dataset.Modality = "P1", "DOC"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocument = b"%PDF-1.4 words and words again\n" * 4000
    write(path, dataset)
    data = bytearray(path.read_bytes())
    data[:4] = b"II*\0"
    return bytes(data)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, make_instance, make_ct_samples) -> Any:
    folder = tmp_path_factory.mktemp("originals")
    ct = make_instance(folder / "ct.dcm", _CT, make_ct_samples(3, 128))
    return ct, ct.path.read_bytes(), make_document(folder / "document.dcm")


@pytest.fixture(scope="module")
def archive(originals: Any, tmp_path_factory: pytest.TempPathFactory, run_server) -> Iterator[Any]:
    """A client of a server whose instances all came by STOW-RS, and its store."""
    store = tmp_path_factory.mktemp("store")
    with run_server(tmp_path_factory.mktemp("nothing"), store) as client:
        assert post(client.address, originals[1:]) == 200
        yield client, store


def post(address: str, files: Any) -> int:
    body = b"".join(
        b"--bound\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n" for data in files
    )
    content_type = 'multipart/related; type="application/dicom"; boundary=bound'
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=240)) as connection:
        connection.request(
            "POST", "/dicom-web/studies", body + b"--bound--\r\n", {"Content-Type": content_type}
        )
        answer = connection.getresponse()
        answer.read()
        return answer.status


def served(data: bytes) -> bytes:
    """A file as it is served: its preamble is zero."""
    return bytes(128) + data[128:]


def test_images_are_kept_as_they_came_and_documents_compressed(archive: Any) -> None:
    _, store = archive
    suffixes = sorted(path.suffix for path in (store / "blobs").rglob("*.dcm*") if path.is_file())
    assert suffixes == [".dcm", ".zst"]


def test_instances_come_back_byte_for_byte(archive: Any, originals: Any) -> None:
    client, _ = archive
    ct, ct_bytes, document = originals
    assert client.get(ct.url, "application/dicom").body == served(ct_bytes)
    url = f"/studies/{_STUDY}/series/1.2.3.9/instances/{_PDF}"
    assert client.get(url, "application/dicom").body == served(document)
    part = client.get(url, "application/dicom", Range="bytes=100-999")
    assert (part.status, part.body) == (206, served(document)[100:1000])


def test_frames_come_raw_and_progressively(archive: Any, originals: Any) -> None:
    import imagecodecs

    client, _ = archive
    ct = originals[0]
    raw = client.get(
        f"{ct.url}/frames/2", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert raw.body == ct.samples[1].tobytes()
    accept = f'multipart/related; type="image/jphc"; transfer-syntax={_HTJ2K_LOSSLESS_RPCL}'
    [(_, frame)] = client.get(f"{ct.url}/frames/3", accept).parts()
    assert np.array_equal(imagecodecs.htj2k_decode(frame), ct.samples[2])
    syntax = f"application/dicom; transfer-syntax={_HTJ2K_LOSSLESS_RPCL}"
    whole = dcmread(io.BytesIO(client.get(ct.url, syntax).body))
    assert whole.file_meta.TransferSyntaxUID == _HTJ2K_LOSSLESS_RPCL


def test_pictures_metadata_and_bulk_data_are_made_of_blobs(archive: Any, originals: Any) -> None:
    client, _ = archive
    ct = originals[0]
    picture = client.get(f"{ct.url}/rendered", "image/jpeg")
    assert (picture.status, picture.body[:2]) == (200, b"\xff\xd8")
    metadata = client.get(f"/studies/{_STUDY}/metadata", "application/dicom+json")
    found = {one["00080018"]["Value"][0]: one for one in json.loads(metadata.body)}
    assert sorted(found) == [_CT, _PDF]
    address = urlsplit(found[_PDF]["00420011"]["BulkDataURI"]).path
    value = client.ask(address, headers={"Accept": "application/octet-stream"})
    assert value.body == b"%PDF-1.4 words and words again\n" * 4000


def test_the_study_comes_in_parts_and_as_an_archive(archive: Any, originals: Any) -> None:
    client, _ = archive
    expected = sorted(served(data) for data in originals[1:])
    parts = client.get(
        f"/studies/{_STUDY}", 'multipart/related; type="application/dicom"; transfer-syntax=*'
    ).parts()
    assert sorted(data for _, data in parts) == expected
    archived = client.get(f"/studies/{_STUDY}", "application/zip; transfer-syntax=*")
    with zipfile.ZipFile(io.BytesIO(archived.body)) as file:
        assert file.testzip() is None
        assert sorted(file.read(name) for name in file.namelist()) == expected


class Elsewhere(DirectoryBlobs):
    """A store whose blobs are no local files."""

    def path_of(self, key: str) -> None:  # type: ignore[override]
        return None


@pytest.fixture(scope="module")
def remote(originals: Any, tmp_path_factory: pytest.TempPathFactory, run_server) -> Iterator[Any]:
    """As `archive`, with the blobs elsewhere."""
    store = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "open_blobs", lambda _, *, local: Elsewhere(local))
        with run_server(tmp_path_factory.mktemp("nothing"), store) as client:
            assert post(client.address, originals[1:]) == 200
            yield client, store


def test_an_image_elsewhere_is_read_in_ranges_and_not_copied(remote: Any, originals: Any) -> None:
    client, store = remote
    ct, ct_bytes, document = originals
    raw = client.get(
        f"{ct.url}/frames/2", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    )
    assert raw.body == ct.samples[1].tobytes()
    assert client.get(ct.url, "application/dicom").body == served(ct_bytes)
    [key] = [path.name for path in (store / "blobs").rglob("*.dcm")]
    assert not (store / "copies" / key).exists()
    url = f"/studies/{_STUDY}/series/1.2.3.9/instances/{_PDF}"
    assert client.get(url, "application/dicom").body == served(document)


def test_a_frame_and_a_picture_are_made_of_an_image_elsewhere(remote: Any, originals: Any) -> None:
    client, _ = remote
    ct = originals[0]
    assert client.get(f"{ct.url}/rendered", "image/jpeg").status == 200
    accept = f"image/jphc; transfer-syntax={_HTJ2K_LOSSLESS_RPCL}"
    assert client.get(f"{ct.url}/frames/3", accept).status == 200
    syntax = f"application/dicom; transfer-syntax={_HTJ2K_LOSSLESS_RPCL}"
    whole = dcmread(io.BytesIO(client.get(ct.url, syntax).body))
    assert whole.file_meta.TransferSyntaxUID == _HTJ2K_LOSSLESS_RPCL


def test_a_copy_that_went_is_made_again(remote: Any, originals: Any) -> None:
    client, store = remote
    url = f"/studies/{_STUDY}/series/1.2.3.9/instances/{_PDF}"
    for _ in range(2):
        assert client.get(url, "application/dicom").body == served(originals[2])
        for copy in (store / "copies").iterdir():
            copy.unlink()
