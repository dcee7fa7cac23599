"""The digest of a file that grows from its beginning."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

from ...codecs.errors import IntegrityError

__all__ = ["RunningDigest"]

_PIECE_BYTES = 1 << 20


class RunningDigest:
    """The SHA-256 of the first `at` bytes of a file. For any thread."""

    def __init__(self) -> None:
        self.at = 0
        self._digest = hashlib.sha256()
        self._turn = threading.Lock()

    def extend(self, start: int, data: memoryview) -> None:
        """Take in bytes that go to `start`, if they are the next ones; who reads has them later."""
        if self._turn.acquire(blocking=False):
            try:
                if start == self.at:
                    self._digest.update(data)
                    self.at += len(data)
            finally:
                self._turn.release()

    def read(self, path: Path, upto: int) -> None:
        """Go on with the bytes of the file up to `upto`.

        Raises
        ------
        IntegrityError
            It is shorter.
        """
        with self._turn, path.open("rb", buffering=0) as file:
            buffer = memoryview(bytearray(_PIECE_BYTES))
            while self.at < upto:
                wanted = min(_PIECE_BYTES, upto - self.at)
                count = os.preadv(file.fileno(), [buffer[:wanted]], self.at)
                if not count:
                    raise IntegrityError("an instance that arrives is shorter than it was")
                self._digest.update(buffer[:count])
                self.at += count

    def hexdigest(self) -> str:
        """Of those bytes, in hexadecimal digits."""
        with self._turn:
            return self._digest.hexdigest()
