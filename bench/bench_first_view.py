"""First view: how soon a whole series is there at an eighth, over a narrow link.

300 CT slices from a Mersey server over 20 Mbit/s with a round trip of 40 ms: by `stream_series`
the volume at 1/8 on the client, decoded, against a full lossless retrieve of the same stored
renditions over the same link, read and not even decoded.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from mersey.engine.client.address import Address
from mersey.engine.client.link import Link
from mersey.engine.client.link_profile import LinkProfile
from mersey.engine.client.remote import Remote
from mersey.engine.client.series_update import SeriesUpdate
from mersey.engine.client.streaming import stream_series
from mersey.engine.transfer.progressive_reader import ProgressiveReader
from phantom import Thorax
from served import Served

SLICES = 300
BYTES_PER_S = 20e6 / 8
LINK = LinkProfile.shaped(bytes_per_s=BYTES_PER_S, rtt_s=0.040)
WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.202'
SHARE = 0.05


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray[Any, Any]]:
    """A folder of 300 single-frame CT slices of 512 x 512, and their samples."""
    import sample_study as study
    from sample_attributes import StudyIdentity

    folder = tmp_path_factory.mktemp("slices")
    identity = StudyIdentity(
        study_instance_uid=study._uid(4, "study"), frame_of_reference_uid=study._uid(4, "frame")
    )
    list(study._write_ct_series(folder, identity, 512, SLICES, 4))
    thorax = Thorax(size=512, slices=SLICES, seed=5)
    return folder, np.stack([thorax.frame(index) for index in range(SLICES)])


def bench_first_view_of_300_slices(
    benchmark: Any, series: tuple[Path, np.ndarray[Any, Any]], tmp_path: Path
) -> None:
    folder, samples = series
    with Served(folder, tmp_path / "store") as served:
        path = _series_path(served)
        codestreams = _codestream_bytes(served, path)  # and the renditions are built
        served.settle()
        host, port = served.connection.host, served.connection.port
        found: list[dict[str, float]] = []

        def all_of_it() -> None:
            found.append(asyncio.run(_measure(f"http://{host}:{port}", path, samples)))

        benchmark.pedantic(all_of_it, rounds=1)
    (figures,) = found
    figures["overhead"] = figures["stream bytes"] / codestreams - 1
    share = figures["first view s"] / figures["full retrieve s"]
    benchmark.extra_info.update(
        {
            "first view at 1/8 s": round(figures["first view s"], 3),
            "full lossless retrieve s": round(figures["full retrieve s"], 2),
            "share of its time %": round(100 * share, 2),
            "share of its bytes %": round(
                100 * figures["first view bytes"] / figures["retrieve bytes"], 2
            ),
            "first frame ms": round(1e3 * figures["first frame s"]),
            "all lossless by the stream s": round(figures["whole s"], 2),
            "line rate used %": round(100 * figures["line rate used"], 1),
            "overhead of heads %": round(100 * figures["overhead"], 2),
            **{f"bytes at 1/{1 << int(r)}": int(figures[f"at {r}"]) for r in range(5, -1, -1)},
        }
    )
    assert share < SHARE


async def _measure(base: str, path: str, samples: np.ndarray[Any, Any]) -> dict[str, float]:
    parts = urlsplit(base)
    assert parts.hostname is not None
    assert parts.port is not None
    async with aclosing(stream_series(f"{base}/dicom-web{path}", until=5)) as updates:
        async for _ in updates:
            pass  # the client has imported its codecs, as a viewer has
    async with Link(parts.hostname, parts.port, profile=LINK) as link:
        near = f"http://127.0.0.1:{link.port}/dicom-web"
        figures = await _retrieve(near, path)
        figures |= await _stream(near + path, samples)
    figures["line rate used"] = figures["stream bytes"] / BYTES_PER_S / figures["whole s"]
    return figures


async def _retrieve(base: str, path: str) -> dict[str, float]:
    """The series as files in .202, the same stored renditions."""
    async with Remote(Address.parse(base)) as remote:
        started = time.perf_counter()
        length = 0
        async with remote.request("GET", base + path, headers={"Accept": WHOLE}) as response:
            async for piece in response.content.iter_any():
                length += len(piece)
        return {"full retrieve s": time.perf_counter() - started, "retrieve bytes": length}


async def _stream(url: str, samples: np.ndarray[Any, Any]) -> dict[str, float]:
    figures: dict[str, float] = {}
    started = time.perf_counter()
    last: SeriesUpdate | None = None
    async with aclosing(stream_series(url)) as updates:
        async for update in updates:
            now = time.perf_counter() - started
            figures.setdefault("first frame s", now)
            if update.reduction is not None:
                for reduction in range(update.reduction, 6):
                    figures.setdefault(f"at {reduction}", update.received_bytes)
                if update.reduction <= 3 and "first view s" not in figures:
                    figures["first view s"] = now
                    figures["first view bytes"] = update.received_bytes
            last = update
    assert last is not None
    assert last.is_complete
    figures["whole s"] = time.perf_counter() - started
    figures["stream bytes"] = last.received_bytes
    assert np.array_equal(last.volume, samples)
    return figures


def _codestream_bytes(served: Served, path: str) -> int:
    """The length of all frames together, by what a reader finds without the link."""
    served.connection.request("GET", f"/dicom-web{path}/progressive")
    response = served.connection.getresponse()
    assert response.status == 200
    reader = ProgressiveReader(response.headers["Content-Type"])
    length = 0
    for arrived in reader.feed(response.read()):
        if arrived.is_whole:
            length += len(reader.prefix(arrived.frame))
            reader.release(arrived.frame)
    return length


def _series_path(served: Served) -> str:
    instances = served.instances(SLICES)
    study, series = (instances[0][tag]["Value"][0] for tag in ("0020000D", "0020000E"))
    return f"/studies/{study}/series/{series}"
