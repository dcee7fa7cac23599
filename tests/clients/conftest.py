"""A synthetic study of 512² CT, uncompressed and progressive, each behind a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .browsing import Browser, build_viewer, find_browser
from .packages import command
from .serving import Server
from .showing import Show, Shown, show_series

if TYPE_CHECKING:
    from sample_study import SampleStudy

_SLICES = 16


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    """Enhanced CT of 6 frames, a CT series of 16 files, an ultrasound cine, uncompressed."""
    from sample_study import SampleStudy, write_sample_study

    whole = write_sample_study(tmp_path_factory.mktemp("study") / "files", frames=6)
    for path in whole.ct_series[_SLICES:]:
        path.unlink()
    return SampleStudy(
        whole.study_instance_uid, whole.enhanced_ct, whole.ct_series[:_SLICES], whole.us_cine
    )


@pytest.fixture(scope="session")
def original(study: SampleStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over the study as it was written: frames are encoded as they are asked for."""
    with Server(study.enhanced_ct.parent, tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="session")
def progressive(study: SampleStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over the study as `mersey transcode` leaves it: slices of its files."""
    from mersey.engine.cli.main import app
    from typer.testing import CliRunner

    folder = tmp_path_factory.mktemp("progressive") / "files"
    source = study.enhanced_ct.parent
    result = CliRunner().invoke(app, ["transcode", str(source), str(folder), "--jobs", "2"])
    assert result.exit_code == 0, result.output
    with Server(folder, tmp_path_factory.mktemp("store")) as server:
        yield server


@pytest.fixture(scope="session")
def stored(study: SampleStudy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose archive took the study by STOW-RS: blobs, and no folder."""
    with Server(None, tmp_path_factory.mktemp("store")) as server:
        server.store(study.files)
        yield server


@pytest.fixture(params=["original", "progressive", "stored"])
def server(request: pytest.FixtureRequest) -> Server:
    """Uncompressed files, encoded when asked for; progressive files; what was stored."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Server)
    return found


@pytest.fixture(scope="session")
def viewer() -> Path:
    """The folder of the page of Cornerstone3D, built; skips where that cannot be."""
    return build_viewer()


@pytest.fixture(scope="session")
def viewer_page(viewer: Path) -> Path:
    """What of it is served to a browser."""
    return viewer / "dist"


@pytest.fixture(scope="session")
def browser(viewer: Path) -> Browser:
    """Headless Chromium; skips where it cannot be had."""
    return find_browser(viewer)


@pytest.fixture(scope="session")
def curl() -> str:
    """The command curl; skips where it is absent."""
    return command("curl")


@pytest.fixture
def show(browser: Browser, viewer_page: Path, study: SampleStudy, tmp_path: Path) -> Show:
    """Show images of a server in the browser; of the CT series unless `file` is another's."""

    def show_images(server: Server, *, file: Path | None = None, **how: Any) -> Shown:
        return show_series(
            browser,
            viewer_page,
            server,
            file=file or study.ct_series[0],
            results=tmp_path / "results",
            **how,
        )

    return show_images
