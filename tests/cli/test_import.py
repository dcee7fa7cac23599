"""`mersey import`, as a user runs it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from mersey.engine.cli.main import main; main()", "import"]
        + [str(one) for one in (*arguments, "--jobs", 1)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(sample_study, tmp_path: Path) -> Path:
    """Three CT images, a text and a file that breaks off."""
    target = tmp_path / "folder"
    shutil.copytree(Path(sample_study.ct_series[0]).parent, target)
    (target / "notes.txt").write_text("not DICOM")
    first = min(target.glob("*.dcm"))
    (target / "cut.dcm").write_bytes(first.read_bytes()[:-100])
    return target


def test_a_folder_is_taken_in_and_the_second_time_there_is_nothing_to_do(folder, tmp_path) -> None:
    store = tmp_path / "store"
    first = run(folder, "--store", store)
    assert first.returncode == 1
    assert first.stdout.startswith("5 files of 1 study: 3 new, 1 not DICOM, 1 failed;")
    assert len(first.stderr.splitlines()) == 1
    assert first.stderr.startswith(f"failed: {folder / 'cut.dcm'}: ")
    (folder / "cut.dcm").unlink()
    again = run(folder, "--store", store, "--json")
    assert again.returncode == 0
    summary = json.loads(again.stdout)
    assert (summary["new"], summary["same"], summary["failed"]) == (0, 3, 0)
    assert sorted(p.name for p in folder.iterdir())  # files are never moved
    assert not list((store / "incoming").iterdir())
    blobs = {path.read_bytes() for path in (store / "blobs").glob("*/*.dcm")}
    assert blobs == {path.read_bytes() for path in folder.glob("*.dcm")}


def test_the_policy_decides_where_a_uid_is_taken(folder, tmp_path) -> None:
    (folder / "cut.dcm").unlink()
    store = tmp_path / "store"
    assert run(folder, "--store", store).returncode == 0
    changed = min(folder.glob("*.dcm"))
    dataset = dcmread(changed)
    dataset.SeriesDescription = "changed"
    dataset.save_as(changed)
    refused = run(folder, "--store", store)
    assert refused.returncode == 1
    assert "other bytes are stored" in refused.stderr
    kept = run(folder, "--store", store, "--on-conflict", "keep", "--json")
    assert (kept.returncode, json.loads(kept.stdout)["kept"]) == (0, 1)
    replaced = run(folder, "--store", store, "--on-conflict", "replace", "--json")
    assert (replaced.returncode, json.loads(replaced.stdout)["replaced"]) == (0, 1)
    assert len(list((store / "blobs").glob("*/*"))) == 3


def test_a_folder_that_does_not_exist_is_wrong_usage(tmp_path) -> None:
    answer = run(tmp_path / "nowhere", "--store", tmp_path / "store")
    assert answer.returncode == 2
    assert answer.stderr.startswith("mersey: error: ")
