"""OHIF, set up as the README says, lists the study and shows its images without a complaint."""

from __future__ import annotations

import base64
import hashlib
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from .browsing import Browser, Visit
from .packages import command, made_once, npm
from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

_PACKAGE, _VERSION = "@ohif/app", "3.13.2"
_SHA512 = "WZdxmpmG7rqFgW9ZJLcbgr3XCtLi1KDNPoMaeY5PPe6j4G4fjEjjkycZM6C6Zk2F87BKxFfpq+jd5xXZB9E8EA=="
_UNFINISHED = "_setThrew is not defined"
"""What its codec-openjph 2.4.7 says of a frame of which too little has come to be decoded."""

_ADDRESS_IN_README = "http://localhost:8042"

_THUMBNAILS = "[...document.querySelectorAll('[data-cy=\"study-browser-thumbnail\"] img')]"
_ALL_SHOWN = f"""(() => {{
  const canvas = document.querySelector('canvas.cornerstone-canvas');
  if (!canvas || !canvas.width) return false;
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let lit = 0;
  for (let i = 0; i < pixels.length; i += 4) lit += pixels[i] > 20;
  const thumbnails = {_THUMBNAILS};
  const drawn = thumbnails.length === 3 && thumbnails.every((image) => image.naturalWidth > 0);
  return drawn && lit > pixels.length / 4 / 20;
}})()"""

_PREVIEWED = """[...document.querySelectorAll('img')]
  .filter((image) => image.src.startsWith('blob:') && image.naturalWidth > 0).length === 3"""


@pytest.fixture(scope="module")
def ohif(browser: Browser) -> Path:
    """The application as its makers built it, from its package."""
    return made_once(f"ohif-{_VERSION}", _unpack) / "package" / "dist"


def _unpack(folder: Path) -> None:
    words = [command("npm"), "pack", f"{_PACKAGE}@{_VERSION}", "--silent"]
    packed = folder / npm(words, cwd=folder).split()[-1]
    digest = hashlib.sha512(packed.read_bytes()).digest()
    assert base64.b64encode(digest).decode() == _SHA512
    with tarfile.open(packed) as archive:
        archive.extractall(folder, filter="data")
    packed.unlink()


