"""``make demo``: a sample study, transcoded and served, and what to try on it.

    python tools/demo.py [FOLDER] [--port N] [--small] [--check]

Writes the sample study into FOLDER/original, transcodes it into FOLDER/progressive by
``mersey transcode``, serves that by ``mersey serve`` until Ctrl-C, and prints requests with
real values filled in. With --check it performs those requests itself, compares the pixels,
stops the server and exits 0, or 1 where anything is not as it should be. Run again it reuses
what is there.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from demo_requests import Answer, Request, perform
from sample_study import write_sample_study

_RPCL = "1.2.840.10008.1.2.4.202"
_ACCEPT = f"image/jphc; transfer-syntax={_RPCL}"
_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 15.0
_POLL_S = 0.05


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the codestream of the shown frame can be cut for a small image."""

    frame: int
    reduce: int
    width: int
    height: int
    bytes: int
    whole_bytes: int


def main(arguments: list[str] | None = None) -> int:
    """Run the demo."""
    parser = argparse.ArgumentParser(description="A sample study, transcoded and served.")
    parser.add_argument("folder", type=Path, nargs="?", default=Path("demo"))
    parser.add_argument("--port", type=int, default=8042, help="first port to try")
    parser.add_argument("--small", action="store_true", help="a study of few small frames")
    parser.add_argument("--check", action="store_true", help="perform the requests, then stop")
    options = parser.parse_args(arguments)
    # However the demo is ended, the server is stopped with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _demo(options.folder, port=options.port, small=options.small, check=options.check)
    except DemoError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 0


def _demo(folder: Path, *, port: int, small: bool, check: bool) -> int:
    original, progressive = folder / "original", folder / "progressive"
    _write_original(original, small=small)
    _mersey("transcode", str(original), str(progressive))
    enhanced = progressive / "enhanced-ct.dcm"
    files = sum(1 for path in original.rglob("*.dcm"))
    cut = _find_cut(enhanced)
    port = _free_port(port)
    root = f"http://127.0.0.1:{port}/dicom-web"
    with _serving(progressive, store=folder / "store", port=port) as server:
        base = _wait_for_instance(root, files=files)
        requests = _requests(root, base, cut, folder)
        if check:
            return _check(requests, cut, enhanced)
        _print_what_to_try(root, requests, cut, enhanced, folder)
        status = server.wait()
        raise DemoError(f"mersey serve ended with exit code {status}")


def _write_original(original: Path, *, small: bool) -> None:
    if original.is_dir():
        print(f"using the study in {original}")
        return
    print(f"writing a sample study into {original}")
    part = original.with_name(f".{original.name}.{os.getpid()}")
    try:
        write_sample_study(part, small=small)
        part.rename(original)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _command() -> str:
    beside = Path(sys.executable).with_name("mersey")
    found = str(beside) if beside.is_file() else shutil.which("mersey")
    if found is None:
        raise DemoError("the command mersey is not installed")
    return found


def _mersey(*words: str) -> None:
    print(f"$ mersey {' '.join(words)}", flush=True)
    status = subprocess.run([_command(), *words], check=False).returncode
    if status != 0:
        raise DemoError(f"mersey {words[0]} ended with exit code {status}")


