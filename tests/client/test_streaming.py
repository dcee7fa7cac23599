"""stream_series: a volume that sharpens, over wires that break."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import aclosing
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.codecs.errors import MerseyError, ResourceError, TransferError, UsageError
from mersey.engine.client.connections import Backoff
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places
from mersey.engine.client.series_update import SeriesUpdate
from mersey.engine.client.streaming import StreamSettings, stream_series
from pydicom import dcmread

QUICK = StreamSettings(backoff=Backoff(first_s=0.001, longest_s=0.01, most_tries=4))


async def taken(url: str, **options) -> list[tuple[SeriesUpdate, np.ndarray | None]]:
    """All updates, each with the volume as it was then."""
    options.setdefault("settings", QUICK)
    found = []
    async with aclosing(stream_series(url, **options)) as updates:
        async for update in updates:
            found.append((update, update.volume.copy()))
    return found


def test_the_volume_is_exact_after_the_last_byte(served) -> None:
    updates = asyncio.run(taken(served.url))
    last, volume = updates[-1]
    assert last.is_complete
    assert last.received_bytes == last.total_bytes
    assert last.reductions.tolist() == [0] * len(served.samples)
    assert volume.dtype == served.samples.dtype
    assert np.array_equal(volume, served.samples)


def test_every_frame_only_ever_becomes_sharper(served) -> None:
    updates = asyncio.run(taken(served.url))
    before = np.full(len(served.samples), 127)
    for update, _ in updates:
        now = np.where(update.reductions < 0, 127, update.reductions)
        assert (now <= before).all()
        assert update.changed
        assert all(now[index] < before[index] for index in update.changed)
        before = now
    assert [update.is_complete for update, _ in updates].count(True) == 1


def test_a_low_resolution_is_shown_in_blocks_and_told(served) -> None:
    updates = asyncio.run(taken(served.url, until=3))
    last, volume = updates[-1]
    assert last.reduction == 3
    assert last.is_complete
    assert volume.shape == served.samples.shape
    blocks = volume.reshape(len(volume), 20, 8, 20, 8)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    means = served.samples.reshape(blocks.shape).mean(axis=(2, 4))
    assert np.abs(blocks[:, :, 0, :, 0] - means).mean() < 150


def test_the_volume_can_be_as_small_as_what_comes(served) -> None:
    small = asyncio.run(taken(served.url, until=3, reduced=True))[-1][1]
    blocks = asyncio.run(taken(served.url, until=3))[-1][1]
    assert small.shape == (len(served.samples), 20, 20)
    assert np.array_equal(small, blocks[:, ::8, ::8])


def test_one_instance_is_streamed_alone(served) -> None:
    updates = asyncio.run(taken(f"{served.url}/instances/1.2.7.3"))
    assert np.array_equal(updates[-1][1], served.samples[2:3])


@pytest.mark.parametrize("order", ["in-order", "stride"])
def test_any_order_ends_with_the_same_volume(served, order) -> None:
    assert np.array_equal(asyncio.run(taken(served.url, order=order))[-1][1], served.samples)


def test_a_stream_that_breaks_goes_on_where_it_was(served, wire) -> None:
    async def over_the_wire() -> list[tuple[SeriesUpdate, np.ndarray | None]]:
        async with wire.open() as place:
            return await taken(served.url.replace(urlsplit(served.url).netloc, place))

    wire.cuts = [900, 5000, 1500, 300, 30_000, 2]
    updates = asyncio.run(over_the_wire())
    assert np.array_equal(updates[-1][1], served.samples)
    assert len(wire.carried) == 7
    total = updates[-1][0].total_bytes
    assert total is not None
    # Heads of answers, and what was on its way when a connection broke.
    assert sum(wire.carried) < total + 7 * 1000


@pytest.mark.parametrize("seed", range(6))
def test_a_link_that_breaks_anywhere_ends_with_the_exact_volume(served, seed) -> None:
    parts = urlsplit(served.url)
    down = Direction(bytes_per_s=4e6, jitter_s=0.002, cuts=Places(about=9000 + 700 * seed))

    async def over_the_link() -> tuple[list[tuple[SeriesUpdate, np.ndarray | None]], Link]:
        profile = LinkProfile(down=down, seed=seed)
        async with Link(parts.hostname, parts.port, profile=profile) as link:
            url = served.url.replace(parts.netloc, f"127.0.0.1:{link.port}")
            return await taken(url), link

    updates, link = asyncio.run(over_the_link())
    assert np.array_equal(updates[-1][1], served.samples)
    assert link.down.cuts >= 2
    assert updates[-1][0].received_bytes == updates[-1][0].total_bytes
    before = np.full(len(served.samples), 127)
    for update, _ in updates:
        now = np.where(update.reductions < 0, 127, update.reductions)
        assert (now <= before).all()
        before = now


async def taken_through(
    url: str, profile: LinkProfile
) -> tuple[list[tuple[SeriesUpdate, np.ndarray | None]], Link]:
    parts = urlsplit(url)
    async with Link(parts.hostname, parts.port, profile=profile) as link:
        return await taken(url.replace(parts.netloc, f"127.0.0.1:{link.port}")), link


HEAD = 380
"""More than the head of the answer has, in which nothing is flipped here."""


@pytest.mark.parametrize("share", [0.0, 0.003, 0.01, 0.03, 0.2, 0.61, 0.95, 1.0])
def test_a_byte_that_is_another_on_the_way_is_read_again(served, share) -> None:
    """In the description, in heads of parts, in codestreams, which mostly decode, at the end."""
    total = asyncio.run(taken(served.url))[-1][0].total_bytes
    assert total is not None
    place = HEAD + int(share * (total - 30))
    down = Direction(bytes_per_s=4e6, flips=Places(at=(place,)))
    updates, link = asyncio.run(taken_through(served.url, LinkProfile(down=down)))
    assert link.down.flips == 1
    last, volume = updates[-1]
    assert np.array_equal(volume, served.samples)
    assert last.received_bytes == last.total_bytes == total
    # Nothing wrong was ever shown: what is sharp is exact.
    for update, shown in updates:
        sharp = update.reductions == 0
        assert np.array_equal(shown[sharp], served.samples[sharp])


def test_a_link_that_damages_everything_is_given_up(served) -> None:
    profile = LinkProfile(down=Direction(flips=Places(every=150)))
    with pytest.raises(MerseyError):  # which, depends on where a head is hit
        asyncio.run(taken_through(served.url, profile))


@pytest.mark.parametrize("cut", [700, 5_000, 60_000])
def test_a_stream_of_what_is_still_made_goes_on_after_a_break(
    served, slices, tmp_path, serve_folder, cut
) -> None:
    with serve_folder(slices, tmp_path / "store") as address:
        url = served.url.replace(served.base, f"{address}/dicom-web")
        down = Direction(
            bytes_per_s=2e6, cuts=Places(at=(cut, 2 * cut)), flips=Places(at=(3 * cut,))
        )
        updates, link = asyncio.run(taken_through(url, LinkProfile(down=down)))
    assert link.down.cuts == 2
    last, volume = updates[-1]
    assert last.is_complete
    assert last.received_bytes == last.total_bytes
    assert np.array_equal(volume, served.samples)


def test_what_turns_out_not_to_come_is_told_and_not_waited_for(
    served, slices, tmp_path, serve_folder
) -> None:
    import imagecodecs
    from pydicom.encaps import encapsulate
    from pydicom.uid import JPEG2000Lossless

    folder = tmp_path / "files"
    shutil.copytree(slices, folder)
    dataset = dcmread(folder / "7.dcm")
    frame = imagecodecs.jpeg2k_encode(dataset.pixel_array, codecformat="j2k", reversible=True)
    dataset.PixelData = encapsulate([frame[:51] + bytes(60) + frame[111:]])
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.save_as(folder / "7.dcm")
    with serve_folder(folder, tmp_path / "store") as address:
        url = served.url.replace(served.base, f"{address}/dicom-web")
        for until in (9, 0):
            last, volume = asyncio.run(taken(url, until=until))[-1]
            assert last.is_complete
            if until:
                assert last.left_out == {6}
                assert last.reductions[6] == -1
                assert last.reduction > 2
            else:
                # It is known by now.
                assert len(volume) == 6
                assert last.reduction == 0
                assert not last.left_out


def test_a_series_that_changed_in_the_middle_is_never_mixed(
    served, slices, tmp_path, serve_folder
) -> None:
    folder = tmp_path / "files"
    shutil.copytree(slices, folder)
    with serve_folder(folder, tmp_path / "store") as address:
        url = served.url.replace(served.base, f"{address}/dicom-web")
        parts = urlsplit(url)

        down = Direction(bytes_per_s=2e5, cuts=Places(at=(20_000,)))

        def change() -> None:
            dataset = dcmread(folder / "7.dcm")
            dataset.PixelData = bytes(len(dataset.PixelData))
            dataset.save_as(folder / "7.new")
            (folder / "7.new").replace(folder / "7.dcm")

        async def change_in_the_middle() -> None:
            profile = LinkProfile(down=down)
            async with Link(parts.hostname, parts.port, profile=profile) as link:
                near = url.replace(parts.netloc, f"127.0.0.1:{link.port}")
                changed = False
                async with aclosing(stream_series(near, settings=QUICK)) as updates:
                    async for _ in updates:
                        if not changed:
                            changed = True
                            change()

        with pytest.raises(TransferError, match="changed"):
            asyncio.run(change_in_the_middle())


def test_a_server_that_stays_away_is_given_up(served, wire) -> None:
    async def over_the_wire() -> None:
        async with wire.open() as place:
            await taken(served.url.replace(urlsplit(served.url).netloc, place))

    wire.cuts = [2000] + [0] * 20
    with pytest.raises(TransferError):
        asyncio.run(over_the_wire())


def test_leaving_early_ends_the_connection(served) -> None:
    async def first() -> SeriesUpdate:
        async with aclosing(stream_series(served.url, settings=QUICK)) as updates:
            async for update in updates:
                return update
        raise AssertionError

    async def alone() -> int:
        await first()
        return len(asyncio.all_tasks())

    assert asyncio.run(alone()) == 1


def test_a_volume_that_would_be_too_large_is_not_begun(served) -> None:
    with pytest.raises(ResourceError):
        asyncio.run(taken(served.url, settings=StreamSettings(most_bytes=1000)))


def test_what_is_no_series_is_refused(served) -> None:
    with pytest.raises(UsageError):
        asyncio.run(taken(served.base + "/studies/1.2.7"))
    with pytest.raises(TransferError):
        asyncio.run(taken(served.url + ".9"))
