"""OHIF, set up as the README says, lists the study and shows its images without a complaint."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread

from .browsing import Browser, Visit, cache_folder, npm
from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

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


@pytest.fixture(scope="module")
def ohif(browser: Browser) -> Path:
    """The application as its makers built it, from its package."""
    folder = cache_folder() / f"ohif-{_VERSION}"
    if not folder.is_dir():
        words = ["npm", "pack", f"{_PACKAGE}@{_VERSION}", "--silent"]
        packed = cache_folder() / npm(words, cwd=cache_folder()).split()[-1]
        digest = hashlib.sha512(packed.read_bytes()).digest()
        assert base64.b64encode(digest).decode() == _SHA512
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        with tarfile.open(packed) as archive:
            archive.extractall(unfinished, filter="data")
        packed.unlink()
        unfinished.rename(folder)
    return folder / "package" / "dist"


@pytest.fixture(params=["original", "progressive"])
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


def configuration(repository: Path, address: str) -> str:
    """The configuration that the README shows, with the address of this server."""
    readme = (repository / "README.md").read_text()
    found = re.search(r"in `app-config\.js`:\n\n```js\n(.*?)^```$", readme, re.M | re.S)
    assert found is not None
    assert _ADDRESS_IN_README in found[1]
    shown = found[1].replace(_ADDRESS_IN_README, address)
    rest = "routerBasename: null, extensions: [], modes: [], showStudyList: true"
    return f"window.config = {{ {rest}, {shown} }};"


def test_the_study_is_listed_and_its_images_and_thumbnails_are_shown(visits: Visit) -> None:
    complaints = [said for said in visits.console if said.startswith("error")]
    assert [said for said in complaints if _UNFINISHED not in said] == []
    (text,) = visits.results
    for series in ("Thorax, enhanced", "Thorax, slices", "Heart, cine"):
        assert series in text
    # A page that is left does not wait for the rest of its frames.
    answered = [request for request in visits.requests if "status" in request]
    assert {request["status"] for request in answered} <= {200, 206, 304}
    assert len(visits.sent(r"/studies\?.*includefield=")) >= 1
    assert len(visits.sent("/frames/")) > 5
    assert visits.sent("/", "OPTIONS") == []
