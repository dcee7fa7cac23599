"""One upload, open to be appended to: its bytes, and what of them is durable.

An upload is a folder: `plan` (what was said when it began), `data`, `journal` and, once it is
complete and stored, `result`. The journal is locked for as long as somebody has it open, in
whichever process; `wanted` lies there while another waits for that.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

from ...codecs.errors import ResourceError
from ...codecs.pixels import Buffer
from .part_file import sync_folder
from .receiving import no_space
from .upload_journal import JournalState, note, replay
from .upload_plan import UploadError, UploadResult

__all__ = [
    "DATA",
    "JOURNAL",
    "PLAN",
    "RESULT",
    "WANTED",
    "UploadFile",
    "publish",
    "upload_failure",
]

PLAN, DATA, JOURNAL, RESULT, WANTED = "plan", "data", "journal", "result", "wanted"

_WRITE_BACK_BYTES = 4 << 20


class UploadFile:
    """The bytes of an upload; whoever has it open is alone with it.

    `offset_bytes` is what is durable, and all that anybody may be told; `position` is where the
    next byte goes. One that is made of others has no data of its own. Everything may block. For
    one thread at a time.

    Raises
    ------
    UploadError
        It is unknown, gone, or open elsewhere.
    ResourceError
        It cannot be read.
    """

    def __init__(self, folder: Path, *, max_bytes: int, has_data: bool = True) -> None:
        self.folder = folder
        self._max_bytes = max_bytes
        self._has_data = has_data
        self._is_doubtful = False
        self._data = -1
        try:
            self._journal = os.open(folder / JOURNAL, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UploadError("no such upload", fault="unknown") from None
        except OSError as error:
            raise upload_failure(error) from error
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def offset_bytes(self) -> int:
        """How many bytes are durable."""
        return self._state.offset_bytes

    @property
    def length_bytes(self) -> int | None:
        """How many there will be, where that was said."""
        return self._state.length_bytes

    @property
    def is_complete(self) -> bool:
        return self._state.is_complete

    def declare_length(self, length_bytes: int) -> None:
        """Say how many bytes there will be, once and for all.

        Raises
        ------
        UploadError
            Another length was said before, more bytes are there, or it is too long.
        """
        known = self.length_bytes
        if known == length_bytes:
            return
        if known is not None:
            message = f"a length of {length_bytes} bytes, said before to be {known}"
            raise UploadError(message, fault="length")
        if length_bytes < self.offset_bytes:
            message = f"a length of {length_bytes} bytes, {self.offset_bytes} are here"
            raise UploadError(message, fault="length")
        if length_bytes > self._max_bytes:
            message = f"a length of {length_bytes} bytes, at most {self._max_bytes}"
            raise UploadError(message, fault="size")
        self._note({"length": length_bytes})

    def write(self, data: Buffer) -> None:
        """Append `data`, which is not durable before `sync`.

        Raises
        ------
        UploadError
            It would be longer than was said, or than any may be. Nothing of `data` is kept.
        ResourceError
            The disk is full, or fails. `position` says what was written.
        """
        view = memoryview(data).cast("B")
        end = self.position + view.nbytes
        if self.is_complete and view.nbytes:
            raise UploadError("the upload is complete", fault="complete")
        if self.length_bytes is not None and end > self.length_bytes:
            message = f"more than the {self.length_bytes} bytes that were said to come"
            raise UploadError(message, fault="excess")
        if end > self._max_bytes:
            raise UploadError(f"more than {self._max_bytes} bytes", fault="size")
        try:
            while view.nbytes:
                count = os.pwrite(self._data, view, self.position)
                self.position += count
                view = view[count:]
            self._begin_write_back()
        except OSError as error:
            raise upload_failure(error) from error

    def sync(self) -> int:
        """Make all that was written durable, and note that; then it may be acknowledged.

        Another thread may go on to `write` meanwhile.

        Raises
        ------
        ResourceError
            The disk fails. Then `offset_bytes` is what it was, and stays so: after a failure
            Linux takes bytes for written that are not, and the next call would succeed.
        """
        position = self.position
        if position > self.offset_bytes:
            if self._is_doubtful:
                raise ResourceError("an upload cannot be kept: the disk failed before")
            try:
                os.fdatasync(self._data)
            except OSError as error:
                self._is_doubtful = True
                raise upload_failure(error) from error
            self._note({"offset": position})
        return self.offset_bytes

    def rewind(self) -> None:
        """Forget what was written and is not durable."""
        try:
            os.ftruncate(self._data, self.offset_bytes)
        except OSError as error:
            raise upload_failure(error) from error
        self.position = self._begun_bytes = self.offset_bytes

    def complete(self) -> None:
        """Say that no more will come: from now on it has this length, durably."""
        self.sync()
        if self.length_bytes is not None and self.length_bytes != self.offset_bytes:
            message = f"{self.offset_bytes} bytes of {self.length_bytes} are here"
            raise UploadError(message, fault="length", offset_bytes=self.offset_bytes)
        if not self.is_complete:
            self._note({"complete": True})

    def void(self) -> None:
        """Give it up for good: whoever asks is told that it is gone."""
        self._note({"void": True})
        (self.folder / DATA).unlink(missing_ok=True)

    def settle(self, result: UploadResult) -> None:
        """Keep what it came to, durably; its bytes are not needed any more."""
        try:
            publish(self.folder / RESULT, result.to_bytes())
            (self.folder / DATA).unlink(missing_ok=True)
        except OSError as error:
            raise upload_failure(error) from error

    def close(self) -> None:
        """Let go; what was not made durable is forgotten at the next opening."""
        for descriptor in (self._data, self._journal):
            if descriptor >= 0:
                os.close(descriptor)
        self._data = self._journal = -1

    def _open(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UploadError("somebody else appends to this upload", fault="busy") from None
        try:
            # Removed between open and lock.
            if not os.fstat(self._journal).st_nlink:
                raise UploadError("no such upload", fault="unknown")
            (self.folder / WANTED).unlink(missing_ok=True)
            self._state: JournalState = replay(self._journal)
            os.ftruncate(self._journal, self._state.whole_bytes)
            if self._state.is_void:
                raise UploadError("the upload was given up", fault="gone")
            self.position = self._begun_bytes = self.offset_bytes
            if self._has_data and not (self.folder / RESULT).exists():
                self._open_data()
        except OSError as error:
            raise upload_failure(error) from error

    def _open_data(self) -> None:
        # What is complete may share its bytes with a blob by now.
        flags = os.O_RDONLY if self.is_complete else os.O_RDWR
        try:
            self._data = os.open(self.folder / DATA, flags | os.O_CLOEXEC)
        except FileNotFoundError:
            raise UploadError("bytes of this upload are lost", fault="gone") from None
        if os.fstat(self._data).st_size < self.offset_bytes:
            raise UploadError("bytes of this upload are lost", fault="gone")
        if not self.is_complete:
            os.ftruncate(self._data, self.offset_bytes)

    def _note(self, line: dict[str, int | bool]) -> None:
        try:
            self._state = note(self._journal, line, state=self._state)
        except OSError as error:
            self._is_doubtful = True
            raise upload_failure(error) from error

    def _begin_write_back(self) -> None:
        """Have what came so far on its way to the disk, which is then less to wait for."""
        new_bytes = self.position - self._begun_bytes
        if new_bytes >= _WRITE_BACK_BYTES and hasattr(os, "posix_fadvise"):
            advice = os.POSIX_FADV_DONTNEED
            os.posix_fadvise(self._data, self._begun_bytes, new_bytes, advice)
            self._begun_bytes = self.position


def publish(path: Path, data: bytes) -> None:
    """Have `data` durably under `path`, all of it or nothing."""
    scratch = path.with_name(f"{path.name}.new")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        view = memoryview(data)
        while view.nbytes:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(scratch, path)
    sync_folder(path.parent)


def upload_failure(error: OSError) -> ResourceError:
    """The error that tells `error`; `no_space` sees through it."""
    what = "the store is full" if no_space(error) else "an upload cannot be kept"
    return ResourceError(f"{what}: {error.strerror}")
