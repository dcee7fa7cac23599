"""A pull that is killed, or whose server is, at any moment: it goes on, and nothing is lost.

The bytes are counted on the link: what travels twice is at most a chunk for each connection.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from mersey.engine.client.chunking import CHUNK_BYTES
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import Direction, LinkProfile, Places
from ports import free_port

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

KILLS = int(os.environ.get("MERSEY_KILLS", "20"))
"""Of each kind."""
PROFILE = LinkProfile.shaped(bytes_per_s=40e6, rtt_s=0.002)
CONNECTIONS = 2
PROGRAM = [sys.executable, "-c", "from mersey.engine.cli.main import main; main()"]
OVERHEAD_BYTES = 1 << 20
PATIENCE_S = 240
LOOK_S = 0.002


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study of some tens of MB: a file of many frames, and slices."""
    from sample_study import write_sample_study

    return write_sample_study(tmp_path_factory.mktemp("study"), frames=60)


class Served:
    """A server that can be killed and started again at the same port."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.port = free_port()
        self._command = [*PROGRAM, "serve", str(folder), "--store", str(store), "--no-prebuild"]
        self.start()

    def start(self) -> None:
        command = [*self._command, "--port", str(self.port)]
        quiet = subprocess.DEVNULL
        self.process = subprocess.Popen(command, stdout=quiet, stderr=quiet)

    def wait(self, study: str, files: int) -> None:
        """Until it answers, and has found all files of the study."""
        url = f"http://127.0.0.1:{self.port}/mersey/studies/{study}/parcels"
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s:
            try:
                with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
                    if sum(one["items"] for one in json.load(answer)["parcels"]) == files:
                        return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError("the server does not come back")

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def served(study, tmp_path):
    found = Served(study.enhanced_ct.parent, tmp_path / "store")
    found.wait(study.study_instance_uid, len(study.files))
    yield found
    found.kill()


def same_files(study, folder: Path) -> bool:
    found = sorted(path.read_bytes() for path in folder.rglob("*.dcm"))
    return found == sorted(path.read_bytes() for path in study.files)


async def pull(url: str, folder: Path, wire: str) -> asyncio.subprocess.Process:
    arguments = [url, str(folder), "--wire", wire, "--connections", str(CONNECTIONS)]
    quiet = subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *PROGRAM, "pull", *arguments, "--jobs", "1", stdout=quiet, stderr=subprocess.PIPE
    )


async def whole_pull(link: Link, study, url: str, folder: Path, wire: str) -> int:
    """How many bytes a pull takes that nothing befalls."""
    process = await pull(url, folder, wire)
    _, error = await process.communicate()
    assert process.returncode == 0, error
    assert same_files(study, folder)
    shutil.rmtree(folder)
    return link.down.passed_bytes


async def moment(link: Link, chance: random.Random, *, until, within_bytes: int) -> None:
    """Until some more bytes have passed, or some time, or all is done."""
    end_s = time.monotonic() + (chance.uniform(0.0, 1.5) if chance.random() < 0.2 else 20.0)
    enough = link.down.passed_bytes + chance.randrange(within_bytes)
    for _ in range(int(20 / LOOK_S)):
        if until.done() or link.down.passed_bytes > enough or time.monotonic() > end_s:
            return
        await asyncio.sleep(LOOK_S)


@pytest.fixture
def tell(capsys):
    """Tells a row of the fault table, past pytest's capture."""

    def tell(kind: str, kills: int, resumed: int, twice: list[int]) -> None:
        most, mean = max(twice) / 1e6, sum(twice) / 1e6 / max(kills, 1)
        with capsys.disabled():
            print(
                f"\n{kind}: {kills} kills, {resumed} transfers resumed, lost 0, sent twice "
                f"{mean:.2f} MB a kill, at most {most:.1f} MB a transfer"
            )

    return tell


@pytest.mark.parametrize("wire", ["as-stored", "htj2k"])
def test_a_client_that_is_killed_goes_on(study, served, tmp_path, wire, tell) -> None:
    chance = random.Random(wire)
    killed, twice = 0, []

    async def run() -> None:
        nonlocal killed
        folder = tmp_path / "to"
        async with Link("127.0.0.1", served.port, profile=PROFILE) as link:
            url = f"http://127.0.0.1:{link.port}/dicom-web/studies/{study.study_instance_uid}"
            once = await whole_pull(link, study, url, folder, wire)
            while killed < KILLS:
                before, kills = link.down.passed_bytes, 0
                while True:
                    process = await pull(url, folder, wire)
                    waiting = asyncio.create_task(process.communicate())
                    await moment(link, chance, until=waiting, within_bytes=once // 3)
                    if waiting.done():
                        break
                    process.kill()
                    await waiting
                    kills += 1
                _, error = waiting.result()
                assert process.returncode == 0, error
                assert same_files(study, folder)
                twice.append(max(0, link.down.passed_bytes - before - once))
                # Each kill loses a chunk of each connection, and asks for the manifests again.
                limit = kills * CONNECTIONS * CHUNK_BYTES + (kills + 1) * OVERHEAD_BYTES
                assert twice[-1] <= limit
                killed += kills
                shutil.rmtree(folder)

    asyncio.run(run())
    tell(f"pull {wire}, client killed", killed, len(twice), twice)


def test_a_server_that_is_killed_goes_on(study, served, tmp_path, tell) -> None:
    chance = random.Random(7)
    killed, twice = 0, []

    async def run() -> None:
        nonlocal killed
        folder = tmp_path / "to"
        async with Link("127.0.0.1", served.port, profile=PROFILE) as link:
            url = f"http://127.0.0.1:{link.port}/dicom-web/studies/{study.study_instance_uid}"
            once = await whole_pull(link, study, url, folder, "as-stored")
            while killed < KILLS:
                before, kills = link.down.passed_bytes, 0
                process = await pull(url, folder, "as-stored")
                waiting = asyncio.create_task(process.communicate())
                for _ in range(3):
                    await moment(link, chance, until=waiting, within_bytes=once // 3)
                    if waiting.done():
                        break
                    served.kill()
                    kills += 1
                    served.start()
                _, error = await waiting
                assert process.returncode == 0, error
                assert same_files(study, folder)
                twice.append(max(0, link.down.passed_bytes - before - once))
                limit = kills * CONNECTIONS * CHUNK_BYTES + (kills + 1) * OVERHEAD_BYTES
                assert twice[-1] <= limit
                killed += kills
                shutil.rmtree(folder)
                await asyncio.to_thread(served.wait, study.study_instance_uid, len(study.files))

    asyncio.run(run())
    tell("pull, server killed", killed, len(twice), twice)


def test_a_link_that_cuts_and_flips_brings_every_byte(study, served, tmp_path) -> None:
    async def run(seed: int) -> None:
        down = Direction(cuts=Places(about=9 << 20), flips=Places(about=30 << 20))
        profile = LinkProfile(down=down, seed=seed)
        async with Link("127.0.0.1", served.port, profile=profile) as link:
            url = f"http://127.0.0.1:{link.port}/dicom-web/studies/{study.study_instance_uid}"
            folder = tmp_path / f"to-{seed}"
            for _ in range(10):  # a flip in a header or a manifest may end a try
                process = await pull(url, folder, "as-stored")
                await process.communicate()
                if process.returncode == 0:
                    break
            assert link.down.cuts
            assert same_files(study, folder)
            shutil.rmtree(folder)

    for seed in range(max(1, KILLS // 10)):
        asyncio.run(run(seed))
