"""Codestream surgery: bit-level work on JPEG 2000 and HTJ2K. Files made durable."""

from collections.abc import Buffer, Sequence
from typing import Literal

class Layout:
    """What one codestream is; offsets count from SOC."""

    @property
    def wrapper_bytes(self) -> int: ...
    @property
    def decompositions(self) -> int: ...
    @property
    def image_area(self) -> tuple[int, int, int, int]: ...
    @property
    def tiles(self) -> int: ...
    @property
    def components(self) -> tuple[tuple[int, bool, int, int], ...]: ...
    @property
    def layers(self) -> int: ...
    @property
    def progression(self) -> Literal["LRCP", "RLCP", "RPCL", "PCRL", "CPRL"]: ...
    @property
    def colour_transform(self) -> int: ...
    @property
    def reversible(self) -> bool: ...
    @property
    def ht(self) -> bool: ...
    @property
    def has_tlm(self) -> bool: ...
    @property
    def has_poc(self) -> bool: ...
    @property
    def has_eoc(self) -> bool: ...
    @property
    def main_header_bytes(self) -> int: ...
    @property
    def length_bytes(self) -> int | None: ...
    @property
    def tile_parts(self) -> tuple[tuple[int, int, int, int], ...]: ...
    @property
    def cut_points(self) -> list[int] | None: ...
    @property
    def cut_evidence(self) -> Literal["none", "packets", "tile-parts"]: ...
    @property
    def why_no_cut_points(self) -> str: ...
    @property
    def complete_reduce(self) -> int | None: ...

def scan(data: Buffer, *, complete: bool = True) -> Layout:
    """Find headers, tile-parts and cut points of a codestream, bare or inside a JP2."""

def to_progressive(data: Buffer, *, plt: bool) -> bytes:
    """RPCL, a tile-part for each resolution, TLM."""

def reduce(data: Buffer, *, by: int) -> bytes:
    """A codestream of the image at a reduction."""

def reorder(data: Buffer, *, progression: int) -> bytes:
    """The same packets in the progression of this number (Table A.16)."""

def truncate(data: Buffer, *, max_bytes: int | None, layers: int | None) -> bytes:
    """At most so many bytes and layers."""

def resolution_ranges(data: Buffer, *, reduce: int) -> list[tuple[int, int]]:
    """Offset and length of what an image at a reduction needs."""

def packets(data: Buffer) -> bytes:
    """Every packet, 40 bytes each."""

def markers(data: Buffer) -> list[tuple[int, str, int | None, int, int, int]]:
    """(code, name, tile, tile-part, offset from SOC, length) of every marker."""

def sync_files(paths: Sequence[bytes]) -> None:
    """Have the bytes of all files, or the names in folders, on the disk.

    Their write-back is begun first, then waited for side by side. OSError where one fails.
    """

def link_files(links: Sequence[tuple[bytes, bytes]]) -> list[int]:
    """Give files a second name each; the numbers of those whose name was taken."""

def unlink_files(paths: Sequence[bytes]) -> None:
    """Remove names that may be gone."""

def write_pieces(data: Buffer, pieces: Sequence[tuple[bytes, int, int, int, bool]]) -> None:
    """Put pieces of `data` into files: name, start, length, offset in the file, past the cache.

    Files that are not there are made. The whole pages of a long piece that lies in memory as in
    the pages of its file may go past the page cache; the rest goes through it, and all where the
    file system knows nothing else. Nothing is synced. OSError where one fails.
    """

def find(data: Buffer, wanted: Buffer, start: int = 0) -> int:
    """Where bytes are first found, from `start` on; -1 where they are not."""
