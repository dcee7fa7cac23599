"""Rows over a link of 20 Mbit/s and 40 ms: first pictures, a whole series, a study that is cut.

Ours is decoded within the time, the peer's answers only afterwards. The limit is what the link
could do at best with the bytes that Mersey sends: a round trip to connect, one to ask, and the
bytes at line rate.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from client import EXPLICIT, download, get
from data import Data, uids_of
from link_client import CONNECTIONS, at_once, download_resumed
from linked import Linked, line_rate_s
from measure import Contender, Row, compare
from mersey.engine.client.series_update import SeriesUpdate
from mersey.engine.client.streaming import stream_series
from servers import Mersey, Orthanc, Server

__all__ = ["link_rows"]

_J2K = 'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90'
_FILES = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_SHARE = 30
"""Slices of the lossless rows: 300 as raw frames would take a minute."""
_CUT_SLICES = 10
_ALIKE = 0.9
"""Correlation of a small picture with the mean of each 8 x 8 samples; another slice's is less."""

type _Frames = np.ndarray[Any, np.dtype[Any]]


def link_rows(data: Data, work: Path) -> Iterator[Row]:
    """What comes when, over the link."""
    some = data.fresh(data.series[:_SHARE], "link")
    few = data.fresh(data.series[:_CUT_SLICES], "cut")
    folders = (data.series[0].parent, some[0].parent, few[0].parent)
    with Orthanc(work) as orthanc, Mersey(work, *folders) as mersey:
        orthanc.upload([*data.series, *some, *few])
        for paths in (data.series, some):
            # Renditions are made once; over the link they are there, as in daily use.
            assert get(mersey, f"{_series(paths)}/progressive?until=5")[0] == 200
        yield _first_picture(data, mersey, orthanc)
        yield _volume_at_an_eighth(data, mersey, orthanc)
        yield _lossless(data.frames[:_SHARE], some, mersey, orthanc)
        yield from _resumed(few, mersey, orthanc)


def _first_picture(data: Data, mersey: Server, orthanc: Server) -> Row:
    number = len(data.series) // 2
    path, expected = uids_of(data.series[number]).path, _eighth(data.frames[number])
    length = download(mersey, f"{path}/progressive?until=3")

    def theirs(linked: Server) -> Callable[[], None]:
        (picture,) = at_once(linked, [_preview(path)], "image/jpeg")
        return lambda: _assert_alike(_jpeg(picture), expected)

    return compare(
        "first picture of a slice over 20 Mbit/s, 40 ms: 64x64 (Orthanc: 8-bit JPEG)",
        [
            _over_link(mersey, lambda linked: _streamed(linked, path, 3, expected[None])),
            _over_link(orthanc, theirs),
            _limit(length),
        ],
        unit="s",
        rounds=3,
        note="ours has all bits and sharpens; theirs is a picture of 64x64 in its window, to throw "
        "away. Limit: two round trips and the bytes of ours at line rate.",
    )


def _volume_at_an_eighth(data: Data, mersey: Server, orthanc: Server) -> Row:
    path = _series(data.series)
    expected = np.stack([_eighth(frame) for frame in data.frames])
    previews = [_preview(uids_of(one).path) for one in data.series]
    length = download(mersey, f"{path}/progressive?until=3")

    def theirs(connections: int) -> _Work:
        def fetch(linked: Server) -> Callable[[], None]:
            found = at_once(linked, previews, "image/jpeg", connections=connections)
            return lambda: _assert_all_alike(np.stack([_jpeg(one) for one in found]), expected)

        return fetch

    return compare(
        "the volume of 300 slices at 1/8 over the link (Orthanc: 8-bit JPEG previews)",
        [
            _over_link(mersey, lambda linked: _streamed(linked, path, 3, expected)),
            *(
                _over_link(orthanc, theirs(count), name=f"orthanc ({count} connections)")
                for count in (CONNECTIONS, 4 * CONNECTIONS)
            ),
            _limit(length),
        ],
        unit="s",
        rounds=3,
        note="not the same quality: theirs are rendered 64x64 JPEGs, over 6 connections as of a "
        "browser, and over 24. As raw frames the volume takes 63 s.",
    )


def _lossless(frames: _Frames, paths: Sequence[Path], mersey: Server, orthanc: Server) -> Row:
    path = _series(paths)
    resources = [f"{uids_of(one).path}/frames/1" for one in paths]
    length = download(mersey, f"{path}/progressive")

    def theirs(accept: str, check: Callable[[bytes, _Frames], bool]) -> _Work:
        def fetch(linked: Server) -> Callable[[], None]:
            found = at_once(linked, resources, accept)
            return lambda: _assert_each(found, frames, check)

        return fetch

    raw = _over_link(orthanc, theirs(EXPLICIT, _has_samples), name="orthanc (raw)")
    return compare(
        f"{len(paths)} slices lossless over the link, complete",
        [
            _over_link(mersey, lambda linked: _streamed(linked, path, 0, frames)),
            _over_link(orthanc, theirs(_J2K, _is_j2k_of), name="orthanc (J2K)"),
            raw,
            _limit(length),
        ],
        unit="s",
        rounds=3,
        note=f"the first {len(paths)} of the 300 slices, so that a round stays short: raw frames "
        "of all take 63 s. Theirs are frames over 6 connections.",
    )


