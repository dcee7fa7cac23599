"""A file that is sent, held open from one slice of it to the next."""

from __future__ import annotations

import os

from ...codecs.errors import MerseyError
from ..archive.entry import stamp_of
from ..transfer.body import FileSlice
from .status import Reason, RefusedError

__all__ = ["OpenFile"]


class OpenFile:
    """The file that was read last: consecutive slices mostly lie in one file."""

    def __init__(self) -> None:
        self.slice: FileSlice | None = None
        self.descriptor = -1

    def open(self, wanted: FileSlice) -> int:
        """A descriptor of the file of `wanted`.

        Raises
        ------
        RefusedError
            It is gone, or another by now.
        """
        held = self.slice
        if held is not None and held.path == wanted.path and held.stamp == wanted.stamp:
            return self.descriptor
        self.close()
        try:
            self.descriptor = os.open(wanted.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            raise RefusedError("the file is gone", reason=Reason.GONE) from None
        except OSError as error:
            raise RefusedError(
                f"the file cannot be read: {error.strerror}", reason=Reason.GONE
            ) from error
        self.slice = wanted
        self.check()
        return self.descriptor

    def check(self) -> None:
        """Look whether the open file is the one that was meant, still.

        Raises
        ------
        RefusedError
            It is not.
        """
        assert self.slice is not None
        if self.slice.stamp is None:
            return
        try:
            same = stamp_of(os.fstat(self.descriptor)) == self.slice.stamp
        except MerseyError:
            same = False
        if not same:
            raise RefusedError("the file has changed since it was indexed", reason=Reason.CHANGED)

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
        self.slice, self.descriptor = None, -1
