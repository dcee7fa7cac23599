"""A page in Chromium reads a series low resolution first, from one answer, as it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imagecodecs
import numpy as np
import pytest
from mersey.engine.transfer.live_range import live_range
from pydicom import dcmread

from .browsing import Browser, Visit
from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

SLOW_BYTES_PER_S = 1_000_000


@dataclass(frozen=True, slots=True)
class Sharpened:
    """What a page was shown of a series, in order."""

    pictures: list[dict[str, Any]]
    description: dict[str, Any]
    visit: Visit

    def samples(self, picture: dict[str, Any]) -> np.ndarray:
        """As the page has decoded them."""
        (format_,) = self.description["formats"]
        halved = (-(-format_[side] >> picture["reduction"]) for side in ("rows", "columns"))
        rows, columns = (int(side) for side in halved)
        data = np.fromfile(
            self.visit.folder / picture["file"], "<i2" if format_["signed"] else "<u2"
        )
        return data.reshape(rows, columns)

    def slice_of(self, picture: dict[str, Any], study: SampleStudy) -> np.ndarray:
        """The stored samples of the slice that a picture is of."""
        uid = self.description["instances"][picture["frame"]]["uid"]
        found = (dcmread(path) for path in study.ct_series)
        return next(file.pixel_array for file in found if file.SOPInstanceUID == uid)


type Sharpen = Callable[..., Sharpened]


@pytest.fixture
def sharpen(browser: Browser, viewer_page: Path, study: SampleStudy, tmp_path: Path) -> Sharpen:
    """Read the CT series of a server in a page that shows it at an eighth, then whole."""

    def read(server: Server, *, bytes_per_second: int = 0, **scenario: Any) -> Sharpened:
        dataset = dcmread(study.ct_series[0], stop_before_pixels=True)
        series = f"studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        asked = {"url": f"{server.root}/{series}/progressive", "shown": [3, 0], **scenario}
        step = {"sharpen": asked, "bytesPerSecond": bytes_per_second}
        visit = browser.visit(
            viewer_page,
            [{"open": "/index.html"}, step],
            service=server.address,
            results=tmp_path / "results",
        )
        assert visit.complaints("error") == []
        return Sharpened(visit.results[0]["pictures"], visit.results[0]["description"], visit)

    return read


def assert_exact(seen: Sharpened, study: SampleStudy) -> None:
    """Each slice came twice, halved three times as OpenJPEG does it, and whole."""
    count = len(study.ct_series)
    assert [picture["reduction"] for picture in seen.pictures] == [3] * count + [0] * count
    early, whole = seen.pictures[:count], seen.pictures[count:]
    assert sorted(picture["frame"] for picture in early) == list(range(count))
    assert sorted(picture["frame"] for picture in whole) == list(range(count))
    for picture in whole:
        np.testing.assert_array_equal(seen.samples(picture), seen.slice_of(picture, study))
    for picture in early:
        lossless = imagecodecs.jpeg2k_encode(
            seen.slice_of(picture, study), level=0, reversible=True, resolutions=6
        )
        expected = imagecodecs.jpeg2k_decode(lossless, skipres=3)
        np.testing.assert_array_equal(seen.samples(picture), expected)


def test_a_page_has_every_slice_small_before_any_is_whole(
    sharpen: Sharpen, server: Server, study: SampleStudy
) -> None:
    seen = sharpen(server)
    assert_exact(seen, study)
    assert len(seen.visit.sent("/progressive")) == 1
    assert seen.visit.sent("/progressive", "OPTIONS") == []


def test_a_page_has_the_small_volume_while_most_is_still_to_come(
    sharpen: Sharpen, progressive: Server, study: SampleStudy
) -> None:
    seen = sharpen(progressive, bytes_per_second=SLOW_BYTES_PER_S)
    assert_exact(seen, study)
    last = seen.pictures[len(study.ct_series) - 1]
    assert last["received"] < last["total"] / 5


def assert_goes_on(seen: Sharpened, breaks: list[int]) -> None:
    """It asked for what followed each break, and got that of the same answer."""
    first, *again = seen.visit.sent("/progressive")
    assert [request["status"] for request in again] == [206] * len(breaks)
    assert {request["got"]["etag"] for request in again} == {first["got"]["etag"]}
    assert [request["sent"]["range"] for request in again] == [
        live_range(sum(breaks[: count + 1])) for count in range(len(breaks))
    ]


def test_a_page_goes_on_where_the_wire_broke(
    sharpen: Sharpen, progressive: Server, study: SampleStudy
) -> None:
    breaks = [5_000, 50_000, 500_000]
    seen = sharpen(progressive, breaks=breaks)
    assert_exact(seen, study)
    assert_goes_on(seen, breaks)


def test_a_page_goes_on_with_what_is_still_being_made(
    sharpen: Sharpen, study: SampleStudy, tmp_path: Path
) -> None:
    breaks = [2_000, 3_000, 50_000]
    with Server(study.enhanced_ct.parent, tmp_path / "store") as fresh:
        seen = sharpen(fresh, breaks=breaks)
    assert_exact(seen, study)
    assert_goes_on(seen, breaks)
