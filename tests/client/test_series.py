"""open_series: the same frames from files and from a server; and the calls that wait."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import numpy as np
import pytest
from mersey.codecs.errors import UsageError
from mersey.engine import client
from mersey.engine.client.address import Address
from mersey.engine.client.push_sources import find_instances
from mersey.engine.client.remote import Remote
from pydicom import dcmread


@pytest.fixture(params=["files", "server"])
def where(request, served) -> str:
    return str(served.folder) if request.param == "files" else served.url


def test_frames_are_exact_and_in_order(where, served) -> None:
    with client.open_series(where) as series:
        assert series.frame_count == len(served.samples)
        assert np.array_equal(series.frame(3), served.samples[3])
        for frame, samples in zip(series, served.samples, strict=True):
            assert np.array_equal(frame, samples)


def test_a_volume_is_all_of_them(where, served) -> None:
    with client.open_series(where) as series:
        volume = series.volume()
        assert volume.dtype == served.samples.dtype
        assert np.array_equal(volume, served.samples)


def test_smaller_frames_have_the_size_that_is_left(where, served) -> None:
    with client.open_series(where) as series:
        frame = series.frame(2, reduce=2)
        assert frame.shape == (40, 40)
        means = served.samples[2].reshape(40, 4, 40, 4).mean(axis=(1, 3))
        assert np.abs(frame - means).mean() < 100
        assert series.volume(reduce=2).shape == (len(served.samples), 40, 40)


def test_metadata_is_dicom_json_of_each_instance(where, served) -> None:
    with client.open_series(where) as series:
        found = [row["00080018"]["Value"][0] for row in series.metadata()]
    assert found == [f"1.2.7.{number + 1}" for number in range(len(served.samples))]


@pytest.mark.parametrize("number", ["--5", "+-5", "\u00b2"])
def test_a_number_that_is_none_does_not_keep_a_series_from_opening(
    served, tmp_path, number
) -> None:
    for index, name in enumerate(("a.dcm", "b.dcm")):
        dataset = dcmread(sorted(served.folder.glob("*.dcm"))[index])
        dataset.SpecificCharacterSet = "ISO_IR 100"
        dataset.add_new("InstanceNumber", "SH", number)
        dataset.save_as(tmp_path / name)
    with client.open_series(tmp_path) as series:
        assert series.frame_count == 2

    async def found() -> int:
        with ThreadPoolExecutor(1) as executor:
            return (await find_instances([tmp_path], executor=executor)).count

    assert asyncio.run(found()) == 2


@pytest.mark.parametrize("index", [-1, 7])
def test_there_is_no_other_frame(where, index) -> None:
    with client.open_series(where) as series, pytest.raises(UsageError):
        series.frame(index)


def test_a_folder_of_several_series_needs_the_uid_of_one(sample_study) -> None:
    folder = sample_study.enhanced_ct.parent
    with pytest.raises(UsageError):
        client.open_series(folder)
    one = client.open_series(sample_study.ct_series[0]).metadata()[0]["0020000E"]["Value"][0]
    with client.open_series(folder, series=one) as series:
        assert series.frame_count == len(sample_study.ct_series)


def test_colour_comes_by_pixel(sample_study) -> None:
    from pydicom import dcmread

    with client.open_series(sample_study.us_cine) as series:
        assert np.array_equal(series.volume(), dcmread(sample_study.us_cine).pixel_array)


def test_what_does_not_exist_is_refused(tmp_path) -> None:
    with pytest.raises(UsageError):
        client.open_series(tmp_path / "none")


def test_the_asynchronous_series_streams_too(served) -> None:
    async def streamed() -> np.ndarray:
        series = await client.RemoteSeries.open(served.url)
        try:
            assert [frame.shape async for frame in series.frames(reduce=3)] == [(20, 20)] * 7
            async with aclosing(series.stream()) as updates:
                async for update in updates:
                    last = update
            return last.volume
        finally:
            await series.close()

    assert np.array_equal(asyncio.run(streamed()), served.samples)


def test_updates_can_be_taken_without_an_event_loop(served) -> None:
    last = None
    for update in client.iterate_sync(client.stream_series(served.url)):
        last = update
    assert last is not None
    assert np.array_equal(last.volume, served.samples)


def test_waiting_calls_refuse_to_block_an_event_loop(served) -> None:
    async def inside() -> None:
        with pytest.raises(UsageError):
            client.open_series(served.url)
        with pytest.raises(UsageError):
            client.run_sync(asyncio.sleep(0))

    asyncio.run(inside())


def test_transcode_makes_files_that_hold_the_same_pixels(served, tmp_path) -> None:
    done: list[int] = []
    summary = client.transcode(
        served.folder, tmp_path / "out", jobs=1, on_progress=lambda pixels, _: done.append(pixels)
    )
    assert (summary.transcoded, summary.failures) == (7, [])
    assert sum(done) == served.samples.nbytes
    with client.open_series(tmp_path / "out") as series:
        assert np.array_equal(series.volume(), served.samples)


def test_the_series_that_a_server_lists_is_the_one_in_the_files(served) -> None:
    async def listed() -> bytes:
        async with Remote(Address.parse(served.url)) as remote:
            return await remote.read("GET", f"{served.url}/metadata", most_bytes=1 << 20)

    ours = client.open_series(served.folder).metadata()
    theirs = json.loads(asyncio.run(listed()))
    assert [row["00200013"] for row in ours] == [row["00200013"] for row in theirs]
