"""Pushing to Orthanc, as Debian has it, and pulling from it: a peer that is none of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = pytest.mark.long

PORT = 8043
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
PROGRAM = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]


class Orthanc:
    """Orthanc in a network of its own: that of Debian 12 listens on every address."""

    def __init__(self, folder: Path, program: str) -> None:
        settings = {
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "HttpPort": PORT,
            "DicomServerEnabled": False,
            "AuthenticationEnabled": False,
            "SaveJobs": False,
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        self._process = subprocess.Popen(
            [*alone, program, str(folder / "orthanc.json")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A command in that network."""
        network = f"--net=/proc/{self._process.pid}/ns/net"
        return subprocess.run(
            ["nsenter", network, *command], capture_output=True, text=True, check=False
        )

    def get(self, path: str) -> Any:
        """The JSON at a path of its own interface; None where nobody answers."""
        source = (
            f"import urllib.request as r; print(r.urlopen({self._url(path)!r}).read().decode())"
        )
        done = self.run(sys.executable, "-c", source)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def push(self, *arguments: str) -> tuple[int, dict[str, Any]]:
        """The exit code of `mersey push`, and what it printed as JSON."""
        done = self.run(*PROGRAM, "push", *arguments, self._url("/dicom-web"), "--json")
        return done.returncode, json.loads(done.stdout)

    def pull(self, study: str, folder: Path) -> tuple[int, dict[str, Any]]:
        """The exit code of `mersey pull`, and what it printed as JSON."""
        url = self._url(f"/dicom-web/studies/{study}")
        done = self.run(*PROGRAM, "pull", url, str(folder), "--json")
        return done.returncode, json.loads(done.stdout)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=240)

    @staticmethod
    def _url(path: str) -> str:
        return f"http://127.0.0.1:{PORT}{path}"


@pytest.fixture
def orthanc(tmp_path: Path) -> Iterator[Orthanc]:
    program = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not (Path(program).exists() and PLUGIN.exists()):
        pytest.skip("Orthanc with its DICOMweb plugin is not installed here")
    alone = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    if os.geteuid() != 0 or alone.returncode:
        pytest.skip("a network of its own takes root's rights")
    found = Orthanc(tmp_path, program)
    try:
        deadline = time.monotonic() + 240
        while found.get("/instances") is None:
            assert time.monotonic() < deadline, "Orthanc does not answer"
        yield found
    finally:
        found.stop()


def test_all_arrives_at_orthanc_and_is_not_sent_again(
    orthanc: Orthanc, sample_study: SampleStudy
) -> None:
    folder = str(sample_study.enhanced_ct.parent)
    code, report = orthanc.push(str(sample_study.enhanced_ct))
    assert (code, report["new"]) == (0, 1)
    code, report = orthanc.push(folder)
    assert (code, report["new"], report["same"], report["failed"]) == (0, 4, 1, {})
    assert report["peer"] == ""
    assert len(orthanc.get("/instances")) == 5
    code, report = orthanc.push(folder)
    assert (code, report["new"], report["same"], report["sent_bytes"]) == (0, 0, 5, 0)


def test_all_comes_back_from_orthanc_and_only_what_is_missing_comes_again(
    orthanc: Orthanc, sample_study: SampleStudy, tmp_path: Path
) -> None:
    code, _ = orthanc.push(str(sample_study.enhanced_ct.parent))
    assert code == 0
    folder = tmp_path / "pulled"
    code, report = orthanc.pull(sample_study.study_instance_uid, folder)
    assert report["failures"] == []
    assert (code, report["peer"], report["pulled"]) == (0, "DICOMweb", 5)
    found = sorted(path.read_bytes() for path in folder.rglob("*.dcm"))
    assert found == sorted(path.read_bytes() for path in sample_study.files)
    next(folder.rglob("*.dcm")).unlink()
    code, report = orthanc.pull(sample_study.study_instance_uid, folder)
    assert (code, report["there"], report["pulled"]) == (0, 4, 1)
