"""The README tells the truth: its commands exist, its tables agree, its Python runs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import mersey.codecs.errors as errors
import pytest
from mersey.codecs.registry import TARGETS, Registry
from mersey.engine.cli.main import app
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def readme(repository: Path) -> str:
    return (repository / "README.md").read_text()


def _blocks(readme: str, *languages: str) -> list[str]:
    fences = re.findall(r"^```(\w+)\n(.*?)^```$", readme, re.M | re.S)
    return [body for language, body in fences if language in languages]


def _mersey_commands(readme: str) -> set[tuple[str, tuple[str, ...]]]:
    """Each ``mersey`` command that is shown, with the options it is shown with.

    A command of a group is ``group/command``.
    """
    shown = set()
    for block in _blocks(readme, "sh", "console"):
        for line in re.findall(r"^(?:\$ )?mersey (.+)$", block, re.M):
            command, *words = re.sub(r"^(codestream|store|bench) (\w+)", r"\1/\2", line).split()
            shown.add((command, tuple(word for word in words if word.startswith("--"))))
    row_of = r"^\| `mersey ((?:codestream|store|bench) \w+|\w+)[^|]*\|(.*)\|$"
    for row in re.findall(row_of, readme, re.M):
        shown.add((row[0].replace(" ", "/"), tuple(re.findall(r"--[a-z-]+", row[1]))))
    return shown


def test_every_command_shown_exists_with_its_options(readme: str) -> None:
    shown = _mersey_commands(readme)
    assert {command for command, _ in shown} >= {"transcode", "serve", "inspect", "extract"}
    for command, options in shown:
        result = CliRunner().invoke(app, [*command.split("/"), "--help"])
        assert result.exit_code == 0, command
        for option in options:
            assert f"{option} " in result.stdout, (command, option)


def test_every_make_target_shown_exists(readme: str, repository: Path) -> None:
    makefile = (repository / "Makefile").read_text()
    targets = set(re.findall(r"`make ([a-z-]+)", readme))
    for block in _blocks(readme, "sh"):
        targets |= set(re.findall(r"^make ([a-z-]+)", block, re.M))
    assert targets >= {"demo", "test"}
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_the_table_of_transfer_syntaxes_is_the_registrys(readme: str) -> None:
    cells = re.findall(r"^\| (1\.2\.[\d.]+) \| (.*?) \| (.*?) \| (.*?) \|$", readme, re.M)
    table = {uid: (name, decoded, encoded) for uid, name, decoded, encoded in cells}
    rows = {row.uid: row for row in Registry.default().rows()}
    for uid, (name, decoded, encoded) in table.items():
        assert name == rows[uid].name
        assert {decoded, encoded} <= {"yes", "planned", "–"}
        assert ((decoded == "yes"), (encoded == "yes")) == (rows[uid].decode, rows[uid].encode), uid
    able = {uid for uid, row in rows.items() if row.decode or row.encode}
    assert able <= set(table)


def test_the_names_of_targets_are_all_told(readme: str) -> None:
    row = next(line for line in readme.splitlines() if line.startswith("| `mersey transcode"))
    assert set(TARGETS) <= set(re.findall(r"`([a-z0-9-]+)`", row))


def test_every_error_is_explained(readme: str) -> None:
    told = set(re.findall(r"`([A-Z]\w+Error)`", readme))
    assert set(errors.__all__) == told


def test_the_python_runs(
    readme: str, progressive_ct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (block,) = _blocks(readme, "python")
    target = tmp_path / "demo" / "progressive" / "enhanced-ct.dcm"
    target.parent.mkdir(parents=True)
    shutil.copy(progressive_ct, target)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block, names)
    data = names["data"]
    assert isinstance(data, bytes)
    assert data.startswith(b"\xff\x4f\xff\x51")


def test_the_changelog_has_an_unreleased_part(repository: Path) -> None:
    text = (repository / "CHANGELOG.md").read_text()
    assert re.search(r"^## Unreleased\n\n### Added\n\n- ", text, re.M)


def test_no_path_of_a_machine_is_in_the_papers(repository: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*.md", "tools/*"], cwd=repository, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.split():
        assert not re.search(r"/(home|root|work|Users)/", (repository / name).read_text()), name
