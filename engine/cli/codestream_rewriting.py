"""What ``mersey codestream progressive``, ``reduce``, ``truncate`` and ``reorder`` do.

Reads a file, rewrites its codestream without decoding it, and says what came of it. Never
writes; the commands do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...codecs.codestream import CodestreamLayout, scan_codestream
from ...codecs.errors import FormatError, UnsupportedError
from ..runtime.source_file import SourceFile

__all__ = ["SUFFIXES", "Rewritten", "read_stream", "rewrite_file"]

SUFFIXES = (".j2k", ".j2c", ".jpc", ".jhc")
"""Of files that hold a bare codestream; .jp2 and .jph ones have boxes around it."""

_LARGEST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A bare codestream, and what it is."""

    data: bytes
    description: str


def read_stream(path: Path) -> bytes:
    """The bytes of a file that may hold a codestream.

    Raises
    ------
    UnsupportedError
        It is larger than what is taken into memory.
    """
    with SourceFile(path) as file:
        if file.size_bytes > _LARGEST_BYTES:
            raise UnsupportedError(
                f"a codestream of {file.size_bytes} bytes, at most {_LARGEST_BYTES}",
                feature="codestreams over 1 GiB",
            )
        return file.read_at(0, file.size_bytes)


def rewrite_file(path: Path, rewrite: Callable[[bytes], bytes]) -> Rewritten:
    """What `rewrite` makes of the codestream in the file `path`.

    Raises
    ------
    CodestreamError
        The file holds no codestream, or a broken one; ``source`` is the path.
    UnsupportedError, UsageError
        As `rewrite` has it.
    """
    stored = read_stream(path)
    try:
        data = rewrite(stored)
    except FormatError as error:
        error.source = error.source or str(path)
        raise
    return Rewritten(data, _description(scan_codestream(data)))


def _description(layout: CodestreamLayout) -> str:
    kind = "HTJ2K" if layout.ht else "J2K"
    levels = "1 level" if layout.decompositions == 0 else f"{layout.decompositions + 1} levels"
    layers = "1 layer" if layout.layers == 1 else f"{layout.layers} layers"
    return f"{kind}, {layout.width} x {layout.height}, {layout.progression}, {levels}, {layers}"
