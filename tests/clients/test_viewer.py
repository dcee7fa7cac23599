"""Cornerstone3D in Chromium shows stacks and volumes progressively, and in the end exactly."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset, dcmread

from .browsing import Browser
from .serving import Server
from .showing import RPCL, SUBRESOLUTION, Show, assert_exact, assert_ranges_continue

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

SMALL_CHUNK = 8 << 10
LEVEL_3_CHUNK = 5 << 10
"""Holds all of the 64² picture of a 512² slice, and no more than makes the viewer show that."""


def hounsfield(dataset: Dataset) -> np.ndarray:
    return dataset.pixel_array.astype(np.int64) * int(dataset.RescaleSlope) + int(
        dataset.RescaleIntercept
    )


def slices(study: SampleStudy, count: int) -> list[np.ndarray]:
    return [hounsfield(dcmread(path)) for path in study.ct_series[:count]]


def reduced(image_id: str, level: int) -> np.ndarray:
    """The slice as OpenJPEG halves it `level` times, in Hounsfield units."""
    request = Request(image_id.removeprefix("wadors:"), headers={"Accept": "image/jphc"})
    with urlopen(request, timeout=240) as response:
        data = response.read()
    return imagecodecs.jpeg2k_decode(data, skipres=level).astype(np.int64) - 1024


def test_a_stack_is_exact_by_plain_requests(show: Show, server: Server, study: SampleStudy) -> None:
    shown = show(server, kind="stack", mode="xhr", count=3)
    assert_exact(shown, slices(study, 3))
    assert [request["status"] for request in shown.visit.sent("/frames/")] == [200] * 3


def test_a_stack_is_exact_in_chunks_as_large_as_the_viewer_likes(
    show: Show, server: Server, study: SampleStudy
) -> None:
    shown = show(server, kind="stack", mode="range", count=3)
    assert_exact(shown, slices(study, 3))
    assert_ranges_continue(shown.visit, chunk_bytes=128 << 10)


def test_a_stack_shows_a_smaller_picture_after_a_small_chunk(
    show: Show, server: Server, study: SampleStudy
) -> None:
    shown = show(server, kind="stack", mode="range", count=3, chunk_bytes=SMALL_CHUNK)
    assert_exact(shown, slices(study, 3))
    assert_ranges_continue(shown.visit, chunk_bytes=SMALL_CHUNK)
    for index, image_id in enumerate(shown.image_ids):
        early, _ = shown.of(index)
        assert (early.status, early.level, early.bytes) == (SUBRESOLUTION, 2, SMALL_CHUNK)
        # 8 KiB are not all of the 128² picture: its finest detail is still to come.
        found, expected = early.samples, reduced(image_id, 2)
        assert found.shape == expected.shape == (128, 128)
        assert np.abs(found - expected).mean() < 0.03 * np.ptp(expected)


def test_what_the_readme_has_users_write_shows_a_smaller_picture_first(
    show: Show, original: Server, study: SampleStudy, repository: Path
) -> None:
    readme = (repository / "README.md").read_text()
    found = re.search(
        r"^```js\nimport \{ utilities \} from '@cornerstonejs/core';\n(.*?)^```$",
        readme,
        re.M | re.S,
    )
    assert found is not None
    shown = show(original, kind="stack", mode="code", count=2, code=found[1])
    assert_exact(shown, slices(study, 2))
    assert [picture.level for picture in shown.pictures] == [2, 0, 2, 0]


def test_an_early_picture_whose_bytes_are_all_there_is_the_reduced_image(
    show: Show, server: Server, study: SampleStudy
) -> None:
    shown = show(server, kind="stack", mode="range", count=2, chunk_bytes=LEVEL_3_CHUNK)
    assert_exact(shown, slices(study, 2))
    for index, image_id in enumerate(shown.image_ids):
        early, _ = shown.of(index)
        assert (early.level, early.samples.shape) == (3, (64, 64))
        np.testing.assert_array_equal(early.samples, reduced(image_id, 3))


def test_a_stack_sharpens_while_it_streams_over_a_slow_wire(
    show: Show, progressive: Server, study: SampleStudy
) -> None:
    shown = show(
        progressive,
        kind="stack",
        mode="stream",
        count=2,
        chunk_bytes=SMALL_CHUNK,
        bytes_per_second=100_000,
    )
    assert_exact(shown, slices(study, 2))
    for index in range(2):
        levels = [picture.level for picture in shown.of(index)]
        assert levels == sorted(levels, reverse=True)
        assert levels[0] > 0
    assert [request["status"] for request in shown.visit.sent("/frames/")] == [200, 200]


def test_a_stack_shows_the_picture_of_a_size_first(
    show: Show, server: Server, study: SampleStudy
) -> None:
    shown = show(server, kind="stack", mode="fsiz", count=2)
    assert_exact(shown, slices(study, 2))
    for index, image_id in enumerate(shown.image_ids):
        early, _ = shown.of(index)
        assert early.status == SUBRESOLUTION
        np.testing.assert_array_equal(early.samples, reduced(image_id, 2))
    for request in shown.visit.sent("fsiz=100,100"):
        assert request["got"]["x-decode-level"] == "2"


def test_a_volume_is_exact_by_plain_requests(
    show: Show, original: Server, study: SampleStudy
) -> None:
    count = len(study.ct_series)
    shown = show(original, kind="volume", mode="xhr", count=count)
    assert_exact(shown, slices(study, count))


def test_a_volume_is_filled_with_smaller_pictures_first(
    show: Show, progressive: Server, study: SampleStudy
) -> None:
    count = len(study.ct_series)
    shown = show(progressive, kind="volume", mode="range", count=count, chunk_bytes=SMALL_CHUNK)
    assert_exact(shown, slices(study, count))
    early = [picture for picture in shown.pictures if picture.status == SUBRESOLUTION]
    assert len({picture.index for picture in early}) >= count // 2
    assert shown.pictures[0].status == SUBRESOLUTION


def test_a_server_that_is_started_again_between_two_chunks_goes_unnoticed(
    show: Show, server: Server, study: SampleStudy
) -> None:
    restarts = []

    def restart() -> None:
        server.restart()
        restarts.append(server)

    shown = show(
        server,
        kind="stack",
        mode="range",
        count=2,
        chunk_bytes=SMALL_CHUNK,
        pauseBefore=r"^bytes=[1-9].*/frames/",
        on_pause=restart,
    )
    assert len(restarts) == 1
    assert_exact(shown, slices(study, 2))
    assert_ranges_continue(shown.visit, chunk_bytes=SMALL_CHUNK)


def test_frames_of_an_enhanced_ct_are_exact(show: Show, server: Server, study: SampleStudy) -> None:
    shown = show(
        server,
        kind="stack",
        mode="range",
        count=3,
        file=study.enhanced_ct,
        chunk_bytes=SMALL_CHUNK,
    )
    dataset = dcmread(study.enhanced_ct)
    shared = dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence[0]
    dataset.RescaleSlope, dataset.RescaleIntercept = shared.RescaleSlope, shared.RescaleIntercept
    assert_exact(shown, list(hounsfield(dataset)[:3]))


def test_frames_of_a_colour_cine_are_exact(show: Show, server: Server, study: SampleStudy) -> None:
    shown = show(
        server, kind="stack", mode="range", count=3, file=study.us_cine, chunk_bytes=SMALL_CHUNK
    )
    assert_exact(shown, list(dcmread(study.us_cine).pixel_array[:3]))


def test_the_metadata_tells_the_viewer_all_that_it_needs(
    show: Show, server: Server, study: SampleStudy
) -> None:
    shown = show(server, kind="stack", mode="xhr", count=1)
    plane, pixels = (shown.metadata[name] for name in ("imagePlaneModule", "imagePixelModule"))
    assert plane["pixelSpacing"] == [0.78125, 0.78125]
    assert plane["imagePositionPatient"] == [-200, -200, 0]
    assert plane["usingDefaultValues"] is False
    described = {name: pixels[name] for name in ("bitsAllocated", "bitsStored", "highBit")}
    assert described == {"bitsAllocated": 16, "bitsStored": 12, "highBit": 11}
    series = shown.metadata["generalSeriesModule"]
    assert series["studyInstanceUID"] == study.study_instance_uid


def test_a_quoted_accept_costs_a_preflight_a_url_and_gets_the_frames(
    browser: Browser, viewer_page: Path, progressive: Server, tmp_path: Path
) -> None:
    found = progressive.get_json("/instances?Modality=CT&limit=8")
    urls = [f"{instance['00081190']['Value'][0]}/frames/1" for instance in found]
    accept = f'multipart/related; type="image/jphc"; transfer-syntax={RPCL}'
    script = f"""Promise.all({urls}.map(async (url) => {{
        const response = await fetch(url, {{ headers: {{ Accept: '{accept}' }} }});
        return (await response.arrayBuffer()).byteLength;
    }}))"""
    visit = browser.visit(
        viewer_page,
        [{"open": "/index.html", "evaluate": script}],
        service=progressive.address,
        results=tmp_path / "results",
    )
    preflights = visit.sent("/frames/", "OPTIONS")
    assert len(preflights) == len(urls) == 8
    for preflight in preflights:
        assert preflight["status"] == 204
        assert int(preflight["got"]["access-control-max-age"]) > 600
    lengths = [int(request["got"]["content-length"]) for request in visit.sent("/frames/")]
    assert sorted(visit.results[0]) == sorted(lengths)
