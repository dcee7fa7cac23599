"""`mersey push` on the command line: exit codes before anything is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MERSEY = Path(sys.executable).with_name("mersey")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MERSEY, "push", *arguments], capture_output=True, text=True, timeout=240, check=False
    )


def test_wrong_usage_ends_with_2_and_one_line(tmp_path: Path) -> None:
    folder = str(tmp_path)
    for arguments in (
        (folder,),
        (folder, "ftp://host"),
        (f"{folder}/absent", "http://127.0.0.1:9"),
        (folder, "http://127.0.0.1:9", "--limit-rate", "fast"),
        (folder, "http://127.0.0.1:9", "--study", "1.2"),
        (folder, "http://127.0.0.1:9", "--store", folder),
        ("http://127.0.0.1:9", "--store", folder),
    ):
        found = run(*arguments)
        assert found.returncode == 2, found.stderr
        assert found.stderr.count("\n") == 1


def test_a_form_that_there_is_not_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    found = run(str(tmp_path), "http://127.0.0.1:9", "--wire", "gzip")
    assert found.returncode == 2
    assert all(name in found.stderr for name in ("'auto'", "'as-stored'", "'htj2k'", "'zstd'"))


def test_nothing_to_push_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    found = run(str(tmp_path), "http://127.0.0.1:9")
    assert found.returncode == 0
    assert found.stdout.startswith("0 instances: 0 new, 1 not DICOM")
