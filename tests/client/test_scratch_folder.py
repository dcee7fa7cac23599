"""Folders for what may go at any time: one's own at the end, those of the dead by the next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from mersey.engine.client.scratch_folder import scratch_folder

HOLDER = """
import sys, time
from pathlib import Path
from mersey.engine.client.scratch_folder import scratch_folder
with scratch_folder("mersey-push-", parent=Path(sys.argv[1])) as folder:
    (folder / "image").write_bytes(b"a patient's")
    print(folder, flush=True)
    time.sleep(600)
"""
LONG_AGO = (0, 0)


def test_a_folder_is_gone_at_the_end(tmp_path: Path) -> None:
    with scratch_folder("mersey-push-", parent=tmp_path) as folder:
        (folder / "image").write_bytes(b"a patient's")
        assert folder.parent == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_and_nothing_of_a_living_one(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            left = Path(process.stdout.readline().strip())
            os.utime(left, LONG_AGO)
            with scratch_folder("mersey-push-", parent=tmp_path):
                assert (left / "image").exists()
        finally:
            process.send_signal(signal.SIGKILL)
    with scratch_folder("mersey-push-", parent=tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_other_folders_files_and_links_stay(tmp_path: Path) -> None:
    other, file, target = tmp_path / "mersey-other", tmp_path / "mersey-push-file", tmp_path / "far"
    other.mkdir()
    target.mkdir()
    (target / "image").write_bytes(b"a patient's")
    file.write_bytes(b"")
    link = tmp_path / "mersey-push-link"
    link.symlink_to(target)
    young = tmp_path / "mersey-push-young"
    young.mkdir()  # whose process is about to hold it
    for path in (other, file, target):
        os.utime(path, LONG_AGO)
    os.utime(link, LONG_AGO, follow_symlinks=False)
    with scratch_folder("mersey-push-", parent=tmp_path):
        pass
    assert set(tmp_path.iterdir()) == {other, file, target, link, young}
    assert (target / "image").exists()
