"""OpenJPH through ojph's low-level bindings: one codestream in, samples out, and back.

Knows nothing of DICOM. Always one tile, RPCL, TLM and a tile-part for each resolution on the
way out. On the way in every sample is clamped to its precision: OpenJPH alone wraps where a
wavelet overshoots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ojph.ojph_bindings import Codestream, MemInfile, MemOutfile, Point

from .errors import CodestreamError, ResourceError, UnsupportedError
from .pixels import Buffer, PixelArray

__all__ = ["read_codestream", "write_codestream"]

_BAND_ROWS = 16
"""Rows that are interleaved at a time: their samples stay in the first-level cache."""


class _Alias:
    """An array over the same memory that says it is writable.

    ojph takes no read-only arrays, though it only reads them; a copy of a CT frame would
    cost a quarter of its encoding.
    """

    def __init__(self, samples: PixelArray) -> None:
        self._samples = samples
        interface = dict(samples.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def write_codestream(
    samples: PixelArray,
    *,
    precision: int,
    decompositions: int,
    colour_transform: bool,
    step: float | None = None,
) -> bytes:
    """Encode one frame.

    Parameters
    ----------
    samples
        Shape ``(rows, columns)`` or ``(rows, columns, components)``, C-contiguous, of a native
        integer dtype of at most 32 bits; its kind is the sign of the components.
    precision
        Bits of each component; the samples must fit.
    colour_transform
        RCT (reversible) or ICT on the first three components.
    step
        The quantisation step of the irreversible transform as a fraction of full scale; None
        is reversible.
    """
    rows, columns = samples.shape[:2]
    components = samples.shape[2] if samples.ndim == 3 else 1
    out, codestream = MemOutfile(), Codestream()
    out.open(max(samples.nbytes, 65536), False)  # grown from less, it would be copied
    try:
        siz, cod = codestream.access_siz(), codestream.access_cod()
        siz.set_image_extent(Point(columns, rows))
        siz.set_num_components(components)
        for component in range(components):
            siz.set_component(component, Point(1, 1), precision, samples.dtype.kind == "i")
        cod.set_progression_order("RPCL")
        cod.set_num_decomposition(decompositions)
        cod.set_color_transform(colour_transform)
        cod.set_reversible(step is None)
        if step is not None:
            codestream.access_qcd().set_irrev_quant(step)
        codestream.set_planar(components > 1 and not colour_transform)
        codestream.set_tilepart_divisions(True, False)
        codestream.request_tlm_marker(True)
        codestream.write_headers(out, None, 0)
        _push(codestream, samples, colour_transform=colour_transform)
        codestream.flush()
        return bytes(out.get_data())
    finally:
        codestream.close()
        out.close()


def read_codestream(
    data: Buffer,
    *,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    limits: tuple[int, int],
    colour_transform: bool,
    reduce: int = 0,
) -> PixelArray:
    """Decode one codestream whose headers have been checked and which is complete.

    Parameters
    ----------
    shape
        What `reduce` leaves of the image.
    dtype
        An integer dtype of the components' sign that holds their precision.
    limits
        The least and the greatest sample; others are clamped.

    Raises
    ------
    CodestreamError
        OpenJPH refuses it, or reads another size from it.
    UnsupportedError
        The main header asks for something that OpenJPH lacks.
    ResourceError
        No memory for the image.
    """
    source, codestream = MemInfile(), Codestream()
    source.open(np.frombuffer(data, dtype=np.uint8))
    try:
        _read_headers(codestream, source)
        codestream.restrict_input_resolution(reduce, reduce)
        components = shape[2] if len(shape) == 3 else 1
        siz = codestream.access_siz()
        for component in range(components):
            found = siz.get_recon_height(component), siz.get_recon_width(component)
            if found != shape[:2]:
                raise CodestreamError(f"component {component} is {found}, expected {shape[:2]}")
        codestream.set_planar(components > 1 and not colour_transform)
        codestream.create()
        # uint32 has no clamp: its limits do not fit OpenJPH's int32, and need none.
        clamp = limits if limits[1] < 1 << 31 else (None, None)
        out = np.empty(shape, dtype=dtype)
        _pull(codestream, out, clamp=clamp, colour_transform=colour_transform)
        return out
    except (RuntimeError, ValueError) as error:
        raise CodestreamError(f"OpenJPH cannot decode the codestream: {error}") from error
    except MemoryError as error:
        raise ResourceError(f"no memory for a decoded image of {shape}") from error
    finally:
        codestream.close()
        source.close()


def _read_headers(codestream: Codestream, source: MemInfile) -> None:
    """Read headers that `_native.scan` found good: what OpenJPH refuses there it lacks."""
    try:
        codestream.read_headers(source)
    except RuntimeError as error:
        raise UnsupportedError(
            f"OpenJPH does not read this main header: {error}", feature="HTJ2K by OpenJPH"
        ) from error


def _push(codestream: Codestream, samples: PixelArray, *, colour_transform: bool) -> None:
    if samples.ndim == 2:
        codestream.push_all_components(_writable(samples), 1, "HW")
    elif not colour_transform:
        codestream.push_all_components(_writable(samples), samples.shape[2], "HWC")
    else:
        # A component transform takes its lines by turns, one of each component, which the
        # binding does for a one-component image of interleaved lines.
        for top in range(0, samples.shape[0], _BAND_ROWS):
            lines = samples[top : top + _BAND_ROWS].transpose(0, 2, 1)
            band = np.ascontiguousarray(lines).reshape(-1, samples.shape[1])
            codestream.push_all_components(band, 1, "HW")


def _pull(
    codestream: Codestream,
    out: PixelArray,
    *,
    clamp: tuple[int | None, int | None],
    colour_transform: bool,
) -> None:
    if out.ndim == 2:
        codestream.pull_all_components(out, 1, "HW", *clamp)
    elif not colour_transform:
        codestream.pull_all_components(out, out.shape[2], "HWC", *clamp)
    else:
        rows, columns, components = out.shape
        lines = np.empty((min(_BAND_ROWS, rows), components, columns), dtype=out.dtype)
        for top in range(0, rows, _BAND_ROWS):
            band = lines[: rows - top]
            codestream.pull_all_components(band.reshape(-1, columns), 1, "HW", *clamp)
            # Plane by plane: numpy takes five times as long over the transposed whole.
            for component in range(components):
                out[top : top + _BAND_ROWS, :, component] = band[:, component]


def _writable(samples: PixelArray) -> PixelArray:
    return samples if samples.flags.writeable else np.asarray(_Alias(samples))
