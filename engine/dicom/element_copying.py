"""The elements of a source as they go into a Part 10 file in Explicit VR Little Endian.

What needs no change is copied byte for byte; the rest is transcribed, changed, or put in. Reads
through a `ReadAt`, in pieces: no value is held, however long.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .element_source import copy_bytes, locate_elements
from .encoding import Encoding, Located
from .explicit_elements import explicit_header
from .instance import Instance, ReadAt
from .lossy_history import with_item

if TYPE_CHECKING:
    from .transcription import Transcriber

__all__ = ["ElementCopier"]

_MAX_EXTENDED_BYTES = 1 << 20


class ElementCopier:
    """Copies the top-level elements of `instance`, whose source `read_at` reads."""

    def __init__(self, instance: Instance, read_at: ReadAt) -> None:
        layout = instance.layout
        self._instance = instance
        self._read_at = read_at
        self._encoding = Encoding(layout.explicit_vr, layout.little_endian)
        self._must_transcribe = not (layout.explicit_vr and layout.little_endian)
        self._transcriber: Transcriber | None = None

    def elements(
        self,
        start_bytes: int,
        end_bytes: int,
        *,
        changes: Mapping[int, bytes | None],
        items: Mapping[int, bytes],
    ) -> Iterator[bytes]:
        """The elements between two offsets of the source, with `changes` put in by tag.

        Parameters
        ----------
        changes
            Whole elements that stand in the place of those with their tag; None drops it.
        items
            The sequences in it get one item more, and are put in where there are none.

        Raises
        ------
        DicomError
            The source is damaged.
        """
        inserts = [(tag, element) for tag, element in changes.items() if element is not None]
        inserts += [
            (tag, with_item(explicit_header(tag, "SQ", 0), item)) for tag, item in items.items()
        ]
        inserts.sort(reverse=True)
        copy_from = copy_to = start_bytes
        for located in locate_elements(
            self._read_at, encoding=self._encoding, start_bytes=start_bytes, end_bytes=end_bytes
        ):
            inserting = bool(inserts) and inserts[-1][0] < located.tag
            is_dropped = located.tag in changes or located.tag >> 16 == 2
            if inserting or is_dropped or located.tag in items or self._must_transcribe:
                yield from copy_bytes(self._read_at, start_bytes=copy_from, end_bytes=copy_to)
                copy_from = located.offset_bytes
            while inserts and inserts[-1][0] < located.tag:
                yield inserts.pop()[1]
            if is_dropped:
                copy_from = located.end_offset
            elif located.tag in items:
                inserts = [insert for insert in inserts if insert[0] != located.tag]
                yield from self._extended(located, items[located.tag])
                copy_from = located.end_offset
            elif self._must_transcribe:
                yield from self._transcribed(located)
                copy_from = located.end_offset
            copy_to = located.end_offset
        yield from copy_bytes(self._read_at, start_bytes=copy_from, end_bytes=copy_to)
        while inserts:
            yield inserts.pop()[1]

    def _extended(self, located: Located, item: bytes) -> Iterator[bytes]:
        """A sequence with one item more; as it is where it is absurdly long, or no sequence."""
        if self._must_transcribe:
            pieces = self._transcribed(located)
        else:
            pieces = copy_bytes(
                self._read_at, start_bytes=located.offset_bytes, end_bytes=located.end_offset
            )
        if located.end_offset - located.offset_bytes > _MAX_EXTENDED_BYTES:
            yield from pieces
            return
        element = b"".join(pieces)
        yield with_item(element, item) if element[4:6] == b"SQ" else element

    def _transcribed(self, located: Located) -> Iterator[bytes]:
        if self._transcriber is None:
            # Deferred: it needs pydicom's dictionary, which takes a while to import.
            from .transcription import Transcriber

            pixels = self._instance.pixels
            self._transcriber = Transcriber(
                self._read_at,
                encoding=self._encoding,
                signed=pixels is not None and pixels.signed,
                size_bytes=self._instance.layout.size_bytes,
            )
        return self._transcriber.transcribe(located)
