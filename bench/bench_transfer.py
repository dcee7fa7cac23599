"""Pulling a study from another Mersey: over loopback beside curl and nginx, and over slow links.

Each pull is the command itself, into a folder that was not there. What it brought is compared,
byte for byte by SHA-256, before anything is told. The server has sent the study once before: the
digests of files in place, and the renditions, are kept from then on. The memory of both ends is
told of pushes, too.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from footprint import Footprint, pss_bytes
from long_files import LongFiles
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import LinkProfile
from served import Served
from transfer_study import TransferStudy, digests_below, write_transfer_study

MIB = int(os.environ.get("BENCH_MIB", "512"))
MEMORY_MIB = [int(one) for one in os.environ.get("BENCH_MEMORY_MIB", "512").split(",")]
ROUNDS = 3
LOOPBACK_AIM = 0.7
SOONER_AIM = 2.5
LINK_AIM = 0.95
GROWTH_AIM_MIB = 100
MERSEY = str(Path(sys.executable).with_name("mersey"))
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@dataclass(frozen=True, slots=True)
class Pulled:
    """`seconds` is of the whole process, `told_s` without the start of the interpreter."""

    seconds: float
    told_s: float
    cpu_s: float
    wire_bytes: int


@pytest.fixture(scope="module")
def study(files: LongFiles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferStudy]:
    folder = tmp_path_factory.mktemp("transfer") / "study"
    yield write_transfer_study(folder, files, mib=MIB)
    shutil.rmtree(folder)


def bench_pull_over_loopback(benchmark: Any, study: TransferStudy, tmp_path: Path) -> None:
    """As stored, digests verified and files durable, beside curl -o of the same bytes."""
    with ExitStack() as stack:
        # Renditions that nobody asked for would be made meanwhile, beside curl and beside the pull.
        store = tmp_path / "store"
        served = stack.enter_context(Served(study.folder, store, "--no-prebuild"))
        url = _url(served, study)
        first = _pull(url, tmp_path / "to", study, "--wire", "as-stored")
        curl = _curl_from_nginx(stack, study, tmp_path)
        pulls: list[Pulled] = []
        curls: list[tuple[float, float]] = []
        server_cpu: list[float] = []

        def one_pull() -> None:
            before = _cpu_s(served.process.pid)
            pulls.append(_pull(url, tmp_path / "to", study, "--wire", "as-stored", check=False))
            server_cpu.append(_cpu_s(served.process.pid) - before)

        def check() -> tuple[tuple[()], dict[str, Any]]:
            if (tmp_path / "to").exists():
                assert digests_below(tmp_path / "to") == study.digests
                shutil.rmtree(tmp_path / "to")
            os.sync()
            if curl is not None:
                curls.append(curl())
            os.sync()
            return (), {}

        benchmark.pedantic(one_pull, setup=check, rounds=ROUNDS)
        check()
    pull_s = statistics.median(one.seconds for one in pulls)
    gb = study.size_bytes / 1e9
    benchmark.extra_info |= {
        "MB/s": round(study.size_bytes / 1e6 / pull_s, 1),
        "MB/s without start": round(
            study.size_bytes / 1e6 / statistics.median(one.told_s for one in pulls), 1
        ),
        "MB/s of the first pull": round(study.size_bytes / 1e6 / first.seconds, 1),
        "client CPU s/GB": round(statistics.median(one.cpu_s for one in pulls) / gb, 2),
        "server CPU s/GB": round(statistics.median(server_cpu) / gb, 2),
    }
    if curls:
        curl_s = statistics.median(seconds for seconds, _ in curls)
        synced_s = statistics.median(seconds for _, seconds in curls)
        benchmark.extra_info |= {
            "of curl and nginx": round(curl_s / pull_s, 2),
            "aim": LOOPBACK_AIM,
            "of curl, nginx and sync": round(synced_s / pull_s, 2),
        }


@pytest.mark.parametrize("mib", MEMORY_MIB)
def bench_memory_of_a_pull(benchmark: Any, files: LongFiles, tmp_path: Path, mib: int) -> None:
    """PSS of both process trees above what they take before anything is pulled.

    The client's is that of a pull of one instance.
    """
    study = write_transfer_study(tmp_path / "study", files, mib=mib)
    with Served(study.folder, tmp_path / "store") as served:
        url = _url(served, study)
        small = write_transfer_study(tmp_path / "small", files, mib=0, slices=2)
        with Served(small.folder, tmp_path / "small-store") as other:
            arguments = (_url(other, small), tmp_path / "to", small, "--wire", "as-stored")
            idle_client = max(_pull_watched(*arguments) for _ in range(2))
        served.settle()
        idle_server = pss_bytes(served.process.pid)
        found: list[tuple[int, int]] = []

        def one_pull() -> None:
            with Footprint(served.process.pid) as server:
                client = _pull_watched(url, tmp_path / "to", study, "--wire", "as-stored")
            found.append((server.peak_bytes, client))

        benchmark.pedantic(one_pull, rounds=1)
    ((server_bytes, client_bytes),) = found
    benchmark.extra_info |= {
        "study MiB": mib,
        "server grew MiB": round((server_bytes - idle_server) / (1 << 20)),
        "client grew MiB": round((client_bytes - idle_client) / (1 << 20)),
        "client MiB": round(client_bytes / (1 << 20)),
        "aim below MiB": GROWTH_AIM_MIB,
    }


@pytest.mark.parametrize("wire", ["as-stored", "auto"])
@pytest.mark.parametrize("mib", MEMORY_MIB)
def bench_memory_of_a_push(
    benchmark: Any, files: LongFiles, tmp_path: Path, mib: int, wire: str
) -> None:
    """PSS of both process trees above what they take before anything is pushed.

    The client's is that of a push of two slices, which goes to another server.
    """
    study = write_transfer_study(tmp_path / "study", files, mib=mib)
    small = write_transfer_study(tmp_path / "small", files, mib=0, slices=2)
    (tmp_path / "nothing").mkdir()
    with Served(tmp_path / "nothing", tmp_path / "small-store") as other:
        idle_client = max(_push_watched(other, small, wire) for _ in range(2))
    with Served(tmp_path / "nothing", tmp_path / "store") as served:
        served.settle()
        idle_server = pss_bytes(served.process.pid)
        found: list[tuple[int, int]] = []

        def one_push() -> None:
            with Footprint(served.process.pid) as server:
                client = _push_watched(served, study, wire)
            found.append((server.peak_bytes, client))

        benchmark.pedantic(one_push, rounds=1)
        stored = [path.name.partition(".")[0] for path in (tmp_path / "store/blobs").glob("*/*")]
        assert sorted(stored) == study.digests
    ((server_bytes, client_bytes),) = found
    benchmark.extra_info |= {
        "study MiB": mib,
        "server grew MiB": round((server_bytes - idle_server) / (1 << 20)),
        "server MiB": round(server_bytes / (1 << 20)),
        "client grew MiB": round((client_bytes - idle_client) / (1 << 20)),
        "client MiB": round(client_bytes / (1 << 20)),
        "aim below MiB": GROWTH_AIM_MIB,
    }


@pytest.mark.parametrize(
    ("mbit", "rtt_ms", "slices"), [(100, 40, 300), (20, 80, 300)], ids=["100mbit", "20mbit"]
)
def bench_pull_over_a_slow_link(
    benchmark: Any, files: LongFiles, tmp_path: Path, mbit: int, rtt_ms: int, slices: int
) -> None:
    """CT slices: `auto` against the line rate, and how much of the link `as-stored` uses."""
    study = write_transfer_study(tmp_path / "study", files, mib=0, slices=slices)
    profile = LinkProfile.shaped(bytes_per_s=mbit * 1e6 / 8, rtt_s=rtt_ms / 1e3)
    found: dict[str, Pulled] = {}
    with Served(study.folder, tmp_path / "store") as served:
        _pull(_url(served, study), tmp_path / "to", study, "--wire", "htj2k")
        _pull(_url(served, study), tmp_path / "to", study, "--wire", "as-stored")
        served.settle()

        def both() -> None:
            for wire in ("auto", "as-stored"):
                found[wire] = asyncio.run(_over(profile, served, study, tmp_path / "to", wire))

        benchmark.pedantic(both, rounds=1)
    line_s = study.size_bytes / (mbit * 1e6 / 8)
    auto, stored = found["auto"], found["as-stored"]
    benchmark.extra_info |= {
        "uncompressed at line rate s": round(line_s, 2),
        "auto s": round(auto.told_s, 2),
        "auto with start s": round(auto.seconds, 2),
        "sooner": round(line_s / auto.told_s, 2),
        "sooner with start": round(line_s / auto.seconds, 2),
        "aim": SOONER_AIM,
        "bytes of auto %": round(100 * auto.wire_bytes / study.size_bytes, 1),
        "as-stored s": round(stored.told_s, 2),
        "as-stored of the link": round(line_s / stored.told_s, 3),
        "aim of the link": LINK_AIM,
    }


async def _over(
    profile: LinkProfile, served: Served, study: TransferStudy, folder: Path, wire: str
) -> Pulled:
    host, port = served.connection.host, served.connection.port
    async with Link(host, port, profile=profile) as link:
        url = f"http://127.0.0.1:{link.port}/dicom-web/studies/{study.study_instance_uid}"
        return await asyncio.to_thread(_pull, url, folder, study, "--wire", wire)


def _url(served: Served, study: TransferStudy) -> str:
    """Where the study is, once the server has found all of it."""
    place = f"{served.connection.host}:{served.connection.port}"
    path = f"/mersey/studies/{study.study_instance_uid}/parcels"
    for _ in range(1200):
        served.connection.request("GET", path)
        response = served.connection.getresponse()
        listing = response.read()
        if response.status == 200:
            parcels = json.loads(listing)["parcels"]
            if sum(one["items"] for one in parcels) == len(study.digests):
                return f"http://{place}/dicom-web/studies/{study.study_instance_uid}"
        time.sleep(0.05)
    raise TimeoutError("the study was not indexed within a minute")


def _pull(
    url: str, folder: Path, study: TransferStudy, *arguments: str, check: bool = True
) -> Pulled:
    """One `mersey pull`; with `check` its files are compared and removed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [MERSEY, "pull", url, str(folder), "--json", *arguments], capture_output=True, check=True
    )
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if check:
        assert digests_below(folder) == study.digests
        shutil.rmtree(folder)
    told = json.loads(done.stdout)
    return Pulled(seconds, told["seconds"], cpu_s, told["wire_bytes"])


