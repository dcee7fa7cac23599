"""Rows about frames: one at a time, many at once, whatever the number of frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from client import EXPLICIT, HTJ2K, latency, requests_per_second
from data import Data, uids_of
from measure import Contender, Row, compare
from servers import Mersey, Nginx, Orthanc, Server

__all__ = ["frame_rows", "scaling_rows"]

J2K = 'multipart/related; type="image/jp2"; transfer-syntax=1.2.840.10008.1.2.4.90'
_REPEATS = 30
_FRAME_COUNTS = (1, 10, 100, 1000)
_MANY_FRAMES = 10_000
_CONNECTIONS = (1, 4, 16, 64, 256)


def frame_rows(data: Data, work: Path) -> Iterator[Row]:
    """What a frame costs, raw and compressed, of one long image and of a series."""
    raw = work / "raw"
    raw.mkdir(exist_ok=True)
    for index in (0, 299):
        (raw / f"{index + 1}.raw").write_bytes(data.frames[index].tobytes())
    with (
        Orthanc(work) as orthanc,
        Mersey(work, data.enhanced.parent, data.series[0].parent) as mersey,
        Nginx(work, raw) as nginx,
    ):
        orthanc.upload([data.enhanced, *data.series])
        enhanced = uids_of(data.enhanced).path
        slices = [uids_of(path).path for path in data.series]
        servers: Sequence[Server] = (mersey, orthanc)
        for number in (1, 300):
            path = f"{enhanced}/frames/{number}"
            check = _contains(data.frames[number - 1].tobytes())
            yield compare(
                f"raw frame {number} of 300, one image, p50",
                [_latency(server, [path], check) for server in servers]
                + [_latency(nginx, [f"/{number}.raw"], check)],
                unit="ms",
            )
        any_frame = _longer_than(data.frames[0].nbytes)
        yield compare(
            "raw frame of a series, p50",
            [
                _latency(server, [f"{path}/frames/1" for path in slices[:_REPEATS]], any_frame)
                for server in servers
            ]
            + [_latency(nginx, ["/1.raw"], any_frame)],
            unit="ms",
        )
        yield _throughput(
            "raw frames of one image, 16 connections",
            servers,
            nginx,
            f"{enhanced}/frames/150",
            EXPLICIT,
            16,
        )
        yield _throughput(
            "raw frames of a series, 16 connections",
            servers,
            nginx,
            f"{slices[150]}/frames/1",
            EXPLICIT,
            16,
        )
        compressed = _longer_than(10_000)
        for what, paths in (
            ("one image", [f"{enhanced}/frames/{number}" for number in (7, 100, 300)]),
            ("a series", [f"{path}/frames/1" for path in slices[:10]]),
        ):
            yield compare(
                f"compressed frame of {what}, p50 (HTJ2K; Orthanc: J2K)",
                [
                    _latency(mersey, paths, compressed, accept=HTJ2K),
                    _latency(orthanc, paths, compressed, accept=J2K),
                ],
                unit="ms",
                rounds=3,
            )


def scaling_rows(data: Data, work: Path) -> Iterator[Row]:
    """The cost of a frame against how many there are, and of many connections."""
    images = [(count, data.enhanced_of(count), data.frames, "") for count in _FRAME_COUNTS]
    # 10,000 of 512 x 512 do not fit the 4 GiB that Pixel Data may have.
    small = data.enhanced_small(_MANY_FRAMES)
    images.append((_MANY_FRAMES, small, data.small, " of 128x128"))
    for count, image, frames, size in images:
        path = f"{uids_of(image).path}/frames/{count}"
        check = _contains(frames[(count - 1) % len(frames)].tobytes())
        repeats = _REPEATS if count <= 100 else 3
        with Orthanc(work / f"o{count}") as orthanc, Mersey(work, image.parent) as mersey:
            orthanc.upload([image])
            yield compare(
                f"raw frame, the last of {count:,}{size}, p50",
                [_latency(server, [path], check, repeats=repeats) for server in (mersey, orthanc)],
                unit="ms",
                rounds=3,
            )
    with Orthanc(work) as orthanc, Mersey(work, data.series[0].parent) as mersey:
        orthanc.upload(data.series)
        path = f"{uids_of(data.series[150]).path}/frames/1"
        for connections in _CONNECTIONS:
            yield _throughput(
                f"raw frames of a series, {connections} connections",
                (mersey, orthanc),
                None,
                path,
                EXPLICIT,
                connections,
            )


def _latency(
    server: Server,
    paths: Sequence[str],
    check: Callable[[bytes], None],
    *,
    accept: str = EXPLICIT,
    repeats: int = _REPEATS,
) -> Contender:
    repeated = [path for path in paths for _ in range(max(repeats // len(paths), 1))]

    def trial() -> float:
        return latency(server, repeated, check, Accept=accept)

    return Contender(server.name, trial, server.process_id)


def _throughput(
    operation: str,
    servers: Sequence[Server],
    nginx: Server | None,
    path: str,
    accept: str,
    connections: int,
) -> Row:
    def of(server: Server, path: str) -> Contender:
        def trial() -> float:
            rate = requests_per_second(server, path, connections=connections, Accept=accept)
            return 1 / rate

        return Contender(server.name, trial, server.process_id)

    contenders = [of(server, path) for server in servers]
    if nginx is not None:
        contenders.append(of(nginx, "/1.raw"))
    return compare(operation, contenders, unit="/s", rounds=3)


def _contains(frame: bytes) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        assert frame in body, "another frame came"

    return check


def _longer_than(count: int) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        assert len(body) >= count, f"{len(body)} bytes came"

    return check
