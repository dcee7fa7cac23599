"""What storage commitment requests came to, kept in the catalogue for whoever asks again.

Kept for a month, and only so many: an answer that has gone costs its client another request. The
catalogue of blobs that is made anew does not have them.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import zstandard
from sqlalchemy import Connection, delete, func, insert, select

from .database import Database
from .tables import commitments

__all__ = ["CommitmentAnswers"]

_KEPT_S = 30 * 86400.0
_MOST_KEPT = 10_000
_KEPT_BYTES = 256 << 20
_MOST_ANSWER_BYTES = 64 << 20


class CommitmentAnswers:
    """The answers in `database`, which servers may share. Safe in threads; blocks.

    Parameters
    ----------
    most_kept, kept_bytes
        So many, of so many compressed bytes together; the oldest go first.
    clock
        Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        *,
        most_kept: int = _MOST_KEPT,
        kept_bytes: int = _KEPT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._most_kept = most_kept
        self._kept_bytes = kept_bytes
        self._clock = clock

    def keep(self, transaction_uid: str, answer: bytes) -> None:
        """Keep the answer of a transaction, in the place of one that it had.

        Raises
        ------
        ResourceError
            The catalogue cannot be written.
        """
        if len(answer) > _MOST_ANSWER_BYTES:
            return
        now_s = self._clock()
        data = zstandard.ZstdCompressor().compress(answer)
        column = commitments.c

        def work(connection: Connection) -> None:
            is_old = column.asked < int((now_s - _KEPT_S) * 1e9)
            connection.execute(
                delete(commitments).where((column.transaction_uid == transaction_uid) | is_old)
            )
            connection.execute(
                insert(commitments).values(
                    transaction_uid=transaction_uid,
                    asked=int(now_s * 1e9),
                    size_bytes=len(data),
                    answer=data,
                )
            )
            self._trim(connection)

        self._database.write(work)

    def find(self, transaction_uid: str) -> bytes | None:
        """The answer of a transaction; None where none is kept.

        Raises
        ------
        ResourceError
            The catalogue cannot be read.
        """
        statement = select(commitments.c.answer).where(
            commitments.c.transaction_uid == transaction_uid
        )
        with self._database.reading() as connection:
            data = connection.scalar(statement)
        if data is None:
            return None
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=_MOST_ANSWER_BYTES)

    def _trim(self, connection: Connection) -> None:
        column = commitments.c
        totals = select(func.count(), func.coalesce(func.sum(column.size_bytes), 0))
        count, size_bytes = connection.execute(totals.select_from(commitments)).one()
        if count <= self._most_kept and size_bytes <= self._kept_bytes:
            return
        oldest = select(column.transaction_uid, column.size_bytes).order_by(column.asked)
        going = []
        for uid, length in connection.execute(oldest):
            if count <= self._most_kept and size_bytes <= self._kept_bytes:
                break
            count, size_bytes = count - 1, size_bytes - length
            going.append(uid)
        for uid in going:
            connection.execute(delete(commitments).where(column.transaction_uid == uid))