def _resumed(paths: Sequence[Path], mersey: Server, orthanc: Server) -> Iterator[Row]:
    study = f"/studies/{uids_of(paths[0]).study}"
    whole = functools.cache(lambda server: get(server, study, Accept=_FILES)[2])
    length = len(whole(mersey))

    def of(server: Server, *, counts_bytes: bool) -> Contender:
        def trial() -> float:
            with Linked(server, cut_at=length // 2) as linked:
                started = time.perf_counter()
                body = download_resumed(linked, study, accept=_FILES)
                seconds = time.perf_counter() - started
            assert body == whole(server), "other bytes"
            return linked.received_bytes / length if counts_bytes else seconds

        return Contender(server.name, trial, server.process_id)

    what = f"a study of {length / 1e6:.0f} MB, cut in the middle and resumed"
    note = "Orthanc answers a Range with the whole: what came before the cut is lost"
    yield compare(
        f"{what}: until it is whole",
        [
            of(mersey, counts_bytes=False),
            of(orthanc, counts_bytes=False),
            Contender("link", lambda: line_rate_s(length, connections=2)),
        ],
        unit="s",
        rounds=3,
        note=note,
    )
    yield compare(
        f"{what}: bytes over the link, of its size",
        [of(mersey, counts_bytes=True), of(orthanc, counts_bytes=True)],
        unit="x",
        rounds=3,
        note=note,
    )


type _Work = Callable[[Server], Callable[[], None]]
"""Fetches over a link; gives the check of what came, which is not timed."""


def _over_link(server: Server, fetch: _Work, *, name: str = "") -> Contender:
    def trial() -> float:
        with Linked(server) as linked:
            started = time.perf_counter()
            check = fetch(linked)
            seconds = time.perf_counter() - started
        check()
        return seconds

    return Contender(name or server.name, trial, server.process_id)


def _limit(length_bytes: int) -> Contender:
    return Contender("link", lambda: line_rate_s(length_bytes))


def _streamed(linked: Server, path: str, until: int, expected: _Frames) -> Callable[[], None]:
    """Stream and decode a series or an instance."""
    url = f"http://127.0.0.1:{linked.port}{linked.root}{path}"

    async def last() -> SeriesUpdate | None:
        found = None
        async with aclosing(stream_series(url, until=until, reduced=True)) as updates:
            async for update in updates:
                found = update
        return found

    update = asyncio.run(last())

    def check() -> None:
        assert update is not None
        assert update.is_complete, "not everything came"
        if until:
            _assert_all_alike(update.volume, expected)
        else:
            assert np.array_equal(update.volume, expected), "other samples"

    return check


def _series(paths: Sequence[Path]) -> str:
    uids = uids_of(paths[0])
    return f"/studies/{uids.study}/series/{uids.series}"


def _preview(path: str) -> str:
    return f"{path}/rendered?viewport=64,64"


def _eighth(frame: _Frames) -> _Frames:
    """The mean of each 8 x 8 samples."""
    rows, columns = frame.shape
    return frame.reshape(rows // 8, 8, columns // 8, 8).mean(axis=(1, 3))


def _jpeg(body: bytes) -> _Frames:
    picture: _Frames = imagecodecs.jpeg_decode(body[body.index(b"\xff\xd8\xff") :])
    return picture if picture.ndim == 2 else picture[..., 0]


def _assert_alike(picture: _Frames, expected: _Frames) -> None:
    assert picture.shape == expected.shape, f"a picture of {picture.shape}"
    alike = float(np.corrcoef(picture.ravel(), expected.ravel())[0, 1])
    assert alike > _ALIKE, f"another picture came: correlation {alike:.2f}"


def _assert_all_alike(volume: _Frames, expected: _Frames) -> None:
    assert volume.shape == expected.shape, f"a volume of {volume.shape}"
    for index in range(0, len(volume), 10):
        _assert_alike(volume[index], expected[index])


def _assert_each(
    bodies: Sequence[bytes], frames: _Frames, check: Callable[[bytes, _Frames], bool]
) -> None:
    for index, body in enumerate(bodies):
        assert check(body, frames[index]), f"other samples in slice {index + 1}"


def _has_samples(body: bytes, frame: _Frames) -> bool:
    return frame.tobytes() in body


def _is_j2k_of(body: bytes, frame: _Frames) -> bool:
    codestream = body[body.index(b"\xff\x4f\xff\x51") : body.rindex(b"\xff\xd9") + 2]
    return bool(np.array_equal(imagecodecs.jpeg2k_decode(codestream), frame))
