"""mersey codecs: what the registry has, for people and for programs."""

from __future__ import annotations

import json
from importlib.metadata import version

from mersey.codecs.registry import TARGETS, Registry
from mersey.engine.cli.main import app
from typer.testing import CliRunner


def test_the_table_has_a_line_for_every_syntax() -> None:
    result = CliRunner().invoke(app, ["codecs"])
    assert result.exit_code == 0
    head, *lines = result.stdout.splitlines()
    assert head.split() == ["UID", "Transfer", "syntax", "decode", "encode", "--to", "by"]
    rows = Registry.default().rows()
    assert [line.split()[0] for line in lines] == [row.uid for row in rows]
    for row, line in zip(rows, lines, strict=True):
        assert row.name in line
        assert row.library or row.why_missing in line


def test_json_says_the_same_with_versions_and_names_of_targets() -> None:
    result = CliRunner().invoke(app, ["codecs", "--json"])
    found = {entry["uid"]: entry for entry in json.loads(result.stdout)}
    rows = {row.uid: row for row in Registry.default().rows()}
    assert set(found) == set(rows)
    for uid, entry in found.items():
        assert (entry["decode"], entry["encode"]) == (rows[uid].decode, rows[uid].encode)
        assert bool(entry["libraries"]) != bool(entry["why_missing"])
        for library in entry["libraries"]:
            assert library["version"] == version(library["name"])
    for name, uid in TARGETS.items():
        assert name in found[uid]["targets"]
    htj2k = found["1.2.840.10008.1.2.4.202"]
    assert [library["name"] for library in htj2k["libraries"]] == ["ojph", "imagecodecs"]
    assert found["1.2.840.10008.1.2.4.100"]["why_missing"].startswith("video")
