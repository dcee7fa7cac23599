"""Holdings: the instances that a request may name, and the certainty that each is still so.

On the way to a frame this costs a look-up in memory and a stat: no statement, no parsing. A
file that has changed is indexed anew before anything of it is served; one that has gone is
answered with that. What another process has put in the place of an instance is served after
`TRUSTED_S` at the latest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from ...codecs.errors import IntegrityError, MerseyError
from ..archive.blobs import is_compressed
from ..archive.bounded_cache import BoundedCache
from ..archive.catalogue import Catalogue
from ..archive.entry import Entry, Place, is_uid, stamp_of
from ..archive.folder_index import FolderIndex
from ..archive.locating import Locator
from ..archive.presence import Presence
from .status import Reason, RefusedError

__all__ = ["TRUSTED_S", "Holdings", "Lost", "is_current", "reading", "require_current"]

TRUSTED_S = 1.0
"""What the catalogue said longer ago is asked again: others may have changed it."""

type Lost = Literal["refused", "left out", "listed"]
"""What becomes of instances whose bytes are lost, where several are asked for."""

_CACHE_BYTES = 16 << 20
_GONE_KEPT = 4096
_SEEN_WITHIN_S = 600.0
_MOST_NAMED = 10
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """What was looked up, and when."""

    entry: Entry
    at_s: float


class Holdings:
    """The catalogue and its folders, as requests see them. For one event loop.

    `on_gone` is called with the path of a file that is found gone: it may lie elsewhere now.
    `presence` tells which blobs of the locator's are there.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        index: FolderIndex,
        *,
        on_gone: Callable[[str], None] = lambda _: None,
        locator: Locator | None = None,
        presence: Presence | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._locator = locator
        self._presence = presence
        self._clock = clock
        self.catalogue = catalogue
        self._index = index
        self._on_gone = on_gone
        self._held: BoundedCache[str, _Held] = BoundedCache(
            limit_bytes=_CACHE_BYTES, weigh=lambda held: _weight(held.entry)
        )
        self._gone: BoundedCache[str, bool] = BoundedCache(
            limit_bytes=_GONE_KEPT, weigh=lambda _: 1
        )

    async def entry(self, study_uid: str, series_uid: str, instance_uid: str) -> Entry:
        """The instance of these UIDs, with the file as it is now.

        Raises
        ------
        RefusedError
            There is none, or its file has gone.
        IntegrityError
            Its blob is lost.
        """
        for uid in (study_uid, series_uid, instance_uid):
            require_uid(uid)
        held = self._held.get(instance_uid)
        if held is None or held.at_s + TRUSTED_S < self._clock() or not is_current(held.entry):
            entry = await self._find(instance_uid)
        else:
            entry = held.entry
        if entry.uids != (study_uid, series_uid, instance_uid):
            raise RefusedError("no such instance in that series", reason=Reason.NOT_FOUND)
        return entry

    async def entries(
        self,
        study_uid: str,
        series_uid: str | None = None,
        *,
        with_files: bool = True,
        lost: Lost = "refused",
    ) -> list[Entry]:
        """The instances of a study or series, in a stable order, without those that have gone.

        Blobs elsewhere come without a file: slices of theirs are read in ranges. Those that are
        compressed have a copy, without `with_files` only where there is one already.

        Where blobs are lost, nothing is given in part unless `lost` says so: who asks for a
        study would not know that it is short. ``listed`` gives those instances without a file.

        Raises
        ------
        RefusedError
            There is none.
        IntegrityError
            The bytes of some are lost; it names them.
        """
        require_uid(study_uid)
        if series_uid is not None:
            require_uid(series_uid)
        found, gone = await asyncio.to_thread(
            self._current_entries, study_uid, series_uid, with_files=with_files, lost=lost
        )
        for path in gone:
            self._on_gone(path)
        if not found:
            what = "study" if series_uid is None else "series"
            raise RefusedError(f"no such {what}", reason=Reason.NOT_FOUND)
        return found

    async def with_file(self, entry: Entry) -> Entry:
        """`entry` with a local file, copied first where its blob is elsewhere or compressed.

        Raises
        ------
        MerseyError
            The blob is gone, or no copy can be written.
        """
        return entry if entry.path else await asyncio.to_thread(self._local, entry)

    def forget(self, instance_uid: str) -> None:
        """Look an instance up anew when it is next asked for: it has come, or has changed."""
        self._held.drop(instance_uid)
        self._gone.drop(instance_uid)

    async def _find(self, instance_uid: str) -> Entry:
        looked_s = self._clock()
        entry = await asyncio.to_thread(self._look_up, instance_uid)
        if entry is None:
            self._held.drop(instance_uid)
            if self._gone.get(instance_uid):
                raise RefusedError("the file of this instance is gone", reason=Reason.GONE)
            raise RefusedError("no such instance", reason=Reason.NOT_FOUND)
        if not is_current(entry):
            self._gone.put(instance_uid, True)
            self._on_gone(entry.path)
            self._held.drop(instance_uid)
            raise RefusedError("the file of this instance is gone", reason=Reason.GONE)
        self._gone.drop(instance_uid)
        self._held.put(instance_uid, _Held(entry, looked_s))
        return entry

    def _look_up(self, instance_uid: str) -> Entry | None:
        """The entry in the catalogue, after a second look at its file where that changed."""
        entry = self.catalogue.find(instance_uid)
        if entry is not None and entry.blob_key:
            (placed,), lost = self._placed([entry], with_files=True)
            if lost:
                raise IntegrityError("the bytes of this instance are lost")
            return placed
        if entry is None or is_current(entry):
            return entry
        self._index.refresh(entry)
        renewed = self.catalogue.find(instance_uid)
        # Where the instance went with its file, the old entry says what there was.
        return entry if renewed is None else renewed

    def _local(self, entry: Entry) -> Entry:
        """`entry` with a local file that holds its bytes, where it is a blob; blocks."""
        if not entry.blob_key or self._locator is None:
            return entry
        return self._locator.local(entry)

    def _readable(self, entry: Entry) -> Entry:
        """`entry` such that slices are of the original: those of a compressed blob are not."""
        return self._local(entry) if is_compressed(entry.blob_key) else self._located(entry)

    def _placed(
        self, found: Sequence[Entry], *, with_files: bool
    ) -> tuple[list[Entry], list[Entry]]:
        """Where each of `found` is, and those of them whose blob is lost, which have no file."""
        place = self._readable if with_files else self._located
        placed, lost = [], []
        for entry in found:
            try:
                placed.append(place(entry))
            except IntegrityError as error:
                _log.warning("instance %s: %s", entry.instance.sop_instance_uid, error)
                placed.append(replace(entry, path=""))
                lost.append(placed[-1])
        apart = {one.blob_key for one in placed if one.blob_key and not one.path}
        apart -= {one.blob_key for one in lost}
        if apart and self._presence is not None:
            gone = self._presence.lost(apart, seen_within_s=_SEEN_WITHIN_S)
            lost += [one for one in placed if one.blob_key in gone]
        return placed, lost

    def _located(self, entry: Entry) -> Entry:
        return entry if self._locator is None else self._locator.locate(entry)

    def _current_entries(
        self, study_uid: str, series_uid: str | None, *, with_files: bool, lost: Lost
    ) -> tuple[list[Entry], list[str]]:
        """The entries whose files are there, indexed anew where need be; the paths that are not."""
        held = self.catalogue.entries(study_uid, series_uid)
        changed = [entry for entry in held if not entry.blob_key and not is_current(entry)]
        if changed:
            for entry in changed:
                self._index.refresh(entry)
            held = self.catalogue.entries(study_uid, series_uid)
        entries, without = self._placed(held, with_files=with_files)
        if without and lost == "refused":
            raise IntegrityError(_tell_lost(without, of=len(entries)))
        if without and lost == "left out":
            uids = {entry.instance.sop_instance_uid for entry in without}
            entries = [one for one in entries if one.instance.sop_instance_uid not in uids]
        if not changed:
            return entries, []
        gone = [entry.path for entry in changed if not os.path.lexists(entry.path)]
        return [entry for entry in entries if is_current(entry)], gone


