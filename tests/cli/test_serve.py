"""`mersey serve` as a process: what it prints, and how it ends."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

MERSEY = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]
PATIENCE_S = 240


@contextmanager
def serving(
    store: Path, *folders: Path, options: tuple[str, ...] = ()
) -> Iterator[tuple[subprocess.Popen, int]]:
    """Run the command on a free port; the port is read from what it prints."""
    arguments = ["serve", *map(str, folders), "--store", str(store), "--port", "0", "--jobs", "1"]
    arguments += options
    process = subprocess.Popen(
        [*MERSEY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("serving on http://127.0.0.1:"), line
        yield process, int(line.split(":")[2].split("/")[0])
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def wait_for_instances(port: int, count: int) -> list[dict]:
    for _ in range(10 * PATIENCE_S):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request("GET", "/dicom-web/instances")
        found = json.loads(connection.getresponse().read())
        connection.close()
        if len(found) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{len(found)} of {count} instances were indexed")


def write_ct(path: Path, *, frames: int, size: int) -> np.ndarray:
    samples = np.random.default_rng(1).integers(0, 4096, (frames, size, size)).astype("<u2")
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = "1.2.1.1", "1.2.1"
    dataset.StudyInstanceUID = "1.2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames, size, size
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = samples.tobytes()
    dataset.save_as(path, enforce_file_format=True)
    return samples


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_is_being_sent_is_sent(tmp_path: Path, number) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    samples = write_ct(folder / "a.dcm", frames=64, size=512)
    with serving(tmp_path / "store", folder) as (process, port):
        wait_for_instances(port, 1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        path = "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/7FE00010"
        connection.request("GET", path)
        response = connection.getresponse()
        got = response.read(65536)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(number)
        time.sleep(0.5)
        assert process.poll() is None
        got += response.read()
        connection.close()
        assert process.wait(PATIENCE_S) == 0
        assert got == samples.tobytes()
        _, alive = psutil.wait_procs(children, timeout=PATIENCE_S)
        assert not alive
        assert "Traceback" not in process.stderr.read()


def test_a_second_signal_does_not_wait(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    write_ct(folder / "a.dcm", frames=64, size=512)
    with serving(tmp_path / "store", folder) as (process, port):
        wait_for_instances(port, 1)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        path = "/dicom-web/studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/7FE00010"
        connection.request("GET", path)
        connection.getresponse().read(1000)
        process.send_signal(signal.SIGTERM)
        end = time.monotonic() + PATIENCE_S
        while process.poll() is None:  # two that come before it runs again are one to it
            assert time.monotonic() < end
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
        connection.close()


def test_it_tells_what_it_found_on_stderr(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    source = get_testdata_file("CT_small.dcm", download=False)
    (folder / "ct.dcm").write_bytes(Path(source).read_bytes())
    (folder / "bad.dcm").write_bytes(Path(source).read_bytes()[:-2000])
    with serving(tmp_path / "store", folder) as (process, port):
        (found,) = wait_for_instances(port, 1)
        assert found["00280010"]["Value"] == [128]
        lines = iter(process.stderr.readline, "")
        # A slow machine tells how far it is.
        told = (line for line in lines if not line.startswith("indexing: "))
        assert next(told).startswith("not served: ")
        assert next(told).startswith("indexed: 2 files, 1 new")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_uploads_are_kept_and_bounded_as_the_options_say(tmp_path: Path) -> None:
    options = ("--upload-expiry", "1.5", "--max-upload", "3MiB")
    with serving(tmp_path / "store", options=options) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        connection.request("OPTIONS", "/dicom-web/studies")
        response = connection.getresponse()
        response.read()
        limits = set(response.headers["Upload-Limit"].split(", "))
        assert {f"max-size={3 << 20}", "max-age=5400"} <= limits
        fields = {"Tus-Resumable": "1.0.0", "Upload-Length": str((3 << 20) + 1)}
        connection.request("POST", "/uploads", headers=fields)
        response = connection.getresponse()
        response.read()
        assert response.status == 413
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0


def test_a_folder_that_does_not_exist_is_an_error_in_one_line(tmp_path: Path) -> None:
    run = subprocess.run(
        [*MERSEY, "serve", str(tmp_path / "nowhere"), "--store", str(tmp_path / "s")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert "nowhere" in run.stderr


def test_broken_files_in_a_folder_stop_nothing(tmp_path: Path, shared_data: Path) -> None:
    good = tmp_path / "good"
    good.mkdir()
    samples = write_ct(good / "a.dcm", frames=1, size=16)
    broken = shared_data / "broken" / "dicom"
    with serving(tmp_path / "store", broken, good) as (process, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        for _ in range(10 * PATIENCE_S):
            connection.request("GET", "/dicom-web/instances?includefield=all&limit=500")
            found = json.loads(connection.getresponse().read())
            if any(item["00080018"]["Value"] == ["1.2.1.1"] for item in found):
                break
            time.sleep(0.05)
        for item in found:
            path = "/" + item["00081190"]["Value"][0].split("/", 3)[3]
            for rest in ("/frames/1", "/metadata", ""):
                connection.request("GET", path + rest)
                response = connection.getresponse()
                data = response.read()
                assert response.status in (200, 404, 406, 500, 503), (path, rest)
                if path.endswith("/1.2.1.1") and rest == "/frames/1":
                    assert samples.tobytes() in data
        connection.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert "Traceback" not in process.stderr.read()
