"""A series of files: its frames, read as little as will do, decoded in this process.

Files are looked at once, by their headers; a frame is read when it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ...codecs.errors import MerseyError, UnsupportedError, UsageError
from ...codecs.pixels import PixelArray
from ...codecs.reduction import reduced_size
from ...codecs.syntaxes import HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, J2K, J2K_LOSSLESS
from ..archive.metadata import make_metadata, unpack_metadata
from ..dicom.indexing import index_instance
from ..dicom.instance import Instance
from ..runtime.frame_decode import FrameDecode, decode_frame
from ..runtime.frame_read import read_frame
from ..runtime.inflated import inflated_up_to
from ..runtime.reduced_read import read_reduced
from ..runtime.source_file import SourceFile

__all__ = ["LocalSeries"]

_CODESTREAMS = frozenset({J2K, J2K_LOSSLESS, HTJ2K, HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL})
_INSTANCE_NUMBER = 0x00200013


class LocalSeries:
    """The frames of the files of one series, by instance number."""

    def __init__(self, files: Iterable[tuple[Path, Instance]]) -> None:
        self._files = sorted(files, key=lambda file: _place(file[1]))
        self._frames = [
            (path, instance, index)
            for path, instance in self._files
            if instance.frames is not None and instance.pixels is not None
            for index in range(instance.frames.count)
        ]

    @classmethod
    def open(cls, path: Path, *, series: str | None = None) -> LocalSeries:
        """The series in a file or a folder; `series` is its UID where there are several.

        Files that are no DICOM are passed over.

        Raises
        ------
        UsageError
            There is none, or more than one and `series` names none of them.
        """
        found: dict[str, list[tuple[Path, Instance]]] = {}
        paths = sorted(path.rglob("*")) if path.is_dir() else [path]
        for candidate in paths:
            if not candidate.is_file():
                continue
            try:
                instance = _look(candidate)
            except MerseyError:
                if candidate == path:
                    raise
                continue
            found.setdefault(instance.series_instance_uid, []).append((candidate, instance))
        if series is None and len(found) == 1:
            return cls(next(iter(found.values())))
        if series in found:
            return cls(found[series])
        raise UsageError(f"{path} has {len(found)} series, expected one, or the UID of one of them")

    @property
    def frame_count(self) -> int:
        """The frames of all instances together."""
        return len(self._frames)

    def frame(self, index: int, *, reduce: int = 0) -> PixelArray:
        """The frame at `index`, counted from 0 over all instances, halved `reduce` times.

        Returns
        -------
        PixelArray
            Stored values, ``(rows, columns)`` or ``(rows, columns, samples)``, in the dtype of
            the instance's pixels: int or uint of 8, 16 or 32 bits, or float.

        Raises
        ------
        UsageError
            There is no such frame.
        MerseyError
            It cannot be read or decoded.
        """
        if not 0 <= index < len(self._frames):
            raise UsageError(f"frame {index} of {len(self._frames)}, counted from 0")
        path, instance, number = self._frames[index]
        frames, pixels = instance.frames, instance.pixels
        assert frames is not None
        assert pixels is not None
        frame, uid = frames[number], instance.transfer_syntax_uid
        with SourceFile(path) as file:
            if instance.layout.deflated:
                start = instance.layout.dataset_offset
                with inflated_up_to(file, frame, dataset_offset=start) as read_at:
                    stored = read_frame(read_at, frame)
            elif uid in _CODESTREAMS and reduce:
                stored = read_reduced(file.read_at, frame, reduce=reduce)
            else:
                stored = read_frame(file.read_at, frame)
        done = stored.reduced
        small = pixels.with_(
            rows=reduced_size(pixels.rows, reduce=done),
            columns=reduced_size(pixels.columns, reduce=done),
        )
        work = FrameDecode(stored.data, small, uid, frame.bit_offset, reduce - done)
        return decode_frame(work)

    def __iter__(self) -> Iterator[PixelArray]:
        return (self.frame(index) for index in range(self.frame_count))

    def volume(self, *, reduce: int = 0) -> PixelArray:
        """All frames, ``(frames, rows, columns)``, with samples behind where there are several.

        Raises
        ------
        UnsupportedError
            They are not of one size and dtype.
        MerseyError
            One of them cannot be read or decoded.
        """
        frames = [self.frame(index, reduce=reduce) for index in range(self.frame_count)]
        if len({(frame.shape, frame.dtype) for frame in frames}) != 1:
            raise UnsupportedError("the frames are not of one size", feature="such a volume")
        return np.stack(frames)

    def metadata(self) -> list[dict[str, Any]]:
        """DICOM JSON of each instance, in order (PS3.18 Annex F)."""
        return [
            json.loads(unpack_metadata(make_metadata(str(path), instance.layout)))
            for path, instance in self._files
        ]


def _look(path: Path) -> Instance:
    with SourceFile(path) as file:
        return index_instance(file.read_at, size_bytes=file.size_bytes, source=str(path))


def _place(instance: Instance) -> tuple[int, str]:
    return instance.integer(_INSTANCE_NUMBER) or 0, instance.sop_instance_uid
