"""Reads as few bytes of a frame as a smaller image takes, in whatever order its packets are.

Three ways, the first that goes: a prefix up to a cut point that the main header tells (TLM);
the packets alone, where the tile-parts list their lengths (PLT); a growing prefix, until its
packets prove that nothing is missing. Else the whole frame. Never decodes.
"""

from __future__ import annotations

from ...codecs.codestream import CodestreamLayout, prefix_length
from ...codecs.errors import CodestreamError, UnsupportedError, UsageError
from ...codecs.surgery import reduce_codestream, resolution_ranges
from ..dicom.frame_index import Frame
from ..dicom.instance import ReadAt
from .frame_read import HEAD_BYTES, FrameBytes, read_bytes, read_codestream, read_up_to, scan_bytes

__all__ = ["read_reduced"]

_SOT, _SOD, _EOC, _PLT = b"\xff\x90", b"\xff\x93", b"\xff\xd9", b"\xff\x58"
_SOT_BYTES = 12
_TILE_PART_HEADER_BYTES = 1 << 20
_MOST_PACKETS = 1024
_LEAST_BYTES = 256
_WORTH_IT = 0.5
"""Of a frame, at most: more is read as quickly whole as in pieces."""


def read_reduced(read_at: ReadAt, frame: Frame, *, reduce: int) -> FrameBytes:
    """Read what a decoder needs for the image of a J2K or HTJ2K frame at `reduce`.

    Where it cannot be halved so often, its smallest resolution. ``reduced`` of the result says
    how often `data` is halved already: it is then a codestream of its own.

    Raises
    ------
    CodestreamError
        The frame is not a codestream, or is cut short.
    """
    if reduce == 0:
        return read_codestream(read_at, frame)
    data = b""
    has_tried_lists = False
    while len(data) < frame.length_bytes:
        wanted = min(max(HEAD_BYTES, 2 * len(data)), frame.length_bytes)
        data += read_bytes(read_at, frame, len(data), wanted)
        is_whole = len(data) == frame.length_bytes
        layout = scan_bytes(data, is_whole=is_whole)
        if layout is None:
            continue
        level = min(reduce, layout.decompositions)
        start = layout.jp2_offset
        if layout.cut_points is not None:
            return read_up_to(read_at, frame, data, layout, level)
        if is_whole:
            return FrameBytes(data[start : prefix_length(layout, 0)], frame.length_bytes, layout)
        if _is_complete(layout, level):
            end = _first_complete(data, layout, level)
            return FrameBytes(data[start:end], frame.length_bytes, layout, is_prefix=True)
        if not has_tried_lists:
            has_tried_lists = True
            found = _read_listed(read_at, frame, data, layout, level)
            if found is not None:
                return FrameBytes(found, frame.length_bytes, layout, is_prefix=True, reduced=level)
    raise CodestreamError("the frame is empty, expected a codestream", offset_bytes=0)


def _is_complete(layout: CodestreamLayout, level: int) -> bool:
    return layout.complete_reduce is not None and layout.complete_reduce <= level


def _first_complete(data: bytes, layout: CodestreamLayout, level: int) -> int:
    """The shortest prefix of `data` that is complete for `level`, as `data` is.

    Decoders refuse a packet cut in two, even one that they have no need of.
    """
    too_short, enough = layout.jp2_offset + layout.main_header_bytes, len(data)
    while enough - too_short > 1:
        middle = (too_short + enough) // 2
        found = scan_bytes(data[:middle], is_whole=False)
        if found is not None and _is_complete(found, level):
            enough = middle
        else:
            too_short = middle
    return enough


def _read_listed(
    read_at: ReadAt, frame: Frame, data: bytes, layout: CodestreamLayout, level: int
) -> bytes | None:
    """The codestream of the smaller image, out of the packets that PLT tells; None without it.

    All headers go where they belong in an otherwise empty frame. A walk of them finds the
    packets of the image and proves the lists right, and then those packets follow.
    """
    if level == 0 or layout.image_area[:2] != (0, 0):
        return None
    main_header = data[: layout.jp2_offset + layout.main_header_bytes]
    sparse = _Sparse(read_at, frame, main_header)
    if not sparse.fill_headers():
        return None
    try:
        ranges = resolution_ranges(sparse.data, reduce=level)
        if sum(length for _, length in ranges) > _WORTH_IT * frame.length_bytes:
            return None
        for offset, length in ranges:
            sparse.fill(offset, length)
        return reduce_codestream(sparse.data, reduce=level)
    except (CodestreamError, UnsupportedError, UsageError):
        return None  # the lists are not right: the whole frame will tell what is


class _Sparse:
    """A frame in its full length, of which only some bytes were read; the others are 0."""

    def __init__(self, read_at: ReadAt, frame: Frame, main_header: bytes) -> None:
        self.data = bytearray(frame.length_bytes)
        self.data[: len(main_header)] = main_header
        self._read_at = read_at
        self._frame = frame
        self._start = len(main_header)
        self._filled = [(0, len(main_header))]

    def fill(self, offset: int, length: int) -> None:
        """Have bytes `offset` to `offset` + `length` at hand; reads what is not."""
        end = min(offset + length, len(self.data))
        for first, last in self._filled:
            if first <= offset < last:
                offset = last
        if offset < end:
            self.data[offset:end] = read_bytes(self._read_at, self._frame, offset, end)
            self._filled.append((offset, end))

    def fill_headers(self) -> bool:
        """All tile-part headers, and of each packet as much as its header may take.

        False where a tile-part does not list its packets, or there are very many.
        """
        at, packets = self._start, 0
        while at + _SOT_BYTES <= len(self.data):
            end = self._fill_tile_part_header(at)
            if end is None:
                return False
            length = int.from_bytes(self.data[at + 6 : at + 10], "big")
            after = at + length if length else len(self.data) - len(_EOC)
            lengths = _packet_lengths(bytes(self.data[at:end]))
            packets += len(lengths)
            if not lengths or end + sum(lengths) != after or packets > _MOST_PACKETS:
                return False
            for packet in lengths:
                self.fill(end, min(packet, max(_LEAST_BYTES, packet // 16)))
                end += packet
            at = after
        self.fill(at, len(self.data) - at)  # EOC, and padding
        return True

    def _fill_tile_part_header(self, at: int) -> int | None:
        """From SOT to SOD: where it ends, None where it does not."""
        wanted = HEAD_BYTES
        while wanted <= _TILE_PART_HEADER_BYTES:
            end = min(at + wanted, len(self.data))
            self.fill(at, wanted)
            if self.data[at : at + 2] != _SOT:
                return None
            position = at + _SOT_BYTES
            while position + 4 <= end:
                if self.data[position : position + 2] == _SOD:
                    return position + 2
                position += 2 + int.from_bytes(self.data[position + 2 : position + 4], "big")
            if end == len(self.data):
                return None
            wanted *= 4
        return None


def _packet_lengths(header: bytes) -> list[int]:
    """What PLT says in a tile-part header (ISO/IEC 15444-1 A.7.3); nothing where it is absent."""
    lists = {}
    position = _SOT_BYTES
    while position + 4 <= len(header):
        end = position + 2 + int.from_bytes(header[position + 2 : position + 4], "big")
        if header[position : position + 2] == _PLT and end > position + 4:
            lists[header[position + 4]] = header[position + 5 : end]
        position = end
    lengths = []
    value = 0
    for byte in b"".join(lists[number] for number in sorted(lists)):
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            lengths.append(value)
            value = 0
    return lengths
