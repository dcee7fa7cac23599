"""curl, tuspy and tus-js-client, as users have them, upload over a link that breaks."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from mersey.engine.client.link_profile import Direction, LinkProfile, Places
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RawDataStorage

from .packages import require_node, set_up
from .serving import Server
from .test_resuming import linked

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

TUS = Path(__file__).parent / "tus"
SIZE_BYTES = 6 << 20
PATIENCE_S = 400
UID = "1.2.826.0.1.3680043.10.543.{}"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server with one small instance, of another study."""
    folder = tmp_path / "served"
    folder.mkdir()
    write_image(folder / "one.dcm", 16, study=UID.format(9))
    with Server(folder, tmp_path / "store") as server:
        yield server


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A Part 10 file of noise, which no compression makes shorter."""
    return write_image(tmp_path / "image.dcm", SIZE_BYTES)


def write_image(path: Path, size_bytes: int, *, study: str = UID.format(1)) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = RawDataStorage, f"{study}.1.1"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.PatientID = "P1"
    noise = np.random.default_rng(1).integers(0, 256, size_bytes, dtype=np.uint8)
    dataset.add_new(0x00291010, "OB", noise.tobytes())
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)
    return path


@pytest.fixture(scope="session")
def tus_js() -> list[str]:
    """The command that uploads with tus-js-client; skips where it cannot be had."""
    node = require_node()
    return [node, str(set_up(TUS) / "upload.mjs")]


def assert_stored(server: Server, image: Path, tmp_path: Path) -> None:
    """The server gives back what was uploaded: every byte behind the preamble."""
    uid = dcmread(image, stop_before_pixels=True)
    url = (
        f"{server.root}/studies/{uid.StudyInstanceUID}/series/{uid.SeriesInstanceUID}"
        f"/instances/{uid.SOPInstanceUID}"
    )
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=accept), timeout=PATIENCE_S
    ) as reply:
        found = reply.read()
    assert found[128:] == image.read_bytes()[128:]
    assert not list((tmp_path / "store" / "uploads").glob("*/data"))


def cutting(up_bytes: int, *, seed: int = 3, rate: float | None = None) -> LinkProfile:
    return LinkProfile(up=Direction(cuts=Places(about=up_bytes), bytes_per_s=rate), seed=seed)


def test_tuspy_resumes_over_a_link_that_breaks(server: Server, image: Path, tmp_path: Path) -> None:
    from tusclient.client import TusClient
    from tusclient.exceptions import TusCommunicationError

    with linked(server, cutting(SIZE_BYTES // 8)) as (link, root), open(image, "rb") as file:
        client = TusClient(root.replace("/dicom-web", "/uploads"))
        url = None
        for _ in range(60):
            try:
                uploader = client.uploader(
                    file_stream=file, chunk_size=1 << 20, url=url, retries=3, retry_delay=0
                )
                url = uploader.url = url or uploader.create_url()
                uploader.upload()
                break
            except (TusCommunicationError, OSError):
                continue
        assert link.up.cuts >= 4
    assert_stored(server, image, tmp_path)


def test_tuspy_sends_checksums(server: Server, image: Path, tmp_path: Path) -> None:
    from tusclient.client import TusClient

    with open(image, "rb") as file:
        client = TusClient(f"{server.address}/uploads/")
        client.uploader(file_stream=file, chunk_size=1 << 20, upload_checksum=True).upload()
    assert_stored(server, image, tmp_path)


@pytest.mark.parametrize("chunk_bytes", [0, 500_000])
def test_tus_js_client_resumes_over_a_link_that_breaks(
    tus_js: list[str], server: Server, image: Path, tmp_path: Path, chunk_bytes: int
) -> None:
    with linked(server, cutting(SIZE_BYTES // 6)) as (link, root):
        endpoint = root.replace("/dicom-web", "/uploads/")
        said = run_tus_js([*tus_js, endpoint, str(image), str(chunk_bytes)])
        assert link.up.cuts >= 3
        assert said["retries"] >= 3
        twice = link.up.passed_bytes - image.stat().st_size
        assert twice < link.connections * (1 << 20)
    assert_stored(server, image, tmp_path)


def test_tus_js_client_uploads_in_parallel_and_concatenates(
    tus_js: list[str], server: Server, image: Path, tmp_path: Path
) -> None:
    run_tus_js([*tus_js, f"{server.address}/uploads", str(image), "0", "4"])
    assert_stored(server, image, tmp_path)


def run_tus_js(words: list[str]) -> dict:
    run = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def ask(curl: str, tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Run curl; gives the fields of each response by its status, with ``status`` and ``code``."""
    shown, saved = tmp_path / "headers", tmp_path / "saved"

    def run(url: str, *words: str) -> dict[str, str]:
        shown.write_bytes(b"")
        words = (*words, "-D", str(shown), "-o", str(saved), url)
        code = subprocess.run([curl, "-s", *words], check=False, timeout=PATIENCE_S).returncode
        fields: dict[str, str] = {"code": str(code), "status": ""}
        for head in shown.read_bytes().decode("latin-1").split("\r\n\r\n")[:-1]:
            first, *lines = head.split("\r\n")
            fields["status"] = first.split()[1]
            fields[f"http-{fields['status']}"] = first
            for line in lines:
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
        return fields

    return run


