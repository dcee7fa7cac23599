"""Rows about whole studies: retrieving, storing, searching, metadata, pictures."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom
from client import download, get, latency, post_files, stow
from data import Data, uids_of
from disk import disk_limit, settle
from measure import Contender, Row, await_idle, compare
from servers import Mersey, Nginx, Orthanc, Server

__all__ = ["query_rows", "retrieve_rows", "stow_rows"]

_WHOLE = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_JSON = "application/dicom+json"
_STUDIES = 1000


def retrieve_rows(data: Data, work: Path) -> Iterator[Row]:
    """A study of 300 instances, and one of a single long instance."""
    for name, paths in (
        ("a study of 300 instances", data.series),
        ("one image of 300 frames", [data.enhanced]),
    ):
        whole = work / "whole"
        whole.mkdir(exist_ok=True)
        (whole / "study.bin").write_bytes(b"".join(path.read_bytes() for path in paths))
        size = (whole / "study.bin").stat().st_size
        with (
            Orthanc(work / name.replace(" ", "-")) as orthanc,
            Mersey(work, paths[0].parent) as mersey,
            Nginx(work, whole) as nginx,
        ):
            orthanc.upload(paths)
            study = f"/studies/{uids_of(paths[0]).study}"
            await_idle([mersey.process_id, orthanc.process_id])

            def of(server: Server, path: str, size: int = size) -> Contender:
                def trial() -> None:
                    count = download(server, path, Accept=_WHOLE)
                    assert size <= count < size * 1.01 + 4096, f"{count} bytes came"

                return Contender(server.name, trial, server.process_id)

            yield compare(
                f"retrieve {name}",
                [of(mersey, study), of(orthanc, study), of(nginx, "/study.bin")],
                unit="MB/s",
                work=data.pixel_bytes / 1e6,
            )


def stow_rows(data: Data, work: Path) -> Iterator[Row]:
    """Storing: 300 in one request, 300 at four connections, one of 157 MB."""
    cases: tuple[tuple[str, list[Path], Callable[[Server, list[Path]], None]], ...] = (
        ("STOW of 300 instances, one request", data.series, stow),
        ("STOW of 300 instances, 300 requests, 4 connections", data.series, _at_four_connections),
        ("STOW of one image of 300 frames", [data.enhanced], stow),
    )
    counter = itertools.count()
    with Orthanc(work / "stow") as orthanc, Mersey(work) as mersey:
        for operation, paths, send in cases:

            def of(
                server: Server,
                paths: list[Path] = paths,
                send: Callable[[Server, list[Path]], None] = send,
            ) -> Contender:
                def trial() -> float:
                    fresh = data.fresh(paths, f"stow-{next(counter)}")
                    settle()
                    await_idle([mersey.process_id, orthanc.process_id])
                    started = time.perf_counter()
                    send(server, fresh)
                    seconds = time.perf_counter() - started
                    study = uids_of(fresh[0]).study
                    found = json.loads(get(server, f"/studies/{study}/instances?limit=1000")[2])
                    assert len(found) == len(fresh), f"{len(found)} are stored"
                    shutil.rmtree(fresh[0].parent)
                    return seconds

                return Contender(server.name, trial, server.process_id)

            yield compare(
                operation,
                [
                    of(mersey),
                    of(orthanc),
                    disk_limit(paths, work, at_once=send is stow),
                ],
                unit="MB/s",
                work=data.pixel_bytes / 1e6,
                note="Orthanc 1.10 syncs by default only its index",
            )


def query_rows(data: Data, work: Path) -> Iterator[Row]:
    """Searches among 1,000 studies, metadata and a rendered picture.

    The limit is nginx with Mersey's answer in a file.
    """
    small = _small_studies(work / "small")
    answers = work / "answers"
    answers.mkdir()
    with (
        Orthanc(work / "query") as orthanc,
        Mersey(work, small[0].parent, data.series[0].parent, data.enhanced.parent) as mersey,
        Nginx(work, answers) as nginx,
    ):
        orthanc.upload([*small, *data.series, data.enhanced])
        servers: Sequence[Server] = (mersey, orthanc)
        series, enhanced = uids_of(data.series[0]), uids_of(data.enhanced)
        for operation, path, count in (
            (f"QIDO {_STUDIES} studies", f"/studies?limit={_STUDIES}", _STUDIES),
            ("QIDO studies, the first 101", "/studies?limit=101&offset=0", 101),
            ("QIDO series of a study", f"/studies/{series.study}/series", 2),
            (
                "QIDO 300 instances",
                f"/studies/{series.study}/series/{series.series}/instances?limit=1000",
                300,
            ),
            (
                "metadata of a series of 300",
                f"/studies/{series.study}/series/{series.series}/metadata",
                300,
            ),
            ("metadata of an image of 300 frames", f"{enhanced.path}/metadata", 1),
        ):
            yield compare(
                f"{operation}, p50",
                [_asked(server, path, _json_of(count), accept=_JSON) for server in servers]
                + _tools(operation, data, work)
                + [_from_file(nginx, answers, mersey, path, _json_of(count), accept=_JSON)],
                unit="ms",
                rounds=3,
            )
        for name, resource in (
            ("a slice", series.path),
            ("an image of 300 frames", f"{enhanced.path}/frames/150"),
        ):
            path = f"{resource}/rendered?viewport=256,256"
            yield compare(
                f"rendered 256x256 of {name}, p50",
                [_asked(server, path, _is_jpeg, accept="image/jpeg") for server in servers]
                + [_from_file(nginx, answers, mersey, path, _is_jpeg, accept="image/jpeg")],
                unit="ms",
                rounds=3,
            )


def _tools(operation: str, data: Data, work: Path) -> list[Contender]:
    """dcmtk's dcm2json and pydicom, for the metadata of the long image.

    dcm2json writes pixels into the JSON and cannot be told not to: it gets a file without.
    """
    if "300 frames" not in operation:
        return []
    headers = work / "headers.dcm"
    pydicom.dcmread(data.enhanced, stop_before_pixels=True).save_as(headers)

    def dcm2json() -> None:
        found = subprocess.run(["dcm2json", "-fc", str(headers)], capture_output=True, check=True)
        assert json.loads(found.stdout)

    def by_pydicom() -> None:
        ds = pydicom.dcmread(data.enhanced, stop_before_pixels=True)
        assert json.loads(json.dumps(ds.to_json_dict()))

    return [Contender("dcm2json", dcm2json), Contender("pydicom", by_pydicom)]


def _asked(server: Server, path: str, check: Callable[[bytes], None], *, accept: str) -> Contender:
    def trial() -> float:
        return latency(server, [path] * 5, check, Accept=accept)

    return Contender(server.name, trial, server.process_id)


def _from_file(
    nginx: Server,
    folder: Path,
    server: Server,
    path: str,
    check: Callable[[bytes], None],
    *,
    accept: str,
) -> Contender:
    """nginx, with what `server` answers in a file: what a round trip of that length costs."""
    status, _, body = get(server, path, Accept=accept)
    assert status == 200, f"status {status}"
    name = f"{len(list(folder.iterdir()))}.bin"
    (folder / name).write_bytes(body)
    return _asked(nginx, f"/{name}", check, accept=accept)


def _at_four_connections(server: Server, paths: list[Path]) -> None:
    shares = [paths[start::4] for start in range(4)]
    with ThreadPoolExecutor(len(shares)) as pool:
        for done in [pool.submit(post_files, server, share) for share in shares]:
            done.result()


def _small_studies(folder: Path) -> list[Path]:
    """Studies of one small instance each."""
    import uuid

    from pydicom.data import get_testdata_file

    folder.mkdir(exist_ok=True, parents=True)
    model = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    paths = []
    for number in range(_STUDIES):
        path = folder / f"{number:04}.dcm"
        paths.append(path)
        if path.exists():
            continue
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(
                model, keyword, f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{keyword} {number}').int}"
            )
        model.file_meta.MediaStorageSOPInstanceUID = model.SOPInstanceUID
        model.PatientID, model.PatientName = f"P{number:04}", f"Patient^{number:04}"
        model.StudyDate = f"20{number % 24:02}{number % 12 + 1:02}{number % 28 + 1:02}"
        model.save_as(path, enforce_file_format=True)
    return paths


def _json_of(count: int) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        assert len(json.loads(body)) >= min(count, 1), "nothing was found"

    return check


def _is_jpeg(body: bytes) -> None:
    assert body[:2] == b"\xff\xd8" or b"\xff\xd8\xff" in body[:400], "no JPEG"
