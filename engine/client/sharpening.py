"""A series as arrays that sharpen: every frame at full size, blocks at first, pixels at last.

`reductions` says of each frame how sharp it is, so that a low resolution never passes for the
whole. Makes room and puts images there; fetches and decodes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...codecs.errors import ResourceError, UnsupportedError
from ...codecs.pixels import PixelArray, PixelFormat
from ...codecs.reduction import reduced_size
from ...codecs.registry import Registry
from ..transfer.series_description import DescribedInstance, SeriesDescription

__all__ = ["SharpeningSeries"]


class SharpeningSeries:
    """The frames of `description`, halved `reduce` times, none of them there yet.

    Raises
    ------
    ResourceError
        They take more than `most_bytes`.
    UnsupportedError
        Their transfer syntax cannot be decoded here.
    """

    def __init__(self, description: SeriesDescription, *, most_bytes: int, reduce: int = 0) -> None:
        self.description = description
        self.reduce = reduce
        self.reductions = np.full(description.frame_count, -1, np.int8)
        self._arrays: dict[tuple[tuple[int, ...], str], PixelArray] = {}
        self._places: list[tuple[PixelArray, int]] = []
        self._instances: list[DescribedInstance] = []
        shapes = [_shape(instance, reduce) for instance in description.instances]
        counts: dict[tuple[tuple[int, ...], str], int] = {}
        for instance, kind in zip(description.instances, shapes, strict=True):
            counts[kind] = counts.get(kind, 0) + instance.frame_count
        size = sum(
            count * int(np.prod(shape)) * np.dtype(dtype).itemsize
            for (shape, dtype), count in counts.items()
        )
        if size > most_bytes:
            raise ResourceError(f"the frames take {size} bytes, at most {most_bytes} are allowed")
        for (shape, dtype), count in counts.items():
            self._arrays[shape, dtype] = np.zeros((count, *shape), dtype)
        filled = dict.fromkeys(counts, 0)
        for instance, kind in zip(description.instances, shapes, strict=True):
            for _ in range(instance.frame_count):
                self._places.append((self._arrays[kind], filled[kind]))
                self._instances.append(instance)
                filled[kind] += 1

    @property
    def volume(self) -> PixelArray:
        """All frames, ``(frames, rows, columns)``, with samples behind where there are several.

        Raises
        ------
        UnsupportedError
            They are not of one size: take :meth:`frame`.
        """
        if len(self._arrays) != 1:
            raise UnsupportedError(
                f"the frames are of {len(self._arrays)} sizes and make no volume",
                feature="a volume of frames of several sizes",
            )
        return next(iter(self._arrays.values()))

    def frame(self, index: int) -> PixelArray:
        """The frame at `index` as it is now: a view, ``(rows, columns[, samples])``."""
        array, place = self._places[index]
        view: PixelArray = array[place]
        return view

    def instance_of(self, index: int) -> DescribedInstance:
        """The instance that has the frame at `index`."""
        return self._instances[index]

    def place(self, index: int, image: PixelArray, *, reduction: int) -> bool:
        """Put the image of a frame at `reduction` where it belongs; False where it is no better.

        `image` has the dtype of the frame, and its shape halved as often as it is more reduced.
        """
        before = int(self.reductions[index])
        if 0 <= before <= reduction:
            return False
        _spread(image, self.frame(index), factor=1 << (reduction - self.reduce))
        self.reductions[index] = reduction
        return True


def _shape(instance: DescribedInstance, reduce: int) -> tuple[tuple[int, ...], str]:
    decoder = Registry.default().decoder(instance.transfer_syntax_uid)
    pixels: PixelFormat = decoder.decoded_format(instance.pixels)
    sides: Sequence[int] = [reduced_size(side, reduce=reduce) for side in pixels.shape[:2]]
    return (*sides, *pixels.shape[2:]), pixels.dtype.str


def _spread(image: PixelArray, out: PixelArray, *, factor: int) -> None:
    """Each sample of `image` over a square of `factor` samples of `out`, cut at its edges."""
    if factor == 1:
        out[:] = image
        return
    rows, columns = image.shape[:2]
    if out.shape[:2] == (rows * factor, columns * factor):
        blocks = out.reshape(rows, factor, columns, factor, *out.shape[2:])
        blocks[:] = image[:, None, :, None]
        return
    wide = np.repeat(image, factor, axis=1)[:, : out.shape[1]]
    out[:] = np.repeat(wide, factor, axis=0)[: out.shape[0]]