def test_curl_learns_the_place_from_104_and_goes_on(
    ask: Callable[..., dict[str, str]], server: Server, image: Path, tmp_path: Path
) -> None:
    length = image.stat().st_size
    rest = tmp_path / "rest"
    version = ("-H", "Upload-Draft-Interop-Version: 8")
    with linked(server, cutting(length // 6)) as (link, root):
        kind = ("-H", "Content-Type: application/dicom", "-H", "Upload-Complete: ?1")
        found = ask(f"{root}/studies", *version, *kind, "--data-binary", f"@{image}")
        assert found["code"] != "0"
        assert found["http-104"] == "HTTP/1.1 104 Upload Resumption Supported"
        place = found["location"]
        before = 0
        for _ in range(60):
            head = ask(place, "-I")
            if head["code"] != "0":
                continue
            offset = int(head["upload-offset"])
            assert offset >= before
            before = offset
            rest.write_bytes(image.read_bytes()[offset:])
            found = ask(
                place,
                *version,
                "-X",
                "PATCH",
                "-H",
                f"Upload-Offset: {offset}",
                "-H",
                "Content-Type: application/partial-upload",
                "-H",
                "Upload-Complete: ?1",
                "--data-binary",
                f"@{rest}",
            )
            if found["code"] == "0":
                break
        assert link.up.cuts >= 3
        assert (found["status"], found["upload-complete"]) == ("200", "?1")
        twice = link.up.passed_bytes - length
        assert twice < link.connections * (1 << 20)
    assert_stored(server, image, tmp_path)


def test_what_was_acknowledged_survives_kills_of_the_server(
    ask: Callable[..., dict[str, str]], server: Server, image: Path, tmp_path: Path
) -> None:
    length = image.stat().st_size
    rest = tmp_path / "rest"
    place = ask(
        f"{server.root}/studies",
        "-X",
        "POST",
        "-H",
        "Upload-Complete: ?0",
        "-H",
        f"Upload-Length: {length}",
        "-H",
        "Content-Type: application/dicom",
        "-H",
        "Content-Length: 0",
    )["location"]
    journal = tmp_path / "store" / "uploads" / place.rpartition("/")[2] / "journal"
    for _ in range(5):
        offset = int(ask(place, "-I")["upload-offset"])
        rest.write_bytes(image.read_bytes()[offset:])
        durable: list[int] = []
        killer = threading.Thread(target=kill_beyond, args=(server, journal, offset, durable))
        killer.start()
        words = ["-H", "Content-Type: application/partial-upload", "-H", "Upload-Complete: ?1"]
        words += ["-H", f"Upload-Offset: {offset}", "-X", "PATCH", "--limit-rate", "250k"]
        found = ask(place, *words, "--data-binary", f"@{rest}")
        killer.join()
        assert found["code"] != "0"
        server.start()
        assert int(ask(place, "-I")["upload-offset"]) >= durable[0] > offset
    offset = int(ask(place, "-I")["upload-offset"])
    rest.write_bytes(image.read_bytes()[offset:])
    words = ["-H", "Content-Type: application/partial-upload", "-H", "Upload-Complete: ?1"]
    words += ["-H", f"Upload-Offset: {offset}", "-X", "PATCH", "--data-binary", f"@{rest}"]
    assert ask(place, *words)["status"] == "200"
    assert_stored(server, image, tmp_path)


def kill_beyond(server: Server, journal: Path, offset: int, durable: list[int]) -> None:
    """Kill the server once the journal acknowledges more than `offset`; tells what it said."""
    while not durable:
        time.sleep(0.01)
        lines = journal.read_text().splitlines()
        found = [json.loads(line).get("offset", 0) for line in lines if line.endswith("}")]
        durable += [most for most in (max(found, default=0),) if most > offset]
    server.kill()
