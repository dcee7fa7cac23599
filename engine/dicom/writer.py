"""Part 10 files in a new transfer syntax, sans-I/O: pieces of bytes in the order of the file.

Holds lengths of frames, never frames: a caller writes `header`, then the frames (each
through `item`), then `trailer`, and at last `patches` over the places kept free for the
offset tables. The same input always gives the same bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

from ...codecs.errors import UnsupportedError, UsageError
from ...codecs.pixels import Buffer, PixelFormat
from ...codecs.syntaxes import EXPLICIT_LE, transfer_syntax
from .bit_packing import BitPacker
from .element_copying import ElementCopier
from .encapsulation import (
    EMPTY_BASIC_OFFSET_TABLE,
    SEQUENCE_DELIMITER,
    extended_offset_table,
    frame_item,
)
from .explicit_elements import explicit_header
from .header_rewriting import plan_changes
from .instance import Instance, ReadAt
from .lossy_history import (
    RATIO_BYTES,
    LossyStep,
    PastLoss,
    added_items,
    format_ratio,
)
from .meta_writing import file_meta
from .tags import (
    DOUBLE_FLOAT_PIXEL_DATA,
    EXTENDED_OFFSET_TABLE,
    EXTENDED_OFFSET_TABLE_LENGTHS,
    FLOAT_PIXEL_DATA,
    LOSSY_IMAGE_COMPRESSION_RATIO,
    PIXEL_DATA,
)
from .value_representations import UNDEFINED_LENGTH

__all__ = ["Part10Writer"]


class Part10Writer:
    """Writes `instance` with new frames.

    Parameters
    ----------
    instance
        What `index_instance` found; it must have frames.
    read_at
        Reads the source: the file, or for a deflated one the inflated data set.
    transfer_syntax_uid
        An encapsulated syntax, or Explicit VR Little Endian.
    pixels
        The format of the new frames (a codec's `encoded_format`).
    frame_count
        How many frames will be written.
    lossy
        Given where the new frames are not exactly the old ones.
    past_loss
        Given where the source's frames had lost something that its attributes do not tell.

    Raises
    ------
    UnsupportedError
        The syntax cannot be written, or an uncompressed value would exceed 4 GiB.
    UsageError
        The instance has no frames.

    Notes
    -----
    Elements of an Explicit VR Little Endian source that need no change are copied byte for
    byte. Group lengths (retired) are dropped where they would be wrong, zeros behind the
    last element are dropped, Data Set Trailing Padding (FFFC,FFFC) is kept.
    """

    def __init__(
        self,
        instance: Instance,
        read_at: ReadAt,
        *,
        transfer_syntax_uid: str,
        pixels: PixelFormat,
        frame_count: int,
        lossy: LossyStep | None = None,
        past_loss: PastLoss | None = None,
    ) -> None:
        row = transfer_syntax(transfer_syntax_uid)
        if row is None or not (row.encapsulated or row.uid == EXPLICIT_LE):
            raise UnsupportedError(
                f"cannot write {row.name if row else transfer_syntax_uid}, only encapsulated"
                " syntaxes and Explicit VR Little Endian",
                feature=transfer_syntax_uid,
            )
        if instance.layout.pixel_offset is None or instance.frames is None:
            raise UsageError("the instance has no frames; copy it as it is")
        self._is_encapsulated = row.encapsulated
        self._instance = instance
        self._transfer_syntax_uid = transfer_syntax_uid
        self._pixels = pixels
        self._frame_count = frame_count
        self._lossy = lossy
        self._changes = plan_changes(
            instance, pixels=pixels, frame_count=frame_count, lossy=lossy, past_loss=past_loss
        )
        self._added_items = added_items(instance, lossy)
        self._lengths = array("Q")
        self._packer = BitPacker(frame_bits=pixels.frame_bits)
        self._value_bytes = -(-pixels.frame_bits * frame_count // 8)
        if not row.encapsulated and self._value_bytes + 1 >= UNDEFINED_LENGTH:
            raise UnsupportedError(
                f"{self._value_bytes} bytes of uncompressed Pixel Data do not fit an element of"
                f" at most {UNDEFINED_LENGTH - 1}",
                feature="uncompressed Pixel Data of 4 GiB",
            )
        self._source = ElementCopier(instance, read_at)
        self._ratio: float | None = None
        self._ratio_offset: int | None = None
        self._table_offset: int | None = None
        self.header_bytes: int | None = None
        """The length of the header, once `header` has been exhausted."""

    def header(self) -> Iterator[bytes]:
        """Everything before the first frame, with zeros where `patches` go."""
        position = 0
        is_open = self._lossy is not None and self._lossy.ratio is None
        open_ratio = self._changes.get(LOSSY_IMAGE_COMPRESSION_RATIO) if is_open else None
        for piece in self._header_pieces():
            if piece is open_ratio:
                self._ratio_offset = position + len(piece.rstrip(b" "))
            yield piece
            position += len(piece)
        if self._is_encapsulated:
            table_bytes = 8 * self._frame_count
            for tag in (EXTENDED_OFFSET_TABLE, EXTENDED_OFFSET_TABLE_LENGTHS):
                yield explicit_header(tag, "OV", table_bytes)
                position += 12
                if tag == EXTENDED_OFFSET_TABLE:
                    self._table_offset = position
                yield bytes(table_bytes)
                position += table_bytes
        start = self._pixel_data_start()
        yield start
        self.header_bytes = position + len(start)

    def item(self, data: Buffer) -> tuple[Buffer, ...]:
        """The bytes to write for the next frame.

        Encapsulated: tag and length of the item, the codestream, its padding; this does not
        depend on what came before (`frame_item` is the same). Uncompressed: the frame, in
        which Bits Allocated 1 is joined to the frame before (PS3.5 §8.2).
        """
        if self._is_encapsulated:
            return frame_item(data)
        expected = -(-self._pixels.frame_bits // 8)
        if memoryview(data).nbytes != expected:
            raise UsageError(f"a frame of {memoryview(data).nbytes} bytes, expected {expected}")
        return (self._packer.pack(data),)

    def add_lengths(self, lengths: Iterable[int]) -> None:
        """Tell the lengths in bytes of the next frames as encoded, without item padding."""
        self._lengths.extend(lengths)

    @property
    def lengths(self) -> Sequence[int]:
        """The lengths that were added."""
        return self._lengths

    def set_ratio(self, ratio: float) -> None:
        """Tell the compression ratio of a lossy step that did not know it before."""
        self._ratio = ratio

    def trailer(self) -> Iterator[bytes]:
        """Everything behind the last frame."""
        if self._is_encapsulated:
            yield SEQUENCE_DELIMITER
        else:
            yield self._packer.rest() + bytes(self._value_bytes % 2)
        layout = self._instance.layout
        assert layout.end_offset is not None
        dropped = dict.fromkeys(self._changes)
        yield from self._source.elements(
            layout.end_offset, layout.size_bytes, changes=dropped, items={}
        )

    def patches(self) -> tuple[tuple[int, bytes], ...]:
        """Offsets in the file and the bytes to write there, now that all frames are known.

        Raises
        ------
        UsageError
            `header` was not exhausted, or lengths were not added for every frame.
        """
        if self.header_bytes is None:
            raise UsageError("Part10Writer.patches before the header was written")
        patches: list[tuple[int, bytes]] = []
        if self._ratio_offset is not None:
            if self._ratio is None:
                raise UsageError("the ratio of the lossy step was not set")
            text = format_ratio(self._ratio).encode("ascii").ljust(RATIO_BYTES)
            patches.append((self._ratio_offset, text))
        if self._table_offset is not None:
            if len(self._lengths) != self._frame_count:
                raise UsageError(
                    f"lengths of {len(self._lengths)} frames were added, expected"
                    f" {self._frame_count}"
                )
            offsets, lengths = extended_offset_table(self._lengths)
            patches.append((self._table_offset, offsets))
            patches.append((self._table_offset + len(offsets) + 12, lengths))
        return tuple(patches)

    def _header_pieces(self) -> Iterator[bytes]:
        """File meta and the data set up to Pixel Data."""
        instance, lossy = self._instance, self._lossy
        yield file_meta(
            instance,
            sop_instance_uid=lossy.sop_instance_uid if lossy else instance.sop_instance_uid,
            transfer_syntax_uid=self._transfer_syntax_uid,
        )
        layout = instance.layout
        assert layout.pixel_offset is not None
        start = 0 if layout.deflated else layout.dataset_offset
        yield from self._source.elements(
            start, layout.pixel_offset, changes=self._changes, items=self._added_items
        )

    def _pixel_data_start(self) -> bytes:
        """The header of Pixel Data, and the empty Basic Offset Table."""
        if self._is_encapsulated:
            start = explicit_header(PIXEL_DATA, "OB", UNDEFINED_LENGTH)
            return start + EMPTY_BASIC_OFFSET_TABLE
        tag, vr = PIXEL_DATA, "OB" if self._pixels.bits_allocated <= 8 else "OW"
        if self._pixels.floating:
            is_single = self._pixels.bits_allocated == 32
            tag = FLOAT_PIXEL_DATA if is_single else DOUBLE_FLOAT_PIXEL_DATA
            vr = "OF" if is_single else "OD"
        return explicit_header(tag, vr, self._value_bytes + self._value_bytes % 2)