def _pull_watched(url: str, folder: Path, study: TransferStudy, *arguments: str) -> int:
    """The most that the process tree of one pull took."""
    command = [MERSEY, "pull", url, str(folder), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Footprint(process.pid) as client:
        assert process.wait() == 0
    assert digests_below(folder) == study.digests
    shutil.rmtree(folder)
    return client.peak_bytes


def _push_watched(served: Served, study: TransferStudy, wire: str) -> int:
    """The most that the process tree of one push took."""
    url = f"http://{served.connection.host}:{served.connection.port}/dicom-web"
    command = [MERSEY, "push", str(study.folder), url, "--wire", wire]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with Footprint(process.pid) as client:
        assert process.wait() == 0
    return client.peak_bytes


def _curl_from_nginx(stack: ExitStack, study: TransferStudy, tmp_path: Path) -> Any:
    """Seconds that curl takes from nginx for the same bytes in one file, and until they are synced.

    None where one of the two is not there.
    """
    if NGINX is None or shutil.which("curl") is None:
        return None
    sys.path.append(str(Path(__file__).parent / "peers"))
    from servers import Nginx

    whole = tmp_path / "nginx" / "whole"
    whole.parent.mkdir()
    study.joined(whole)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    stack.enter_context(Nginx(tmp_path, whole.parent, port=port))
    target = tmp_path / "curled"

    def curl() -> tuple[float, float]:
        target.unlink(missing_ok=True)
        started = time.perf_counter()
        url = f"http://127.0.0.1:{port}/whole"
        subprocess.run(["curl", "-s", "-f", "-o", str(target), url], check=True)
        seconds = time.perf_counter() - started
        with target.open("rb") as file:
            os.fdatasync(file.fileno())
        synced_s = time.perf_counter() - started
        assert target.stat().st_size == study.size_bytes
        return seconds, synced_s

    return curl


def _cpu_s(process_id: int) -> float:
    """CPU that a process and its children have taken."""
    root = psutil.Process(process_id)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        times = process.cpu_times()
        total += times.user + times.system
    return total
