"""Headless Chromium, driven by viewer/browse.mjs, and the packages that it needs.

They are installed from the lock file into a cache outside of the tree, once for each lock.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

__all__ = ["Browser", "Visit", "build_viewer", "cache_folder", "npm"]

VIEWER = Path(__file__).parent / "viewer"
_COMMANDS = {"node": ("node", "nodejs"), "npm": ("npm",), "chromium": ("chromium",)}
_OFFLINE = re.compile(r"E(NOTFOUND|AI_AGAIN|CONNREFUSED|CONNRESET|TIMEDOUT|NETUNREACH)")
_LIMIT_S = 130.0
_OLDEST_NODE = 20


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a visit to a page: results of its steps, its console, the wire."""

    results: list[Any]
    console: list[str]
    requests: list[dict[str, Any]]
    folder: Path
    """Where the screenshots and what the page saved are."""

    def sent(self, pattern: str, method: str = "GET") -> list[dict[str, Any]]:
        """The requests whose URL has `pattern`, in order."""
        return [
            request
            for request in self.requests
            if request["method"] == method and re.search(pattern, request["url"])
        ]


@dataclass(frozen=True, slots=True)
class Browser:
    """Chromium through playwright-core."""

    chromium: str
    driver: Path

    def visit(
        self,
        page: Path,
        steps: Sequence[dict[str, Any]],
        *,
        service: str,
        results: Path,
        on_pause: Callable[[], None] = lambda: None,
        **plan: Any,
    ) -> Visit:
        """Serve the folder `page` and do `steps` there; a failure there is one here."""
        results.mkdir(parents=True)
        whole_plan = {
            "browser": self.chromium,
            "page": str(page),
            "results": str(results),
            "service": service,
            "steps": list(steps),
            "viewport": {"width": 512, "height": 512},
            **plan,
        }
        path = results / "plan.json"
        path.write_text(json.dumps(whole_plan))
        said = _drive([_command("node"), str(self.driver), str(path)], on_pause)
        assert said["event"] == "done", f"{said['error']}\n" + "\n".join(said["console"])
        return Visit(said["results"], said["console"], said["requests"], results)


def _drive(words: Sequence[str], on_pause: Callable[[], None]) -> dict[str, Any]:
    """Run the driver to its last word; a page that hangs is ended with it."""
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        watch = threading.Timer(_LIMIT_S, process.terminate)
        watch.start()
        try:
            for line in process.stdout:
                said: dict[str, Any] = json.loads(line)
                if said["event"] != "pause":
                    return said
                on_pause()
                process.stdin.write("\n")
                process.stdin.flush()
        finally:
            watch.cancel()
    raise AssertionError(f"the browser's driver ended with {process.returncode} and no result")


def build_viewer(out: Path) -> Browser:
    """Build the page of tests/clients/viewer into `out`; skips where that cannot be."""
    chromium, npm_ = _command("chromium"), _command("npm")
    _require_node()
    locked = hashlib.sha256(
        b"".join((VIEWER / name).read_bytes() for name in ("package-lock.json", ".npmrc"))
    ).hexdigest()
    folder = cache_folder() / f"viewer-{locked[:16]}"
    if not folder.is_dir():
        unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(VIEWER, unfinished, ignore=shutil.ignore_patterns("node_modules", "dist"))
        npm([npm_, "ci", "--no-progress", "--loglevel=error"], cwd=unfinished)
        unfinished.rename(folder)
    shutil.copytree(
        VIEWER,
        folder,
        ignore=shutil.ignore_patterns("node_modules", "dist"),
        dirs_exist_ok=True,
    )
    run = subprocess.run(
        ["node_modules/.bin/vite", "build", "--logLevel=error", "--outDir", str(out)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return Browser(chromium, folder / "browse.mjs")


def _require_node() -> None:
    version = subprocess.run(
        [_command("node"), "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST_NODE:
        pytest.skip(f"node is {version}, vite needs {_OLDEST_NODE}")


def cache_folder() -> Path:
    """Where what is downloaded for these tests stays."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mersey-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def npm(words: Sequence[str], *, cwd: Path) -> str:
    """Run npm; skips where there is no network, which is no fault of ours."""
    run = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)
    if run.returncode and _OFFLINE.search(run.stderr):
        pytest.skip("npm cannot reach its registry")
    assert run.returncode == 0, run.stderr
    return run.stdout


def _command(name: str) -> str:
    for candidate in _COMMANDS[name]:
        path = shutil.which(candidate)
        if path is not None:
            return path
    pytest.skip(f"{name} is not installed here (.ci/run installs it)")
