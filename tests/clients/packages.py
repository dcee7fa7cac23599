"""Commands that the tests use, and packages of npm, installed once into a cache out of the tree.

Tests run side by side, so one process makes what is not there yet, and the others wait.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

__all__ = ["command", "made_once", "npm", "require_node", "set_up"]

_OURS = re.compile(r"code E(USAGE|JSONPARSE|LOCKVERIFY)|EBADENGINE")
"""What npm says where our own files are wrong; all else is of its registry, or of the way there."""
_OLDEST_NODE = 20
_LIMIT_S = 300.0
_LOCKED = ("package.json", "package-lock.json", ".npmrc")


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache; `make` fills it where it is not there, whole or not at all.

    A process that ends while it makes it lets go of the lock; the next one begins again.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "mersey-tests" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder


def set_up(source: Path, build: Callable[[Path], None] = lambda _: None) -> Path:
    """A copy of `source` with the packages of its lock file, and what `build` makes in it.

    It is kept as long as the sources stay as they are, the packages as long as the lock file;
    skips where they cannot be had.
    """
    ignored = {"node_modules", "dist"}
    sources = sorted(
        path for path in source.rglob("*") if path.is_file() and not ignored & set(path.parts)
    )

    def make(folder: Path) -> None:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns(*ignored), dirs_exist_ok=True)
        (folder / "node_modules").symlink_to(_install(source) / "node_modules")
        build(folder)

    return made_once(f"{source.name}-{_digest(sources)}", make)


def _install(source: Path) -> Path:
    npm_ = command("npm")
    locked = [source / name for name in _LOCKED]

    def make(folder: Path) -> None:
        for path in locked:
            shutil.copy(path, folder)
        npm([npm_, "ci", "--no-progress", "--loglevel=error"], cwd=folder)

    return made_once(f"{source.name}-packages-{_digest(locked)}", make)


def npm(words: Sequence[str], *, cwd: Path) -> str:
    """Run npm; skips where the registry does not give what we ask for: no fault of ours."""
    environment = {**os.environ, "npm_config_fetch_timeout": "60000"}
    try:
        run = subprocess.run(
            words,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm has not got the packages within {_LIMIT_S:.0f} s")
    if run.returncode and not _OURS.search(run.stderr):
        pytest.skip(f"npm cannot get the packages: {run.stderr[-300:]}")
    assert run.returncode == 0, run.stderr
    return run.stdout


def require_node() -> str:
    """The command node; skips where it is absent or older than the packages take."""
    node = command("node", "nodejs")
    version = subprocess.run(
        [node, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < _OLDEST_NODE:
        pytest.skip(f"node is {version}, the packages need {_OLDEST_NODE}")
    return node


def command(*names: str) -> str:
    """The path of the first of the commands that there is; skips where there is none."""
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"{names[0]} is not installed here (.ci/run installs it)")


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