@pytest.fixture(params=["original", "progressive", "stored"])
def visits(
    request: pytest.FixtureRequest,
    ohif: Path,
    browser: Browser,
    study: SampleStudy,
    repository: Path,
    tmp_path: Path,
) -> Visit:
    """A visit to the list of studies and to the study: its CT, then its ultrasound."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, Server)
    cine = dcmread(study.us_cine, stop_before_pixels=True).SeriesInstanceUID
    viewer = f"/viewer?StudyInstanceUIDs={study.study_instance_uid}"
    return browser.visit(
        ohif,
        [
            {"open": "/", "waitFor": "text=Phantom, Thorax", "screenshot": "studies.png"},
            {"open": viewer, "until": _ALL_SHOWN, "screenshot": "ct.png"},
            {
                "open": f"{viewer}&initialSeriesInstanceUID={cine}",
                "until": _ALL_SHOWN,
                "evaluate": "document.body.innerText",
                "screenshot": "cine.png",
            },
        ],
        service=server.address,
        results=tmp_path / "results",
        viewport={"width": 1280, "height": 800},
        replace={"/app-config.js": configuration(repository, server.address)},
    )


def configuration(repository: Path, address: str, *, thumbnails: str = "") -> str:
    """The configuration that the README shows, with the address of this server.

    `thumbnails` is what it says of them in place of the README's.
    """
    readme = (repository / "README.md").read_text()
    found = re.search(r"in `app-config\.js`:\n\n```js\n(.*?)^```$", readme, re.M | re.S)
    assert found is not None
    assert _ADDRESS_IN_README in found[1]
    shown = found[1].replace(_ADDRESS_IN_README, address)
    if thumbnails:
        told = r"thumbnailRendering: '\w+',.*\n\s*thumbnailRequestStrategy: '\w+',"
        shown, count = re.subn(told, thumbnails, shown)
        assert count == 1
    rest = "routerBasename: null, extensions: [], modes: [], showStudyList: true"
    return f"window.config = {{ {rest}, {shown} }};"


def complaints(visit: Visit) -> list[str]:
    """What the page has to say against the server."""
    return [said for said in visit.complaints("error") if _UNFINISHED not in said]


def test_the_study_is_listed_and_its_images_and_thumbnails_are_shown(visits: Visit) -> None:
    assert complaints(visits) == []
    (text,) = visits.results
    for series in ("Thorax, enhanced", "Thorax, slices", "Heart, cine"):
        assert series in text
    # A page that is left does not wait for the rest of its frames.
    answered = [request for request in visits.requests if "status" in request]
    assert {request["status"] for request in answered} <= {200, 206, 304}
    assert len(visits.sent(r"/studies\?.*includefield=")) >= 1
    assert len(visits.sent("/frames/")) > 5
    assert visits.sent("/", "OPTIONS") == []


@pytest.mark.parametrize(
    ("thumbnails", "path"),
    [
        ("thumbnailRendering: 'thumbnail', thumbnailRequestStrategy: 'fetch',", "/thumbnail"),
        ("thumbnailRendering: 'thumbnail',", "/thumbnail"),
        ("thumbnailRendering: 'rendered',", "/rendered"),
        ("thumbnailRendering: 'thumbnailDirect',", "/thumbnail"),
    ],
    ids=["thumbnail by fetch", "thumbnail", "rendered", "thumbnail in place"],
)
def test_thumbnails_are_pictures_that_the_server_makes(
    ohif: Path,
    browser: Browser,
    stored: Server,
    study: SampleStudy,
    repository: Path,
    tmp_path: Path,
    thumbnails: str,
    path: str,
) -> None:
    visit = browser.visit(
        ohif,
        [
            {
                "open": f"/viewer?StudyInstanceUIDs={study.study_instance_uid}",
                "until": _ALL_SHOWN,
                "evaluate": f"{_THUMBNAILS}.map((image) => image.naturalWidth)",
                "screenshot": "thumbnails.png",
            }
        ],
        service=stored.address,
        results=tmp_path / "results",
        viewport={"width": 1280, "height": 800},
        replace={
            "/app-config.js": configuration(repository, stored.address, thumbnails=thumbnails)
        },
    )
    assert complaints(visit) == []
    pictures = visit.sent(rf"{path}(\?|$)")
    assert len(pictures) >= 3
    assert {picture["status"] for picture in pictures} == {200}
    assert {picture["got"]["content-type"] for picture in pictures} == {"image/jpeg"}
    assert max(int(picture["got"]["content-length"]) for picture in pictures) < 100_000
    (widths,) = visit.results
    assert len(widths) == 3


def test_the_list_of_studies_previews_a_study_in_pictures(
    ohif: Path, browser: Browser, stored: Server, repository: Path, tmp_path: Path
) -> None:
    thumbnails = "thumbnailRendering: 'thumbnail', thumbnailRequestStrategy: 'fetch',"
    visit = browser.visit(
        ohif,
        [
            {
                "open": "/",
                "waitFor": "text=Phantom, Thorax",
                "screenshot": "studies.png",
            },
            {
                "click": "text=Phantom, Thorax",
                "until": _PREVIEWED,
                "screenshot": "preview.png",
            },
        ],
        service=stored.address,
        results=tmp_path / "results",
        viewport={"width": 1280, "height": 800},
        replace={
            "/app-config.js": configuration(repository, stored.address, thumbnails=thumbnails)
        },
    )
    assert complaints(visit) == []
    pictures = visit.sent("/thumbnail")
    assert len({picture["url"] for picture in pictures}) == 3
    assert {picture["status"] for picture in pictures} == {200}