def _mersey_output(*words: str) -> str:
    run = subprocess.run([_command(), *words], capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise DemoError(f"mersey {words[0]} failed: {run.stderr.strip()}")
    return run.stdout


def _find_cut(enhanced: Path) -> Cut:
    """The middle frame's cut point for an image of at most 64 x 64.

    Where to cut is read off that frame alone, extracted by ``mersey extract``.
    """
    report = json.loads(_mersey_output("inspect", str(enhanced), "--json"))
    frame = (report["frames"]["count"] + 1) // 2
    bare = enhanced.parent.parent / "frame.j2c"
    _mersey_output("extract", str(enhanced), str(bare), "--frame", str(frame))
    points = json.loads(_mersey_output("inspect", str(bare), "--json"))["codestream"]["cut_points"]
    if points is None:
        raise DemoError(f"frame {frame} of {enhanced} has no cut points")
    point = next(p for p in points if max(p["width"], p["height"]) <= 64)
    size = (point["width"], point["height"], point["bytes"])
    return Cut(frame, point["reduce"], *size, whole_bytes=points[0]["bytes"])


def _free_port(first: int) -> int:
    for port in range(first, first + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise DemoError(f"no free port from {first} to {first + 99}")


@contextmanager
def _serving(folder: Path, *, store: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """``mersey serve`` as long as the block runs, listening when the block begins."""
    words = ["serve", str(folder), "--store", str(store), "--port", str(port)]
    print(f"$ mersey {' '.join(words)}", flush=True)
    server = subprocess.Popen([_command(), *words])
    try:
        _wait_for_port(port, server)
        yield server
    finally:
        server.terminate()
        try:
            server.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    give_up = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < give_up:
        if server.poll() is not None:
            raise DemoError(f"mersey serve ended with exit code {server.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(_POLL_S)
    raise DemoError(f"mersey serve does not answer after {_START_LIMIT_S:.0f} s")


def _wait_for_instance(root: str, *, files: int) -> str:
    """The URL of the enhanced CT, once the scan has found all files."""
    give_up = time.monotonic() + _START_LIMIT_S
    found: list[dict[str, Any]] = []
    while time.monotonic() < give_up:
        answer = perform(Request("", f"{root}/instances", accept="application/dicom+json"))
        found = json.loads(answer.body) if answer.status == 200 and answer.body else []
        if len(found) >= files:
            break
        time.sleep(_POLL_S)
    for row in found:
        uids = {tag: row.get(tag, {}).get("Value", [""])[0] for tag in _UID_TAGS}
        if uids["00080016"] == "1.2.840.10008.5.1.4.1.1.2.1":
            study, series, instance = (uids[tag] for tag in ("0020000D", "0020000E", "00080018"))
            return f"{root}/studies/{study}/series/{series}/instances/{instance}"
    raise DemoError(f"the server lists {len(found)} of {files} instances, no enhanced CT")


_UID_TAGS = ("00080016", "00080018", "0020000D", "0020000E")


def _requests(root: str, instance: str, cut: Cut, folder: Path) -> dict[str, Request]:
    frame = f"{instance}/frames/{cut.frame}"
    size = f"{cut.width} x {cut.height}"
    return {
        "studies": Request("The studies there are", f"{root}/studies"),
        "metadata": Request("All headers of the enhanced CT", f"{instance}/metadata"),
        "frame": Request(
            f"Frame {cut.frame}, progressive",
            frame,
            accept=_ACCEPT,
            save_as=str(folder / "whole.j2c"),
        ),
        "range": Request(
            f"Its first {cut.bytes:,} bytes of {cut.whole_bytes:,}: a whole image of {size}",
            frame,
            accept=_ACCEPT,
            byte_range=(0, cut.bytes - 1),
            save_as=str(folder / "small.j2c"),
            show_headers=True,
        ),
        "fsiz": Request(
            f"The same, asked for by size: the smallest resolution that covers {size}",
            f"{frame}?fsiz={cut.width},{cut.height}",
            accept=_ACCEPT,
            save_as=str(folder / "covering.j2c"),
            show_headers=True,
        ),
    }


def _extract_words(enhanced: Path, cut: Cut, out: Path) -> list[str]:
    words = ["extract", str(enhanced), str(out), "--frame", str(cut.frame)]
    return [*words, "--reduce", str(cut.reduce)]


def _print_what_to_try(
    root: str, requests: dict[str, Request], cut: Cut, enhanced: Path, folder: Path
) -> None:
    print(f"\nDICOMweb is at {root}: give that to a viewer (README, Viewers).\nTry:\n")
    for request in requests.values():
        print(f"# {request.why}\n{request.curl()}\n")
    print("# That small image as PNG, reading no more of the file than those bytes")
    print(f"mersey {' '.join(_extract_words(enhanced, cut, folder / 'small.png'))}\n")
    print("Ctrl-C ends the demo.", flush=True)


def _check(requests: dict[str, Request], cut: Cut, enhanced: Path) -> int:
    """Perform what would be printed, print the answers, and compare."""
    answers = {}
    for name, request in requests.items():
        answers[name] = perform(request)
        print(f"\n# {request.why}\n$ {request.curl()}\n{answers[name].transcript()}", flush=True)
    problems = list(_problems(answers, cut, enhanced))
    for problem in problems:
        print(f"demo: error: {problem}", file=sys.stderr)
    if not problems:
        print(f"\nall {len(answers)} answers are right, and so are the pixels")
    return 1 if problems else 0


def _problems(answers: dict[str, Answer], cut: Cut, enhanced: Path) -> Iterator[str]:
    expected = {"studies": 200, "metadata": 200, "frame": 200, "range": 206, "fsiz": 200}
    for name, status in expected.items():
        if answers[name].status != status:
            yield f"{name}: status {answers[name].status}, expected {status}"
    whole, part, fsiz = answers["frame"], answers["range"], answers["fsiz"]
    content_range = f"bytes 0-{cut.bytes - 1}/{len(whole.body)}"
    if part.headers.get("content-range") != content_range:
        yield f"range: {part.headers.get('content-range')!r}, expected {content_range!r}"
    if part.body != whole.body[: cut.bytes]:
        yield "range: not the first bytes of the frame"
    if fsiz.headers.get("x-decode-level") != str(cut.reduce):
        yield f"fsiz: X-Decode-Level {fsiz.headers.get('x-decode-level')}, expected {cut.reduce}"
    out = enhanced.parent.parent / "small.npy"
    print(f"\n$ mersey {' '.join(_extract_words(enhanced, cut, out))}")
    print(_mersey_output(*_extract_words(enhanced, cut, out)).strip())
    small = np.load(out)
    if small.shape != (cut.height, cut.width):
        yield f"extract: shape {small.shape}, expected {(cut.height, cut.width)}"
    # A prefix is the beginning of a larger image; fsiz gives the small one by itself.
    for name, body, reduce in (("range", part.body, cut.reduce), ("fsiz", fsiz.body, 0)):
        if not np.array_equal(_decoded(body, reduce), small):
            yield f"{name}: other pixels than mersey extract"


def _decoded(codestream: bytes, reduce: int) -> Any:
    """Decode by another implementation than the one that encoded: OpenJPEG."""
    import imagecodecs

    return imagecodecs.jpeg2k_decode(codestream + b"\xff\xd9", skipres=reduce)


if __name__ == "__main__":
    sys.exit(main())
