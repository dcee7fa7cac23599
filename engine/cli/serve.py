"""`mersey serve`: folders of DICOM files as a DICOMweb service."""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .default_store import default_store
from .options import Jobs
from .store_opening import store_folder
from .store_options import CatalogueUrl, ConflictOption, Local, OnConflictOption, Store
from .terminal import count, printable

if TYPE_CHECKING:
    from ..archive.folder_index import ScanProgress

__all__ = ["command"]

_REPORT_EVERY_S = 5.0
_REDRAW_EVERY_S = 0.1
_MAX_BROKEN_SHOWN = 20
_SWITCH_INTERVAL_S = 3e-4
_YOUNG_OBJECTS = 10_000  # a request makes some hundreds


def command(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FOLDER", help="Folders to serve, as they are."),
    ] = None,
    store: Store = None,
    local: Local = None,
    catalogue: CatalogueUrl = None,
    cache_size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="How much the renditions may take, e.g. 20GB; those used longest ago go.",
            show_default="20GB, or a tenth of the disk",
        ),
    ] = None,
    copies_size: Annotated[
        str,
        typer.Option(
            metavar="SIZE",
            help="How much local copies of originals may take that are compressed or elsewhere.",
        ),
    ] = "4GB",
    prebuild: Annotated[
        bool,
        typer.Option(
            "--prebuild/--no-prebuild",
            help="Make progressive forms before they are asked for, as far as there is room.",
        ),
    ] = True,
    on_conflict: OnConflictOption = ConflictOption.reject,
    upload_expiry: Annotated[
        float,
        typer.Option(
            min=0.01,
            max=87600,
            metavar="HOURS",
            help="How long an upload is kept that nobody goes on with.",
        ),
    ] = 24.0,
    max_upload: Annotated[
        str, typer.Option(metavar="SIZE", help="How long one resumable upload may be.")
    ] = "1TiB",
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8042,
    jobs: Jobs = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow the folders: serve what changes in them.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Whose web pages may read the answers; may be repeated.",
            show_default="any",
        ),
    ] = None,
) -> None:
    """Serve folders of DICOM files as DICOMweb, indexing them in place.

    Frames come progressively to viewers that can take them so. Files are never altered. Ctrl-C
    or SIGTERM stops when what is being sent is sent, a second one at once.
    """
    import asyncio
    import logging

    import uvloop

    from ..archive.blob_stores import is_remote
    from ..archive.byte_size import parse_byte_size
    from ..web.server import ServeSettings, serve

    # A thread that computes keeps the others, and with them every connection, waiting for so long.
    # Python's 5 ms for each of the hand-overs of one request are most of its time.
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    logging.basicConfig(level=logging.WARNING, format="mersey: %(message)s")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # it quotes values of patients
    place = store or str(default_store())
    settings = ServeSettings(
        folders=tuple(folders or ()),
        store=store_folder(place, local),
        blobs=place if is_remote(place) else None,
        copies_bytes=parse_byte_size(copies_size),
        host=host,
        port=port,
        jobs=jobs,
        origins=tuple(origin or ("*",)),
        catalogue=catalogue,
        watch=watch,
        cache_bytes=None if cache_size is None else parse_byte_size(cache_size),
        prebuild=prebuild,
        on_conflict=on_conflict.value,
        upload_expiry_s=upload_expiry * 3600,
        max_upload_bytes=parse_byte_size(max_upload),
    )
    if catalogue is None:
        _rebuild_lost(place, settings.store, jobs)
    on_scan = _ScanReport() if folders else _say_nothing
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, on_listening=_announce, on_scan=on_scan))
    _say("stopped")


def _rebuild_lost(place: str, folder: Path, jobs: int | None) -> None:
    """Make the store's own catalogue from the blobs where it was lost, before anything is served.

    Not one that servers share: it is not emptied under the others.
    """
    from contextlib import closing

    from ..archive.blob_stores import is_remote, open_blobs
    from ..archive.catalogues import CATALOGUE_NAME, open_catalogue
    from .store_opening import OpenStore
    from .store_rebuilding import rebuild_store

    opened = OpenStore(place, folder, open_blobs(place, local=folder))
    if is_remote(place) and not (folder / CATALOGUE_NAME).exists():
        # None is made yet: it would look whole if we were stopped in between.
        is_lost = next(iter(opened.blobs.keys()), None) is not None
    else:
        with closing(open_catalogue(folder)) as held:
            is_lost = held.needs_rebuild
    if not is_lost:
        return
    _say("the catalogue is lost or of another version: made anew from what is stored")
    rebuild_store(opened, None, jobs=jobs)


def _announce(address: str) -> None:
    # What is there by now stays: no collection has to go through it again.
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    print(f"serving on {address}/dicom-web")
    print(f"  try: curl '{address}/dicom-web/studies?limit=5'")
    sys.stdout.flush()


class _ScanReport:
    """Tells how the scan goes: one line that is redrawn on a terminal, a few lines elsewhere."""

    def __init__(self) -> None:
        self._started = self._told = time.monotonic()
        self._on_terminal = sys.stderr.isatty()
        self._broken_shown = 0

    def __call__(self, progress: ScanProgress) -> None:
        self._show_broken(progress)
        now = time.monotonic()
        every = _REDRAW_EVERY_S if self._on_terminal else _REPORT_EVERY_S
        if not progress.done and now - self._told < every:
            return
        self._told = now
        line = self._line(progress, now - self._started)
        if self._on_terminal:
            end = "\n" if progress.done else ""
            print(f"\r\x1b[2K{line}", end=end, file=sys.stderr, flush=True)
        else:
            _say(line)

    def _line(self, progress: ScanProgress, seconds: float) -> str:
        state = "indexed" if progress.done else "indexing"
        rate = progress.seen / seconds if seconds else 0.0
        parts = [
            f"{state}: {count(progress.seen, 'file')}",
            f"{progress.instances} new, {progress.unchanged} known, {progress.other} not DICOM",
            f"{rate:.0f} files/s",
        ]
        if progress.broken:
            parts.insert(2, f"{len(progress.broken)} broken")
        if progress.duplicates:
            parts.insert(2, f"{progress.duplicates} with an instance that another file holds")
        if progress.gone:
            parts.insert(2, f"{progress.gone} gone")
        return ", ".join(parts)

    def _show_broken(self, progress: ScanProgress) -> None:
        for path, message in progress.broken[self._broken_shown : _MAX_BROKEN_SHOWN]:
            clear = "\r\x1b[2K" if self._on_terminal else ""
            print(f"{clear}not served: {printable(path)}: {printable(message)}", file=sys.stderr)
        self._broken_shown = max(self._broken_shown, len(progress.broken))


def _say_nothing(_: ScanProgress) -> None:
    """There is no folder to tell of."""


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
