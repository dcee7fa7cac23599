"""`mersey store`: verify finds damage wherever it is, and the commands keep their word."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import zstandard
from mersey.codecs.syntaxes import EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL
from mersey.engine.archive.catalogue import Catalogue
from mersey.engine.archive.catalogues import CATALOGUE_NAME
from mersey.engine.archive.entry import Entry
from mersey.engine.archive.frame_digests import FileDigests, digest_of, digests_path
from mersey.engine.archive.indexed_file import index_file
from mersey.engine.archive.renditions import RenditionStore
from mersey.engine.cli.main import app
from mersey.engine.runtime.byte_budget import ByteBudget
from mersey.engine.runtime.plan import Job
from mersey.engine.runtime.rendition_check import RenditionCheck, check_rendition
from mersey.engine.runtime.transcode import transcode_file
from mersey.engine.web.frame_forms import rendition_key_for
from mersey.engine.web.rendition_forms import possible_renditions
from typer.testing import CliRunner


def entry_of(path: Path) -> Entry:
    file = index_file(str(path.parent), path.name)
    assert file is not None
    assert file.instance is not None
    return Entry(file.instance, file.path, file.stamp)


def build(entry: Entry, root: Path, target_uid: str) -> Path:
    """The rendition, made as the server makes it."""
    target = RenditionStore(root).path_of(rendition_key_for(entry, target_uid))
    target.parent.mkdir(parents=True, exist_ok=True)
    job = Job(entry.path, str(target), target_uid, "independent", digests=True)
    with ThreadPoolExecutor(1) as executor:
        asyncio.run(transcode_file(job, executor=executor, budget=ByteBudget(64 << 20), jobs=1))
    return target


def check(path: Path, entry: Entry) -> str:
    return check_rendition(RenditionCheck(str(path), entry.path, 1000))


def flip(path: Path, offset_bytes: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset_bytes] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["enhanced_ct", "us_cine"])
def test_a_rendition_that_is_right_is_found_so(sample_study, tmp_path: Path, name: str) -> None:
    entry = entry_of(getattr(sample_study, name))
    path = build(entry, tmp_path, HTJ2K_LOSSLESS_RPCL)
    assert check(path, entry) == ""


def test_a_flipped_byte_of_a_rendition_is_found(sample_study, tmp_path: Path) -> None:
    entry = entry_of(sample_study.ct_series[0])
    path = build(entry, tmp_path, HTJ2K_LOSSLESS_RPCL)
    flip(path, path.stat().st_size - 100)
    assert "not those that were written" in check(path, entry)


def test_a_rendition_with_other_samples_and_right_digests_is_found(
    sample_study, tmp_path: Path
) -> None:
    first, second = map(entry_of, sample_study.ct_series[:2])
    path = build(second, tmp_path, HTJ2K_LOSSLESS_RPCL)
    assert check(path, first) == "frame 1 has other samples than its source"
    data = path.read_bytes()
    FileDigests.of([(len(data), digest_of(data))]).write(path)
    assert check(path, second) == ""


def test_a_rendition_that_goes_meanwhile_is_no_finding(sample_study, tmp_path: Path) -> None:
    entry = entry_of(sample_study.ct_series[0])
    assert check(tmp_path / "gone.dcm", entry) == ""


def test_every_form_that_is_served_is_among_the_possible_ones(sample_study) -> None:
    entry = entry_of(sample_study.ct_series[0])
    found = possible_renditions(entry)
    for target_uid in (EXPLICIT_LE, HTJ2K_LOSSLESS_RPCL):
        assert found[rendition_key_for(entry, target_uid)] == target_uid


@pytest.fixture
def store(tmp_path: Path, sample_study) -> Iterator[Path]:
    """An archive with files in place and one rendition, no blobs."""
    pytest.importorskip("mersey.engine.archive.blob_stores")
    folder = tmp_path / "store"
    folder.mkdir()
    catalogue = Catalogue.open(folder / CATALOGUE_NAME)
    for path in sample_study.ct_series:
        found = index_file(str(path.parent), path.name)
        assert found is not None
        catalogue.add([found])
    build(entry_of(sample_study.ct_series[0]), folder / "renditions", HTJ2K_LOSSLESS_RPCL)
    catalogue.close()
    return folder


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["store", *map(str, arguments)])
    return result.exit_code, result.stdout


def test_stats_count_what_there_is(store: Path) -> None:
    code, text = run("stats", "--store", store, "--json")
    found = json.loads(text)
    assert code == 0
    assert (found["instances"], found["instances_in_place"], found["blobs"]) == (3, 3, 0)
    assert found["renditions"][0] == 2


def test_verify_drops_a_damaged_rendition_but_for_a_dry_run(store: Path) -> None:
    assert run("verify", "--store", store, "--jobs", "1")[0] == 0
    (path,) = (store / "renditions").rglob("*.dcm")
    flip(path, path.stat().st_size - 100)
    code, text = run("verify", "--store", store, "--jobs", "1", "--json", "--dry-run")
    assert code == 1
    assert [one["found"] for one in json.loads(text)["findings"]] == ["rendition"]
    assert path.exists()
    assert run("verify", "--store", store, "--jobs", "1")[0] == 1
    assert not path.exists()
    assert run("verify", "--store", store, "--jobs", "1")[0] == 0


def test_renditions_of_compressed_blobs_are_decoded_against_their_sources(
    sample_study, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    for source in sample_study.ct_series[:2]:
        data = source.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = store / "blobs" / digest[:2] / f"{digest}.dcm.zst"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(zstandard.compress(data))
    there = ("--store", store, "--jobs", "1", "--json")
    assert run("rebuild", *there)[0] == 0
    catalogue = Catalogue.open(store / CATALOGUE_NAME)
    entries = {entry.instance.sop_instance_uid: entry for entry in catalogue.every_entry()}
    catalogue.close()
    sources = [entry_of(path) for path in sample_study.ct_series[:2]]
    # The first is right; the second has the samples of the first.
    for source in sources:
        made = build(sources[0], tmp_path / "made", HTJ2K_LOSSLESS_RPCL)
        entry = entries[source.instance.sop_instance_uid]
        key = rendition_key_for(entry, HTJ2K_LOSSLESS_RPCL)
        target = RenditionStore(store / "renditions").path_of(key)
        target.parent.mkdir(parents=True, exist_ok=True)
        for path in (made, digests_path(made)):
            path.replace(target.with_suffix(path.suffix))
    code, text = run("verify", *there)
    found = json.loads(text)
    assert (code, found["renditions"]) == (1, 2)
    (finding,) = found["findings"]
    assert finding["uid"] == sources[1].instance.sop_instance_uid
    assert finding["message"] == "frame 1 has other samples than its source"
    assert not list((store / "copies").iterdir())
    assert run("verify", *there)[0] == 0


def test_gc_leaves_what_is_served_and_takes_renditions_without_source(store: Path) -> None:
    stale = store / "renditions" / "ff" / ("ff" * 32 + ".dcm")
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(b"old")
    code, text = run("gc", "--store", store, "--grace-hours", "0", "--json")
    assert code == 0
    assert json.loads(text)["renditions"] == {"count": 1, "size_bytes": 3}
    assert len(list((store / "renditions").rglob("*.dcm"))) == 1


def test_export_writes_what_is_named_and_refuses_what_there_is_not(
    store: Path, sample_study, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    study = sample_study.study_instance_uid
    code, _ = run("export", out, "--store", store, "--study", study)
    assert code == 0
    written = {path.read_bytes() for path in out.rglob("*.dcm")}
    assert written == {path.read_bytes() for path in sample_study.ct_series}
    assert run("export", out, "--store", store)[0] == 2
    assert run("export", out, "--store", store, "--study", "1.2.3")[0] == 2


def test_a_folder_that_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    pytest.importorskip("mersey.engine.archive.blob_stores")
    assert run("stats", "--store", tmp_path / "none")[0] == 2


def test_blobs_alone_give_an_archive_whose_damage_is_found_and_set_aside(
    sample_study, tmp_path: Path
) -> None:
    pytest.importorskip("mersey.engine.archive.blob_stores")
    store = tmp_path / "store"
    paths = []
    for source in sample_study.ct_series:
        data = source.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        path = store / "blobs" / digest[:2] / f"{digest}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        paths.append(path)
    there = ("--store", store, "--jobs", "1", "--json")
    assert run("gc", "--store", store, "--grace-hours", "0")[0] == 2  # it would take all
    assert all(path.exists() for path in paths)
    code, text = run("rebuild", *there)
    assert (code, json.loads(text)["instances"]) == (0, 3)
    code, text = run("verify", *there)
    assert (code, json.loads(text)["findings"]) == (0, [])
    flip(paths[0], 3000)
    code, text = run("verify", *there)
    (finding,) = json.loads(text)["findings"]
    assert (code, finding["found"], finding["repair"]) == (1, "damaged", "put into quarantine")
    assert not paths[0].exists()
    code, text = run("stats", "--store", store, "--json")
    assert (json.loads(text)["quarantine"][0], json.loads(text)["instances"]) == (1, 3)
    code, text = run("gc", "--store", store, "--grace-hours", "0", "--json")
    assert json.loads(text)["blobs"]["count"] == 0
    code, text = run("export", tmp_path / "out", "--store", store, "--all", "--json")
    assert code == 1
    assert (len(json.loads(text)["files"]), len(json.loads(text)["failed"])) == (2, 1)
