"""What the viewer in the browser was given to show, and what must hold of it every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import dcmread

from .browsing import Browser, Visit
from .serving import Server

__all__ = [
    "RPCL",
    "SUBRESOLUTION",
    "WHOLE",
    "Picture",
    "Show",
    "Shown",
    "assert_exact",
    "assert_ranges_continue",
    "show_series",
]

RPCL = "1.2.840.10008.1.2.4.202"
SUBRESOLUTION, WHOLE = 6, 8  # Cornerstone's ImageQualityStatus


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that the viewer was given to show; samples as it has them."""

    index: int
    status: int
    level: int
    bytes: int
    transfer_syntax: str
    samples: np.ndarray


@dataclass(frozen=True, slots=True)
class Shown:
    """What one showing brought: the pictures in order, and the visit that it was."""

    pictures: list[Picture]
    image_ids: list[str]
    metadata: dict[str, Any]
    visit: Visit

    def of(self, index: int) -> list[Picture]:
        return [picture for picture in self.pictures if picture.index == index]


type Show = Callable[..., Shown]


def show_series(
    browser: Browser,
    page: Path,
    server: Server,
    *,
    file: Path,
    results: Path,
    kind: str,
    mode: str,
    count: int,
    chunk_bytes: int | None = None,
    bytes_per_second: int | None = None,
    code: str = "",
    **plan: Any,
) -> Shown:
    """Show the first images of the series of `file` in a browser that knows nothing yet."""
    dataset = dcmread(file, stop_before_pixels=True)
    scenario: dict[str, Any] = {
        "root": server.root,
        "study": dataset.StudyInstanceUID,
        "series": dataset.SeriesInstanceUID,
        "kind": kind,
        "mode": mode,
        "count": count,
        "code": code,
    }
    if chunk_bytes is not None:
        scenario["chunkSize"] = chunk_bytes
    step: dict[str, Any] = {"show": scenario, "screenshot": "shown.png"}
    if bytes_per_second is not None:
        step["bytesPerSecond"] = bytes_per_second
    steps = [{"open": "/index.html"}, step]
    return _shown(browser.visit(page, steps, service=server.address, results=results, **plan))


def _shown(visit: Visit) -> Shown:
    """The result, after what holds for every showing: no complaint, no wrong status."""
    (result,) = visit.results
    assert result["errors"] == []
    assert visit.complaints("error", "warning") == []
    assert {request["status"] for request in visit.requests} <= {200, 204, 206}
    assert not any("content-encoding" in request["got"] for request in visit.sent("/frames/"))
    pictures = []
    for picture in result["pictures"]:
        dtype = np.dtype(picture["type"].removesuffix("Array").removesuffix("Clamped").lower())
        samples = np.fromfile(visit.folder / picture["file"], dtype)
        shape: tuple[int, ...] = (picture["rows"], picture["columns"])
        if picture["components"] > 1:
            shape = (*shape, picture["components"])
        pictures.append(
            Picture(
                picture["index"],
                picture["status"],
                picture["level"],
                picture["bytes"],
                picture.get("transferSyntax", ""),
                samples.reshape(shape),
            )
        )
    return Shown(pictures, result["imageIds"], result["metadata"][0], visit)


def assert_exact(shown: Shown, frames: Sequence[np.ndarray], *, syntax: str = RPCL) -> None:
    """The last picture of each image is the source, sample for sample, and came in `syntax`."""
    assert len(shown.image_ids) == len(frames)
    for index, frame in enumerate(frames):
        last = shown.of(index)[-1]
        assert last.status == WHOLE
        assert last.transfer_syntax == syntax
        np.testing.assert_array_equal(last.samples, frame)


def assert_ranges_continue(visit: Visit, *, chunk_bytes: int) -> None:
    """Each frame came as a beginning and the rest of the same: Chromium asked by If-Range."""
    requests = visit.sent("/frames/")
    for url in {request["url"] for request in requests}:
        first, rest = (request for request in requests if request["url"] == url)
        tag, total = first["got"]["etag"], int(first["got"]["content-range"].split("/")[1])
        assert first["sent"]["range"] == f"bytes=0-{chunk_bytes - 1}"
        assert rest["sent"]["if-range"] == tag
        assert rest["got"]["etag"] == tag
        assert [first["status"], rest["status"]] == [206, 206]
        assert rest["got"]["content-range"] == f"bytes {chunk_bytes}-{total - 1}/{total}"
