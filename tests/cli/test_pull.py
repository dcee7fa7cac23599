"""`mersey pull`, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, "pull", *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.fixture
def address(sample_study, tmp_path: Path):
    """A server over the sample study."""
    folder = Path(sample_study.enhanced_ct).parent
    command = [*PROGRAM, "serve", str(folder), "--store", str(tmp_path / "store"), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            line = process.stdout.readline()
            assert any(line.startswith("indexed") for line in process.stderr)
            yield line.split()[2]
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=240)


def test_a_study_is_pulled_and_the_second_time_there_is_nothing_to_do(
    address, sample_study, tmp_path
) -> None:
    url = f"{address}/studies/{sample_study.study_instance_uid}"
    first = run(url, tmp_path / "to", "--jobs", 1)
    assert first.returncode == 0, first.stderr
    assert first.stdout.startswith(f"{len(sample_study.files)} pulled; ")
    found = {path.read_bytes() for path in (tmp_path / "to").rglob("*.dcm")}
    assert found == {path.read_bytes() for path in sample_study.files}
    again = run(url, tmp_path / "to", "--json", "--jobs", 1)
    summary = json.loads(again.stdout)
    assert (summary["pulled"], summary["there"]) == (0, len(sample_study.files))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["http://127.0.0.1:1/dicom-web"], 2),
        (["ftp://host/studies/1"], 2),
        (["http://h/dicom-web/studies/1", "--limit-rate", "fast"], 2),
        (["http://h/dicom-web/studies/1", "--header", "secret"], 2),
    ],
)
def test_wrong_usage_is_told_in_one_line(tmp_path, arguments, code) -> None:
    found = run(arguments[0], tmp_path / "to", *arguments[1:])
    assert found.returncode == code
    assert len(found.stderr.splitlines()) == 1
