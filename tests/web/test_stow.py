"""Store requests: what is taken, what is refused and why, and what is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import http.client
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.codecs.errors import UsageError
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.directory_blobs import DirectoryBlobs
from mersey.engine.archive.ingest import Ingest
from mersey.engine.archive.stored import OnConflict
from mersey.engine.runtime.intake import Intake
from mersey.engine.web.status import RefusedError, status_of
from mersey.engine.web.store_response import store_response
from mersey.engine.web.stow import receive_objects
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    RawDataStorage,
    RTStructureSetStorage,
    SegmentationStorage,
    TwelveLeadECGWaveformStorage,
)

from .samples import part10

PARTS = 'multipart/related; type="application/dicom"; boundary=bound'
JSON_PARTS = 'multipart/related; type="application/dicom+json"; boundary=bound'


@dataclass(frozen=True, slots=True)
class Stored:
    """The answer to a store request."""

    status: int
    dataset: dict[str, Any]

    def uids(self, tag: str = "00081199") -> list[str]:
        items = self.dataset.get(tag, {}).get("Value", [])
        return [item["00081155"]["Value"][0] for item in items]

    def reasons(self) -> list[int]:
        items = [
            item
            for tag in ("00081198", "0008119A")
            for item in self.dataset.get(tag, {}).get("Value", [])
        ]
        assert all(item["00000902"]["Value"][0] for item in items)
        return [item["00081197"]["Value"][0] for item in items]


class Archive:
    """A store with an intake; each `stow` is one request."""

    def __init__(self, folder: Path) -> None:
        self.blobs = DirectoryBlobs(folder)
        self.catalogue = Catalogue.open(folder / "catalogue.sqlite")

    def stow(
        self,
        body: bytes | Sequence[bytes],
        content_type: str = PARTS,
        *,
        study_uid: str | None = None,
        on_conflict: OnConflict = "reject",
        piece_bytes: int = 1 << 16,
        fail_after: BaseException | None = None,
    ) -> Stored:
        async def stream() -> AsyncIterator[bytes]:
            for data in [body] if isinstance(body, bytes) else body:
                for start in range(0, len(data), piece_bytes):
                    yield data[start : start + piece_bytes]
            if fail_after is not None:
                raise fail_after

        async def run() -> Stored:
            ingest = Ingest(self.blobs, self.catalogue, on_conflict=on_conflict)
            with ThreadPoolExecutor(2) as pool:
                intake = Intake(ingest, executor=pool, examiners=2)
                async with asyncio.TaskGroup() as group:
                    working = group.create_task(intake.run())
                    try:
                        report = await receive_objects(
                            content_type, stream(), study_uid=study_uid, intake=intake
                        )
                    finally:
                        working.cancel()
            response = store_response(report, base="http://here/dicom-web")
            return Stored(response.status_code, json.loads(response.body))

        try:
            return asyncio.run(run())
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    def original(self, uid: str) -> bytes:
        entry = self.catalogue.find(uid)
        assert entry is not None
        data = self.blobs.read_at(entry.blob_key, 0, 1 << 30)
        if entry.blob_key.endswith(".zst"):
            import zstandard

            data = zstandard.ZstdDecompressor().decompress(data)
        assert hashlib.sha256(data).hexdigest() == entry.sha256
        return data

    def left_over(self) -> list[str]:
        return os.listdir(self.blobs.incoming)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    opened = Archive(tmp_path)
    yield opened
    assert not opened.left_over()
    opened.catalogue.close()


def object_of(uid: str, sop_class: str, *, study: str = "1.2.3") -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.PatientID = "P1"
    return dataset


def ct(uid: str = "1.2.3.5", *, seed: int = 0, size: int = 16, pixels: bytes = b"") -> Dataset:
    dataset = object_of(uid, CTImageStorage)
    dataset.Rows = dataset.Columns = size
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    data = np.random.default_rng(seed).integers(0, 4096, (size, size), np.uint16).tobytes()
    dataset.PixelData = pixels + data[len(pixels) :]
    dataset["PixelData"].VR = "OW"
    return dataset


def part(data: bytes, fields: str = "Content-Type: application/dicom\r\n") -> bytes:
    return b"--bound\r\n" + fields.encode() + b"\r\n" + data + b"\r\n"


def body_of(*files: bytes) -> bytes:
    return b"".join(map(part, files)) + b"--bound--\r\n"


def test_all_stored_is_200_with_where_to_get_them(archive: Archive) -> None:
    files = [part10(ct(f"1.2.3.{n}", seed=n)) for n in range(3)]
    answer = archive.stow(body_of(*files))
    assert answer.status == 200
    assert answer.uids() == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
    assert answer.dataset["00081190"]["Value"] == ["http://here/dicom-web/studies/1.2.3"]
    assert answer.dataset["00081199"]["Value"][1]["00081190"]["Value"] == [
        "http://here/dicom-web/studies/1.2.3/series/1.2.3.1/instances/1.2.3.1"
    ]
    assert archive.original("1.2.3.1") == files[1]


@pytest.mark.parametrize("piece_bytes", [1, 7, 1000])
def test_pieces_may_be_cut_anywhere(archive: Archive, piece_bytes: int) -> None:
    file = part10(ct())
    assert archive.stow(body_of(file), piece_bytes=piece_bytes).status == 200
    assert archive.original("1.2.3.5") == file


def test_one_file_alone_is_taken(archive: Archive) -> None:
    file = part10(ct())
    assert archive.stow(file, "application/dicom").status == 200
    assert archive.original("1.2.3.5") == file


def test_a_file_longer_than_what_is_kept_in_memory_is_stored(archive: Archive) -> None:
    file = part10(ct(size=2048))
    assert archive.stow(body_of(file)).status == 200
    assert archive.original("1.2.3.5") == file


def test_a_thousand_small_instances_in_one_request(archive: Archive) -> None:
    files = [part10(ct(f"1.2.3.{n}", size=2)) for n in range(1000)]
    answer = archive.stow(body_of(*files))
    assert answer.status == 200
    assert len(answer.uids()) == 1000
    assert archive.catalogue.count() == (1, 1, 1000)


@pytest.mark.parametrize(
    ("policy", "status", "reasons", "held"),
    [("reject", 409, [0x0111], 1), ("replace", 200, [], 2), ("keep", 202, [], 1)],
)
def test_of_other_bytes_the_policy_decides(archive, policy, status, reasons, held) -> None:
    files = {seed: part10(ct(seed=seed)) for seed in (1, 2)}
    assert archive.stow(body_of(files[1])).status == 200
    answer = archive.stow(body_of(files[2]), on_conflict=policy)
    assert (answer.status, answer.reasons()) == (status, reasons)
    assert archive.original("1.2.3.5") == files[held]
    assert archive.stow(body_of(files[held])).status == 200


def test_what_belongs_to_another_study_than_addressed_fails(archive: Archive) -> None:
    other = object_of("9.9.1", ComprehensiveSRStorage, study="9.9")
    answer = archive.stow(body_of(part10(ct()), part10(other)), study_uid="1.2.3")
    assert (answer.status, answer.reasons()) == (202, [0xA900])
    assert answer.uids() == ["1.2.3.5"]
    assert answer.uids("00081198") == ["9.9.1"]
    assert archive.catalogue.find("9.9.1") is None


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("text/plain", 415),
        ("multipart/form-data; boundary=bound", 415),
        ('multipart/related; type="application/dicom+xml"; boundary=bound', 415),
        ('multipart/related; type="application/dicom"', 400),
        (f'multipart/related; type="application/dicom"; boundary={"b" * 71}', 400),
    ],
)
def test_media_types_that_are_not_taken_are_refused_unread(archive, content_type, status) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was asked for")
        yield b""

    with ThreadPoolExecutor(1) as pool:
        intake = Intake(Ingest(archive.blobs, archive.catalogue), executor=pool, examiners=1)
        request = receive_objects(content_type, never(), study_uid=None, intake=intake)
        with pytest.raises(UsageError) as caught:
            asyncio.run(request)
    assert status_of(caught.value) == status


@pytest.mark.parametrize("study_uid", ["..", "1..2", "1.2/3", "1" * 10_000, "x"])
def test_a_study_that_is_no_uid_is_refused(archive: Archive, study_uid: str) -> None:
    with pytest.raises(RefusedError):
        archive.stow(body_of(part10(ct())), study_uid=study_uid)
    assert archive.catalogue.count() == (0, 0, 0)


def test_a_content_length_that_lies_fails_its_part_alone(archive: Archive) -> None:
    good, bad = part10(ct("1.2.3.1")), part10(ct("1.2.3.2"))
    lying = f"Content-Type: application/dicom\r\nContent-Length: {len(bad) + 8}\r\n"
    honest = f"Content-Type: application/dicom\r\nContent-Length: {len(good)}\r\n"
    answer = archive.stow(part(bad, lying) + part(good, honest) + b"--bound--")
    assert (answer.status, answer.reasons()) == (202, [0xC000])
    assert answer.uids() == ["1.2.3.1"]
    assert archive.catalogue.find("1.2.3.2") is None


def test_a_boundary_within_pixel_data_stores_nothing_in_half(archive: Archive) -> None:
    trap = part10(ct("1.2.3.2", size=64, pixels=b"\r\n--bound\r\n\r\n"))
    near = part10(ct("1.2.3.3", size=64, pixels=b"\r\n--boun\r\n--boundX\r\n--bound-"))
    answer = archive.stow(body_of(trap, near))
    assert answer.status == 202
    assert answer.uids() == ["1.2.3.3"]
    assert archive.original("1.2.3.3") == near
    assert archive.catalogue.count() == (1, 1, 1)


def test_of_a_body_cut_short_only_whole_parts_are_stored(archive: Archive) -> None:
    first, second = part10(ct("1.2.3.1")), part10(ct("1.2.3.2"))
    body = body_of(first, second)
    answer = archive.stow(body[:-30])
    assert (answer.status, answer.uids(), answer.reasons()) == (202, ["1.2.3.1"], [0xC000])
    with pytest.raises(UsageError, match="ends before its last boundary"):
        archive.stow(part(part10(ct("1.2.3.9")))[:-30])
    assert archive.catalogue.count() == (1, 1, 1)


def test_a_client_that_goes_away_leaves_whole_instances_or_nothing(archive: Archive) -> None:
    body = body_of(part10(ct("1.2.3.1")), part10(ct("1.2.3.2", size=1500)))
    with pytest.raises(ConnectionError):
        archive.stow(body[:-3_000_000], fail_after=ConnectionError())
    assert archive.catalogue.find("1.2.3.2") is None
    assert archive.stow(body).status == 200


def test_parts_of_another_media_type_fail(archive: Archive) -> None:
    image = part(b"\xff\xd8", "Content-Type: image/jpeg\r\n")
    answer = archive.stow(image + part(part10(ct())) + b"--bound--")
    assert (answer.status, answer.reasons()) == (202, [0xC000])


@pytest.mark.parametrize("body", [b"", b"--bound--", b"no parts", b"--bound\r\n"])
def test_a_body_without_a_part_is_refused(archive: Archive, body: bytes) -> None:
    with pytest.raises(UsageError):
        archive.stow(body)


def test_every_sop_class_is_taken_byte_for_byte(archive: Archive) -> None:
    text = "no abnormality " * 2000
    pdf = object_of("1.2.3.10", EncapsulatedPDFStorage)
    pdf.EncapsulatedDocument = os.urandom(20_000)
    report = object_of("1.2.3.11", ComprehensiveSRStorage)
    report.TextValue = text
    structures = object_of("1.2.3.12", RTStructureSetStorage)
    contour = Dataset()
    contour.ContourData = [f"{n}.5" for n in range(3000)]
    structures.ROIContourSequence = [contour]
    waveform = object_of("1.2.3.13", TwelveLeadECGWaveformStorage)
    channel = Dataset()
    channel.WaveformBitsAllocated, channel.WaveformSampleInterpretation = 16, "SS"
    channel.add_new(0x54001010, "OW", bytes(40_000))
    waveform.WaveformSequence = [channel]
    raw = object_of("1.2.3.14", RawDataStorage)
    raw.add_new(0x00091010, "OB", bytes(30_000))
    mask = ct("1.2.3.15")
    mask.SOPClassUID = SegmentationStorage
    files = {
        one.SOPInstanceUID: part10(one) for one in (pdf, report, structures, waveform, raw, mask)
    }
    answer = archive.stow(body_of(*files.values()))
    assert answer.status == 200, answer
    for uid, data in files.items():
        assert archive.original(uid) == data
    kept = {key.endswith(".zst") for key in iter(archive.blobs.keys())}
    assert kept == {True, False}


def test_metadata_with_bulk_data_becomes_a_file(archive: Archive) -> None:
    dataset = ct()
    model = json.loads(dataset.to_json(1, lambda _: "http://here/bulk/1"))
    bulk = b"Content-Type: application/octet-stream\r\nContent-Location: http://here/bulk/1\r\n"
    body = (
        part(json.dumps([model]).encode(), "Content-Type: application/dicom+json\r\n")
        + part(dataset.PixelData, bulk.decode())
        + b"--bound--"
    )
    answer = archive.stow(body, JSON_PARTS, study_uid="1.2.3")
    assert answer.status == 200, answer
    read = dcmread(BytesIO(archive.original("1.2.3.5")))
    assert read.PixelData == dataset.PixelData
    assert read.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert read.PatientID == "P1"


def test_metadata_whose_bulk_data_did_not_come_fails(archive: Archive) -> None:
    model = json.loads(ct().to_json(1, lambda _: "http://here/bulk/1"))
    body = part(json.dumps([model]).encode(), "Content-Type: application/dicom+json\r\n")
    answer = archive.stow(body + b"--bound--", JSON_PARTS)
    assert (answer.status, answer.reasons()) == (409, [0xC000])
    with pytest.raises(UsageError, match="no JSON"):
        archive.stow(
            part(b"{", "Content-Type: application/dicom+json\r\n") + b"--bound--", JSON_PARTS
        )


def test_broken_files_among_good_ones_fail_with_reasons(
    archive: Archive, shared_data: Path
) -> None:
    broken = [path.read_bytes() for path in sorted((shared_data / "broken/dicom").iterdir())]
    good = [part10(ct(f"1.2.3.{n}", seed=n)) for n in range(len(broken))]
    mixed = [file for pair in zip(broken, good, strict=True) for file in pair]
    answer = archive.stow(body_of(*mixed))
    assert answer.status == 202
    assert {f"1.2.3.{n}" for n in range(len(good))} <= set(answer.uids())
    assert len(answer.reasons()) + len(answer.uids()) == len(mixed)
    assert len(answer.dataset["00081198"]["Value"]) >= 5
    for n, file in enumerate(good):
        assert archive.original(f"1.2.3.{n}") == file


def test_a_server_stores_serves_replaces_and_commits(tmp_path: Path, run_server) -> None:
    """From STOW to WADO on one connection, with what was stored there at once."""
    (tmp_path / "files").mkdir()
    first = part10(ct("1.2.3.5", seed=1), preamble=b"MZ" + bytes(126))
    report = object_of("1.2.3.11", ComprehensiveSRStorage)
    report.TextValue = "no abnormality " * 2000
    files = {"1.2.3.5": first, "1.2.3.11": part10(report)}
    with run_server(tmp_path / "files", tmp_path / "store") as client:
        connection = http.client.HTTPConnection(urlsplit(client.address).netloc, timeout=240)

        def ask(method: str, path: str, body: bytes = b"", **fields: str) -> tuple[int, bytes]:
            headers = {name.replace("_", "-"): value for name, value in fields.items()}
            connection.request(method, f"/dicom-web{path}", body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

        status, _ = ask("POST", "/studies", b"x" * 100_000, Content_Type="text/plain")
        assert status == 415
        body = body_of(*files.values())
        status, data = ask("POST", "/studies", body, Content_Type=PARTS)
        assert status == 200, data
        for uid, file in files.items():
            path = f"/studies/1.2.3/series/1.2.3.1/instances/{uid}"
            status, data = ask("GET", path, Accept="application/dicom")
            assert status == 200
            assert data == bytes(128) + file[128:]
            assert ask("GET", f"{path}/metadata")[0] == 200
        assert ask("POST", "/studies/9.9", body, Content_Type=PARTS)[0] == 409
        changed = part10(ct("1.2.3.5", seed=2))
        assert ask("POST", "/studies", body_of(changed), Content_Type=PARTS)[0] == 409
        item = {
            "00081150": {"vr": "UI", "Value": [CTImageStorage]},
            "00081155": {"vr": "UI", "Value": ["1.2.3.5"]},
        }
        unknown = item | {"00081155": {"vr": "UI", "Value": ["1.2.3.404"]}}
        for items, expected in (([item], 200), ([item, unknown], 202), ([unknown], 409)):
            asked = json.dumps({"00081199": {"vr": "SQ", "Value": items}}).encode()
            assert ask("POST", "/commitment-requests/2.25.1", asked)[0] == expected
            assert ask("GET", "/commitment-requests/2.25.1")[0] == expected
        assert ask("GET", "/commitment-requests/2.25.2")[0] == 404
        assert ask("POST", "/commitment-requests/2.25.3", b"{}")[0] == 400
        connection.close()
    assert not list((tmp_path / "store" / "incoming").iterdir())


def test_a_client_that_waits_for_100_continue_gets_its_refusal_at_once(client) -> None:
    host, port = urlsplit(client.address).netloc.split(":")
    with socket.create_connection((host, int(port)), timeout=240) as connection:
        connection.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: here\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 415 ")
    assert b"connection: close" in answer.lower()
