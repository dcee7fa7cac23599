"""curl, aria2c and rclone, as users have them, download studies over a link that breaks."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places

from .packages import command
from .serving import Server

if TYPE_CHECKING:
    from sample_study import SampleStudy

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

ZIP = "Accept: application/zip"
MULTIPART = 'Accept: multipart/related; type="application/dicom"; transfer-syntax=*'
_MOST_TRIES = 60
_PATIENCE_S = 400


@contextmanager
def linked(server: Server, profile: LinkProfile) -> Iterator[tuple[Link, str]]:
    """A link in front of a server, in a thread of its own, and the service's root behind it."""
    host, _, port = server.address.removeprefix("http://").rpartition(":")
    link = Link(host, int(port), profile=profile)
    entered, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with link:
            entered.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    try:
        assert entered.wait(_PATIENCE_S)
        yield link, f"http://127.0.0.1:{link.port}/dicom-web"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(_PATIENCE_S)
        loop.close()


@pytest.fixture(params=[ZIP, MULTIPART], ids=["zip", "multipart"])
def accept(request: pytest.FixtureRequest) -> str:
    """What the study is asked for as."""
    return str(request.param)


@pytest.fixture
def straight(curl: str, original: Server, study: SampleStudy, accept: str, tmp_path: Path) -> Path:
    """The study as one download without a link."""
    path = tmp_path / "straight"
    url = f"{original.root}/studies/{study.study_instance_uid}"
    subprocess.run(
        [curl, "-sf", "-H", accept, "-o", str(path), url], check=True, timeout=_PATIENCE_S
    )
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_curl_goes_on_where_each_cut_left_it(
    curl: str, original: Server, study: SampleStudy, accept: str, straight: Path, tmp_path: Path
) -> None:
    saved = tmp_path / "resumed"
    profile = LinkProfile(down=Direction(cuts=Places(about=straight.stat().st_size // 12)), seed=7)
    with linked(original, profile) as (link, root):
        url = f"{root}/studies/{study.study_instance_uid}"
        words = [curl, "-sf", "-g", "-H", accept, "-C", "-", "-o", str(saved), url]
        for _ in range(_MOST_TRIES):
            before = saved.stat().st_size if saved.exists() else 0
            run = subprocess.run(words, check=False, timeout=_PATIENCE_S)
            assert not saved.exists() or saved.stat().st_size >= before
            if run.returncode == 0:
                break
    assert run.returncode == 0
    assert link.down.cuts >= 5
    assert link.connections == link.down.cuts + 1
    assert digest(saved) == digest(straight)
    # What came twice is what lay in the link and the kernel's buffers when it was cut.
    twice = link.down.passed_bytes - saved.stat().st_size
    assert twice < link.connections * (1 << 20)


def test_curl_goes_on_with_what_was_still_being_made_when_the_link_broke(
    curl: str, study: SampleStudy, tmp_path: Path
) -> None:
    accept = f"{MULTIPART[:-1]}1.2.840.10008.1.2.4.202"
    saved, straight = tmp_path / "resumed", tmp_path / "straight"
    profile = LinkProfile(down=Direction(cuts=Places(at=(100_000,))))
    with Server(study.enhanced_ct.parent, tmp_path / "store") as fresh:
        path = f"studies/{study.study_instance_uid}"
        with linked(fresh, profile) as (link, root):
            words = [curl, "-sf", "-H", accept, "-C", "-", "-o", str(saved), f"{root}/{path}"]
            first = subprocess.run(words, check=False, timeout=_PATIENCE_S)
            assert first.returncode != 0
            assert 0 < saved.stat().st_size < 100_000
            subprocess.run(words, check=True, timeout=_PATIENCE_S)
            assert link.connections == 2
        words = [curl, "-sf", "-H", accept, "-o", str(straight), f"{fresh.root}/{path}"]
        subprocess.run(words, check=True, timeout=_PATIENCE_S)
    assert digest(saved) == digest(straight)


def test_aria2c_downloads_in_parallel_over_a_link_that_breaks(
    original: Server, study: SampleStudy, accept: str, straight: Path, tmp_path: Path
) -> None:
    aria2c = command("aria2c")
    profile = LinkProfile(down=Direction(cuts=Places(about=straight.stat().st_size // 6)), seed=5)
    with linked(original, profile) as (link, root):
        url = f"{root}/studies/{study.study_instance_uid}"
        words = [aria2c, "-q", "-x8", "-s8", "-k1M", "--max-tries=30", "--retry-wait=0"]
        words += ["--file-allocation=none", f"--header={accept}"]
        run = subprocess.run(
            [*words, "-d", str(tmp_path), "-o", "parallel", url], check=False, timeout=_PATIENCE_S
        )
    assert run.returncode == 0
    assert link.connections >= 4
    assert link.down.cuts >= 2
    assert digest(tmp_path / "parallel") == digest(straight)


@pytest.mark.parametrize("streams", [0, 4])
def test_rclone_copies_over_a_link_that_breaks(
    original: Server,
    study: SampleStudy,
    accept: str,
    straight: Path,
    tmp_path: Path,
    streams: int,
) -> None:
    # Its backend `http` takes a study for a file; a read that breaks goes on by Range.
    rclone = command("rclone")
    saved = tmp_path / "copied"
    profile = LinkProfile(down=Direction(cuts=Places(about=straight.stat().st_size // 12)), seed=7)
    with linked(original, profile) as (link, root):
        words = [rclone, "copyto", "--config=", "--retries=1", "--low-level-retries=30"]
        words += ["--multi-thread-cutoff=1M", f"--multi-thread-streams={streams}"]
        words += [f"--header={accept}", f"--http-url={root}/studies"]
        run = subprocess.run(
            [*words, f":http:{study.study_instance_uid}", str(saved)],
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE_S,
        )
        assert run.returncode == 0, run.stderr
    assert link.down.cuts >= 5
    assert digest(saved) == digest(straight)
    twice = link.down.passed_bytes - saved.stat().st_size
    assert twice < link.connections * (1 << 20)


def test_a_download_is_not_gone_on_with_when_the_study_has_changed(
    curl: str, study: SampleStudy, tmp_path: Path
) -> None:
    folder = tmp_path / "files"
    shutil.copytree(study.enhanced_ct.parent, folder)
    saved, again = tmp_path / "saved", tmp_path / "again"
    with Server(folder, tmp_path / "store") as server:
        url = f"{server.root}/studies/{study.study_instance_uid}"
        words = [curl, "-s", "-g", "-H", ZIP, "-o", str(saved)]
        shown = subprocess.run(
            [*words, "-r", "0-99999", "-D", "-", url], check=True, capture_output=True, text=True
        ).stdout
        (etag,) = [
            line.partition(": ")[2] for line in shown.splitlines() if line.lower()[:5] == "etag:"
        ]
        sorted(folder.rglob("*.dcm"))[0].touch()
        subprocess.run(
            [*words[:-1], str(again), "-r", "100000-", "-H", f"If-Range: {etag}", url], check=True
        )
    archive = zipfile.ZipFile(again)
    assert archive.testzip() is None
    assert len(archive.namelist()) == len(study.files)
