"""Headless Chromium, driven by viewer/browse.mjs, and the page that it shows images with."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .packages import command, require_node, set_up

__all__ = ["Browser", "Visit", "build_viewer", "find_browser"]

VIEWER = Path(__file__).parent / "viewer"
_LIMIT_S = 1000.0
"""For a visit as a whole; its steps have limits of their own in browse.mjs."""


_OF_GRAPHICS = re.compile(r"GL Driver Message|GPU stall|GroupMarkerNotSet")
"""It draws without a GPU, and slowly."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of a visit to a page: results of its steps, its console, the wire."""

    results: list[Any]
    console: list[str]
    requests: list[dict[str, Any]]
    folder: Path
    """Where the screenshots and what the page saved are."""

    def complaints(self, *kinds: str) -> list[str]:
        """What the console has of those kinds, but for what the driver of the graphics says."""
        return [
            said
            for said in self.console
            if said.startswith(kinds) and not _OF_GRAPHICS.search(said)
        ]

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
    node: str
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
        said = _drive([self.node, str(self.driver), str(path)], on_pause)
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
        except BaseException:  # the test's time is over, or it was interrupted
            process.terminate()
            raise
        finally:
            watch.cancel()
    raise AssertionError(f"the browser's driver ended with {process.returncode} and no result")


def find_browser(viewer: Path) -> Browser:
    """Chromium and what drives it, of a built `viewer`; skips where it cannot be had."""
    return Browser(command("chromium"), require_node(), viewer / "browse.mjs")


def build_viewer() -> Path:
    """The page of tests/clients/viewer, built into `dist`; skips where that cannot be."""
    command("chromium")  # without one, nothing need be installed
    require_node()
    return set_up(VIEWER, _bundle)


def _bundle(folder: Path) -> None:
    run = subprocess.run(
        ["node_modules/.bin/vite", "build", "--logLevel=error"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr
