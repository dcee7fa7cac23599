"""The uploads of a store: bytes that come in several requests, until they are an instance's.

The store is dumb: it knows names, bytes and what of them is durable. Which requests may come in
which order is the protocols' business. A name is made here and cannot be guessed; whoever has it
may append. Nothing is allocated for what is only said to come.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ...codecs.errors import MerseyError, ResourceError
from .part_file import sync_folder
from .upload_file import (
    DATA,
    JOURNAL,
    PLAN,
    RESULT,
    WANTED,
    UploadFile,
    publish,
    upload_failure,
)
from .upload_journal import replay
from .upload_plan import UploadError, UploadPlan, UploadResult, UploadState

__all__ = ["Uploads"]

_NAME = re.compile(r"[0-9a-f]{48}")
_SCRATCH = ".new-"
_GOING = ".gone-"
_LEFT_BEHIND_S = 3600.0


class Uploads:
    """The uploads in the folder `root`. Everything may block; threads may share it.

    Parameters
    ----------
    expiry_s
        An upload to which nothing was appended for so long is gone, and what it came to, too.
    max_bytes
        No upload may be longer.
    max_count
        So many may be there at once; each costs a folder and a few small files.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        root: Path,
        *,
        expiry_s: float,
        max_bytes: int,
        max_count: int = 20_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.expiry_s = expiry_s
        self.max_bytes = max_bytes
        self._root = root
        self._max_count = max_count
        self._clock = clock

    def create(self, plan: UploadPlan, *, length_bytes: int | None = None) -> UploadState:
        """Begin an upload. It is durable when this returns.

        Raises
        ------
        UploadError
            It would be too long, or a part of it is not there, or not complete.
        ResourceError
            There is no space for its length, there are too many, or the disk fails.
        """
        if length_bytes is not None and length_bytes > self.max_bytes:
            message = f"a length of {length_bytes} bytes, at most {self.max_bytes}"
            raise UploadError(message, fault="size")
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            self._require_room(length_bytes or 0)
            return self._create(plan, length_bytes)
        except OSError as error:
            raise upload_failure(error) from error

    def state(self, name: str) -> UploadState:
        """What is durable of an upload, whoever appends to it.

        Raises
        ------
        UploadError
            It is unknown or gone.
        ResourceError
            It cannot be read.
        """
        folder = self._folder(name)
        plan = self._plan(folder)
        try:
            descriptor = os.open(folder / JOURNAL, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            raise UploadError("no such upload", fault="unknown") from None
        try:
            found = replay(descriptor)
            expires_s = os.fstat(descriptor).st_mtime + self.expiry_s
        except OSError as error:
            raise upload_failure(error) from error
        finally:
            os.close(descriptor)
        if found.is_void or expires_s <= self._clock():
            raise UploadError("the upload has expired or was given up", fault="gone")
        state = UploadState(
            name,
            plan,
            found.offset_bytes,
            found.length_bytes,
            found.is_complete,
            expires_s,
            self._result(folder),
        )
        if state.result is None:
            try:
                self.sources(state)
            except UploadError:
                # The bytes go when there is a result: perhaps just now.
                state = replace(state, result=self._result(folder))
                if state.result is None:
                    raise
        return state

    def open(self, name: str) -> UploadFile:
        """Open an upload to append to it, alone.

        Raises
        ------
        UploadError
            It is unknown, gone, or somebody else has it open.
        ResourceError
            It cannot be read.
        """
        has_data = self.state(name).plan.concat != "final"
        return UploadFile(self._folder(name), max_bytes=self.max_bytes, has_data=has_data)

    def claim(self, name: str) -> bool:
        """Whether nobody appends to an upload; whoever does is asked to end, in any process.

        Raises
        ------
        UploadError
            It is unknown or gone.
        """
        if self.state(name).is_complete or self._is_idle(name):
            return True
        with suppress(OSError):
            (self._folder(name) / WANTED).touch()
        return False

    def is_wanted(self, name: str) -> bool:
        """Whether another process waits for whoever appends to an upload to end."""
        return (self._folder(name) / WANTED).exists()

    def sources(self, state: UploadState) -> tuple[Path, ...]:
        """The files that hold the bytes of an upload, one after the other.

        Raises
        ------
        UploadError
            They are not all there any more.
        """
        names = state.plan.parts if state.plan.concat == "final" else (state.name,)
        paths = tuple(self._folder(name) / DATA for name in names)
        sizes = [_size(path) for path in paths]
        if min(sizes) < 0 or sum(sizes) < state.offset_bytes:
            raise UploadError("bytes of this upload are lost", fault="gone")
        return paths

    def remove(self, name: str) -> None:
        """Remove an upload, whoever appends to it: what comes then has no place to go."""
        folder = self._folder(name)
        going = self._root / f"{_GOING}{secrets.token_hex(8)}"
        with suppress(FileNotFoundError):
            os.replace(folder, going)
            (going / JOURNAL).unlink(missing_ok=True)
            shutil.rmtree(going, ignore_errors=True)

    def unsettled(self) -> list[str]:
        """The uploads that are complete, and of which nobody knows yet what they came to."""
        found = []
        for name in self._names():
            with suppress(MerseyError):
                state = self.state(name)
                if state.is_complete and state.result is None and state.plan.concat != "partial":
                    found.append(name)
        return found

    def collect(self) -> int:
        """Remove the bytes of what has expired, and all of it as much later again.

        Returns
        -------
        int
            How many uploads lost their bytes, or went.
        """
        now, count = self._clock(), 0
        for path in self._left_behind(now):
            shutil.rmtree(path, ignore_errors=True)
        for name in self._names():
            folder = self._folder(name)
            with suppress(OSError):
                age_s = now - os.stat(folder / JOURNAL).st_mtime
                if age_s >= 2 * self.expiry_s or not (folder / PLAN).exists():
                    self.remove(name)
                    count += 1
                elif age_s >= self.expiry_s and self._is_idle(name):
                    held = [folder / file for file in (DATA, RESULT)]
                    count += any(path.exists() for path in held)
                    for path in held:
                        path.unlink(missing_ok=True)
        return count

    def _require_room(self, length_bytes: int) -> None:
        if sum(1 for _ in self._names()) >= self._max_count:
            raise ResourceError(f"there are {self._max_count} uploads already")
        space = os.statvfs(self._root)
        if length_bytes > space.f_bavail * space.f_frsize:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _create(self, plan: UploadPlan, length_bytes: int | None) -> UploadState:
        name = secrets.token_hex(24)
        offset = sum(self._part(part).offset_bytes for part in plan.parts)
        if offset > self.max_bytes:
            raise UploadError(f"parts of {offset} bytes, at most {self.max_bytes}", fault="size")
        lines = [b'{"length":%d}\n' % length_bytes] if length_bytes is not None else []
        if plan.concat == "final":
            lines = [b'{"offset":%d}\n{"length":%d}\n{"complete":true}\n' % (offset, offset)]
        scratch = self._root / f"{_SCRATCH}{name}"
        scratch.mkdir()
        try:
            publish(scratch / PLAN, plan.to_json())
            if plan.concat != "final":
                publish(scratch / DATA, b"")
            publish(scratch / JOURNAL, b"".join(lines))
            os.replace(scratch, self._root / name)
            sync_folder(self._root)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
        return self.state(name)

    def _part(self, name: str) -> UploadState:
        found = self.state(name)
        if found.plan.concat != "partial":
            raise UploadError("a part that was not begun as one", fault="unknown")
        if not found.is_complete:
            message = f"a part has {found.offset_bytes} bytes and is not complete"
            raise UploadError(message, fault="length")
        return found

    def _folder(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise UploadError("no such upload", fault="unknown")
        return self._root / name

    def _plan(self, folder: Path) -> UploadPlan:
        try:
            return UploadPlan.from_json((folder / PLAN).read_bytes())
        except (OSError, ValueError, TypeError):
            raise UploadError("no such upload", fault="unknown") from None

    def _result(self, folder: Path) -> UploadResult | None:
        try:
            return UploadResult.from_bytes((folder / RESULT).read_bytes())
        except (OSError, ValueError):
            return None

    def _is_idle(self, name: str) -> bool:
        """Whether nobody appends to it just now."""
        try:
            UploadFile(self._folder(name), max_bytes=self.max_bytes, has_data=False).close()
        except UploadError as error:
            return error.fault != "busy"
        except MerseyError:
            return False
        return True

    def _names(self) -> Iterator[str]:
        with suppress(FileNotFoundError):
            yield from (name for name in os.listdir(self._root) if _NAME.fullmatch(name))

    def _left_behind(self, now: float) -> Iterator[Path]:
        """What processes that died were making or removing."""
        with suppress(FileNotFoundError):
            for path in self._root.iterdir():
                if path.name.startswith(_GOING):
                    yield path
                elif path.name.startswith(_SCRATCH):
                    with suppress(FileNotFoundError):
                        if now - path.stat().st_mtime > _LEFT_BEHIND_S:
                            yield path


def _size(path: Path) -> int:
    """The length of a file; -1 where there is none."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
