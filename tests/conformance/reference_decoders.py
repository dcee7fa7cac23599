"""What OpenJPEG and OpenJPH make of a codestream, component by component.

OpenJPEG comes by imagecodecs, which is quick but refuses sub-sampled components and rounds the
size of a reduced image with an offset otherwise than ISO/IEC 15444-1 B.5; and as opj_decompress,
which does neither, where that is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
from mersey.codecs.codestream import scan_codestream
from mersey.codecs.pixels import PixelArray

__all__ = ["HAS_OPJ_DECOMPRESS", "Planes", "by_openjpeg", "by_openjpeg_tool", "by_openjph", "same"]

HAS_OPJ_DECOMPRESS = shutil.which("opj_decompress") is not None

type Planes = tuple[PixelArray, ...]


def by_openjpeg(data: bytes, reduce: int = 0) -> Planes | None:
    """A plane for each component; None where OpenJPEG does not decode it."""
    layout = scan_codestream(data)
    simple = set(layout.subsampling) == {(1, 1)} and layout.image_area[:2] == (0, 0)
    if simple:
        try:
            return _planes(imagecodecs.jpeg2k_decode(data, skipres=reduce))
        except (imagecodecs.Jpeg2kError, NotImplementedError, ValueError):
            pass
    return by_openjpeg_tool(data, reduce)


def by_openjpeg_tool(data: bytes, reduce: int = 0) -> Planes | None:
    """The same by opj_decompress; None too where that is not installed."""
    if not HAS_OPJ_DECOMPRESS:
        return None
    layout = scan_codestream(data)
    if layout.components == 3 and not layout.colour_transform:
        # All three together it would turn to RGB where they are sub-sampled.
        planes = [_by_tool(data, reduce, "-c", str(index)) for index in range(3)]
        return tuple(plane[0] for plane in planes if plane) if all(planes) else None
    return _by_tool(data, reduce)


def _by_tool(data: bytes, reduce: int, *options: str) -> Planes | None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in.j2k"
        source.write_bytes(data)
        command = ["opj_decompress", "-i", source, "-o", Path(folder) / "out.pgx"]
        done = subprocess.run([*command, "-r", str(reduce), *options], capture_output=True)
        made = sorted(Path(folder).glob("out*.pgx"), key=_number)
        if done.returncode != 0 or not made:
            return None
        return tuple(_read_pgx(path) for path in made)


def by_openjph(data: bytes, reduce: int = 0) -> Planes | None:
    """The same by OpenJPH, which reads HTJ2K only; samples out of range wrap, the same always."""
    try:
        planes = imagecodecs.htj2k_decode(data, skipres=reduce)
    except (imagecodecs.Htj2kError, NotImplementedError, ValueError):
        return None
    return _planes(planes)


def same(ours: Planes | None, theirs: Planes | None) -> bool:
    """Whether both were decoded, to equal samples."""
    return (
        ours is not None
        and theirs is not None
        and len(ours) == len(theirs)
        and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    )


def _planes(samples: PixelArray) -> Planes:
    if samples.ndim == 2:
        return (samples,)
    return tuple(np.moveaxis(samples, -1, 0))


def _number(path: Path) -> int:
    digits = path.stem.rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def _read_pgx(path: Path) -> PixelArray:
    """``PG ML + 12 640 480`` and the samples, most significant byte first."""
    head, _, body = path.read_bytes().partition(b"\n")
    order, sign, bits, width, height = head.split()[1:]
    size = 1 if int(bits) <= 8 else 2 if int(bits) <= 16 else 4
    kind = f"{'>' if order == b'ML' else '<'}{'u' if sign == b'+' else 'i'}{size}"
    return np.frombuffer(body, kind).reshape(int(height), int(width))