def _tell_lost(lost: Sequence[Entry], *, of: int) -> str:
    uids = [entry.instance.sop_instance_uid for entry in lost]
    named = ", ".join(uids[:_MOST_NAMED]) + (", …" if len(uids) > _MOST_NAMED else "")
    return (
        f"the bytes of {len(uids)} of {of} instances are lost: {named}; "
        "each of the others can be had by itself"
    )


def require_uid(text: str) -> None:
    """Refuse what is no UID (PS3.5 §9), before it reaches anything; raises RefusedError."""
    if not is_uid(text):
        raise RefusedError("no UID in the path", reason=Reason.NOT_FOUND)


def is_current(entry: Entry | Place) -> bool:
    """Whether the file of `entry` is still the one that was indexed; a blob without one is."""
    if entry.blob_key and not entry.path:
        return True
    try:
        return stamp_of(os.stat(entry.path)) == entry.stamp
    except (OSError, MerseyError):
        return False


def require_current(entry: Entry) -> None:
    """Refuse what was made of the file of `entry` if that has changed meanwhile, or has gone.

    Raises
    ------
    RefusedError
        It has.
    """
    if is_current(entry):
        return
    if not os.path.lexists(entry.path):
        raise RefusedError("the file of this instance is gone", reason=Reason.GONE)
    raise RefusedError("the file changed while it was read", reason=Reason.CHANGED)


@contextmanager
def reading(entry: Entry) -> Iterator[None]:
    """A block that reads the file of `entry`: what it makes, or its error, is of that file.

    Raises
    ------
    RefusedError
        The file has changed or gone meanwhile, whatever else went wrong for that reason.
    """
    try:
        yield
    except RefusedError:
        raise
    except (MerseyError, OSError):
        require_current(entry)
        raise
    require_current(entry)


def _weight(entry: Entry) -> int:
    frames = entry.instance.frames
    arrays = () if frames is None else (frames.offsets, frames.lengths, frames.starts)
    values = sum(len(element.value) + 150 for element in entry.instance.attributes.values())
    return 2048 + values + sum(array.nbytes for array in arrays if array is not None)
