"""Folders that change under a server: what is there is served, what is gone is told so."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "files"
    root.mkdir()
    return root


@pytest.fixture
def watching(tmp_path, folder, run_server):
    """A client of a server that follows `folder`."""
    with run_server(folder, tmp_path / "store", watch=True) as client:
        yield client


def test_a_file_that_comes_is_served_and_one_that_goes_is_gone(
    watching, folder, make_instance, make_ct_samples, wait_until
) -> None:
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    wait_until(lambda: watching.get(sample.url).status == 200)
    (folder / "a.dcm").unlink()
    assert watching.get(sample.url).status == 410
    wait_until(lambda: watching.get("/instances").body in (b"", b"[]"))


def test_a_file_that_is_moved_is_found_at_its_new_place(
    watching, folder, make_instance, make_ct_samples, wait_until
) -> None:
    sample = make_instance(folder / "b.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    wait_until(lambda: watching.get(sample.url).status == 200)
    (folder / "a").mkdir()
    (folder / "b.dcm").rename(folder / "a" / "c.dcm")
    wait_until(lambda: watching.get(sample.url).status == 200)
    (folder / "a").rename(folder / "z")
    wait_until(lambda: watching.get(f"{sample.url}/rendered").status == 200)


def test_a_file_that_is_still_being_written_waits_until_it_is_whole(
    watching, folder, make_instance, make_ct_samples, wait_until, tmp_path
) -> None:
    sample = make_instance(tmp_path / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 96))
    other = make_instance(tmp_path / "b.dcm", "1.2.3.1.2", make_ct_samples(1, 32))
    data = sample.path.read_bytes()
    with open(folder / "a.dcm", "wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        shutil.copy(other.path, folder / "b.dcm")
        wait_until(lambda: watching.get(other.url).status == 200)
        assert watching.get(sample.url).status == 404
        file.write(data[len(data) // 2 :])
    wait_until(lambda: watching.get(sample.url).status == 200)
    assert watching.get(sample.url, "application/dicom").body == data


def test_a_burst_of_files_and_a_folder_that_goes_and_comes_back(
    watching, folder, make_instance, make_ct_samples, wait_until, tmp_path
) -> None:
    series = tmp_path / "series"
    for number in range(1, 61):
        place = series / f"d{number % 4}"
        place.mkdir(parents=True, exist_ok=True)
        make_instance(place / f"{number}.dcm", f"1.2.3.1.{number}", make_ct_samples(1, 16))

    def count() -> int:
        return watching.get("/instances?limit=200").body.count(b'"00080018"')

    shutil.copytree(series, folder / "s")
    wait_until(lambda: count() == 60)
    shutil.rmtree(folder / "s")
    wait_until(lambda: count() == 0)
    shutil.copytree(series, folder / "s")
    wait_until(lambda: count() == 60)


def test_a_root_that_is_removed_and_made_again_is_followed_again(
    watching, folder, make_instance, make_ct_samples, wait_until
) -> None:
    make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 16))
    wait_until(lambda: b"1.2.3.1.1" in watching.get("/instances").body)
    shutil.rmtree(folder)
    wait_until(lambda: b"1.2.3.1.1" not in watching.get("/instances").body)
    folder.mkdir()
    make_instance(folder / "b.dcm", "1.2.3.1.2", make_ct_samples(1, 16))
    wait_until(lambda: b"1.2.3.1.2" in watching.get("/instances").body)
    make_instance(folder / "c.dcm", "1.2.3.1.3", make_ct_samples(1, 16))
    wait_until(lambda: b"1.2.3.1.3" in watching.get("/instances").body)


@pytest.mark.parametrize(
    "what", ["", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010"]
)
def test_a_file_that_vanishes_is_told_gone_without_watching(
    tmp_path, folder, run_server, make_instance, make_ct_samples, wait_until, what
) -> None:
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    (folder / "deeper").mkdir()
    with run_server(folder, tmp_path / "store") as client:
        assert client.get(sample.url).status == 200
        os.rename(folder / "a.dcm", tmp_path / "a.dcm")
        assert client.get(sample.url + what).status == 410
        assert client.get(sample.url + what).status == 410
        os.rename(tmp_path / "a.dcm", folder / "b.dcm")
        assert client.get("/studies/1.2.3").status == 404


def test_a_renamed_file_is_found_again_once_it_was_asked_for(
    tmp_path, folder, run_server, make_instance, make_ct_samples, wait_until
) -> None:
    sample = make_instance(folder / "a.dcm", "1.2.3.1.1", make_ct_samples(1, 32))
    with run_server(folder, tmp_path / "store") as client:
        (folder / "a.dcm").rename(folder / "b.dcm")
        assert client.get(f"{sample.url}/frames/1").status == 410
        wait_until(lambda: client.get(f"{sample.url}/frames/1").status == 200)


def test_a_series_goes_on_without_the_file_that_vanished(
    tmp_path, folder, run_server, make_instance, make_ct_samples
) -> None:
    for number in (1, 2, 3):
        make_instance(folder / f"{number}.dcm", f"1.2.3.1.{number}", make_ct_samples(1, 32))
    with run_server(folder, tmp_path / "store") as client:
        assert len(client.get("/studies/1.2.3/series/1.2.3.1").parts()) == 3
        (folder / "2.dcm").unlink()
        assert len(client.get("/studies/1.2.3/series/1.2.3.1").parts()) == 2
        assert client.get("/studies/1.2.3/series/1.2.3.1/metadata").status == 200
        assert client.get("/studies/1.2.3/rendered").status == 200
