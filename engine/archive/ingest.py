"""Ingest's last step: files become blobs and instances, durably, many at a time.

`Ingest.commit` returns when both are on disk, so what it reports stored may be acknowledged.
The order is its safety: blobs first, then the catalogue in one transaction. Whatever fails or
dies in between leaves blobs that nothing refers to, which `mersey store gc` finds, and never an
instance without its bytes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import select

from ...codecs.errors import MerseyError
from .blobs import BlobStore, Ready, other_key
from .catalogue import Catalogue
from .database import in_groups
from .examination import Examined, Refusal
from .receiving import no_space
from .removal_lock import RemovalLock
from .stored import OnConflict, Settled, StoredInstance
from .tables import instances

__all__ = ["Ingest"]

_log = logging.getLogger(__name__)
_MAX_UNNEEDED = 10_000
_PAUSE_S = 0.01


class Ingest:
    """Stores in `blobs` and `catalogue`; `on_conflict` decides where a UID is taken.

    For one thread at a time. Any number of processes may do the same to the same store.
    """

    def __init__(
        self, blobs: BlobStore, catalogue: Catalogue, *, on_conflict: OnConflict = "reject"
    ) -> None:
        self.blobs = blobs
        self.on_conflict = on_conflict
        self._catalogue = catalogue
        self._lock = RemovalLock(blobs.incoming, catalogue.database)
        self._unneeded: dict[str, None] = {}

    def commit(self, batch: Sequence[Examined]) -> list[Settled | Refusal]:
        """Store `batch`: what became of each, in order. Never raises for want of space.

        The files of `batch` are gone afterwards, stored or not. A blob that is not needed after
        all is removed, now or by a later `remove_unneeded`.
        """
        if not batch:
            return []
        results: list[Settled | Refusal]
        try:
            with self._lock.committing():
                settled = self._store(batch)
        except MerseyError as error:
            _log.warning("%d instances were not stored: %s", len(batch), error)
            results = [_refusal(one, error) for one in batch]
        else:
            results = [_answer(one, outcome) for one, outcome in zip(batch, settled, strict=True)]
            self._unneeded.update((one.unneeded_key, None) for one in settled if one.unneeded_key)
            self.remove_unneeded()
        for one in batch:
            _remove_files(one)
        return results

    def _store(self, batch: Sequence[Examined]) -> list[Settled]:
        ready = {one.stored.blob_key: Ready(one.path, one.stored.blob_key) for one in batch}
        try:
            self.blobs.commit(list(ready.values()))
            settled = self._catalogue.store(
                [one.stored for one in batch], on_conflict=self.on_conflict
            )
            return [
                self._with_bytes(one.stored, outcome)
                for one, outcome in zip(batch, settled, strict=True)
            ]
        except MerseyError:
            # What became a blob just now is asked after at the next chance.
            self._unneeded.update(dict.fromkeys(ready))
            raise

    def _with_bytes(self, stored: StoredInstance, settled: Settled) -> Settled:
        """What is the ``same`` as a lost blob that was kept the other way takes its place."""
        key = settled.unneeded_key
        if settled.outcome != "same" or not key or self.blobs.size(other_key(key)) is not None:
            return settled
        uid = stored.instance.sop_instance_uid
        self._catalogue.rekey(uid, lost_key=other_key(key), key=key)
        return Settled("same")

    def remove_unneeded(self, *, patience_s: float = 0.0) -> bool:
        """Remove blobs that turned out not to be needed; False where some are left for later.

        They are left while another process stores, as it may be about to use them again; with
        `patience_s`, that long is tried. Elsewhere than in a local folder nobody can know, and
        they are left to `gc`.
        """
        keys = [key for key in self._unneeded if self.blobs.path_of(key) is not None]
        self._unneeded = dict.fromkeys(keys[-_MAX_UNNEEDED:])
        if not keys:
            return True
        deadline = time.monotonic() + patience_s
        try:
            while not self._removed(keys):
                if time.monotonic() >= deadline:
                    return False
                time.sleep(_PAUSE_S)
        except MerseyError as error:
            _log.warning("blobs that nothing refers to were not removed: %s", error)
            return False
        self._unneeded = {}
        return True

    def _removed(self, keys: Sequence[str]) -> bool:
        with self._lock.removing(wait=False) as alone:
            if alone:
                for key in set(keys) - self._needed(keys):
                    self.blobs.remove(key)
        return alone

    def _needed(self, keys: Sequence[str]) -> set[str]:
        column = instances.c.blob_key
        with self._catalogue.database.reading() as connection:
            return {
                key
                for group in in_groups(keys)
                for key in connection.scalars(select(column).where(column.in_(group)))
            }


def _answer(examined: Examined, settled: Settled) -> Settled | Refusal:
    if settled.outcome != "rejected":
        return settled
    instance = examined.stored.instance
    return Refusal("conflict", settled.message, instance.sop_class_uid, instance.sop_instance_uid)


def _refusal(examined: Examined, error: MerseyError) -> Refusal:
    instance = examined.stored.instance
    message = "the store is full" if no_space(error) else f"the store failed: {error.message}"
    return Refusal("resources", message, instance.sop_class_uid, instance.sop_instance_uid)


def _remove_files(examined: Examined) -> None:
    for path in {examined.path, examined.path.removesuffix(".zst")}:
        with suppress(OSError):
            os.unlink(path)
