"""One value of a data set, found by its path of tags and item numbers.

`find_bulk` is a pure function of a file and a path, which runs wherever an Executor takes it.
Values are little-endian, as the web's are.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...codecs.errors import DicomError, ResourceError, UsageError
from ..dicom.instance import Layout
from ..dicom.json_reading import bulk_span
from ..dicom.pydicom_faults import pydicom_faults
from ..transfer.body import FileSlice
from .metadata import reader_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["find_bulk", "parse_bulk_path"]

MAX_VALUE_BYTES = 1 << 28
_MAX_STEPS = 129
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_ITEM = re.compile(r"\d{1,9}")
_WIDTHS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}


def parse_bulk_path(text: str) -> tuple[int, ...]:
    """Parse ``00540016/0/00181072``: tag, item counted from 0, tag, and so on.

    Raises
    ------
    UsageError
        It is no such path.
    """
    steps = text.split("/", _MAX_STEPS)
    forms = [_ITEM if index % 2 else _TAG for index in range(len(steps))]
    good = all(form.fullmatch(step) for form, step in zip(forms, steps, strict=True))
    if not good or len(steps) % 2 == 0 or len(steps) > _MAX_STEPS:
        raise UsageError("no path of tags and items, as in 00540016/0/00181072")
    return tuple(int(step, 10 if index % 2 else 16) for index, step in enumerate(steps))


def find_bulk(path: str, layout: Layout, steps: tuple[int, ...]) -> bytes | FileSlice | None:
    """The value at `steps`: where it lies in the file, or its bytes; None where there is none.

    A top-level value that is stored as it is served comes as a slice (without stamp), for the
    caller to check that the file is still the one it means.

    Raises
    ------
    DicomError
        The file cannot be read as a data set.
    ResourceError
        The value is too long to be held in memory.
    """
    if len(steps) == 1:
        try:
            with open(path, "rb", buffering=0) as file:
                span = bulk_span(reader_of(file), layout, steps[0])
        except OSError as error:
            raise DicomError(f"the file cannot be read: {error.strerror}") from error
        if span is not None:
            return FileSlice(path, *span)
    dataset = _open_dataset(path, layout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for sequence, number in zip(steps[:-1:2], steps[1::2], strict=True):
            items = _items(dataset, sequence)
            if number >= len(items):
                return None
            dataset = items[number]
        tag = steps[-1]
        if tag not in dataset:
            return None
        raw = dataset.get_item(tag)
        element = dataset[tag]
    value = element.value
    if not isinstance(value, bytes):
        return None
    if len(steps) == 1 and not layout.deflated and layout.little_endian:
        offset = getattr(raw, "value_tell", 0)
        if offset:
            return FileSlice(path, offset, len(value))
    if len(value) > MAX_VALUE_BYTES:
        raise ResourceError(f"a value of {len(value)} bytes, at most {MAX_VALUE_BYTES} are held")
    width = _WIDTHS.get(element.VR, 1)
    if not layout.little_endian and width > 1:
        return np.frombuffer(value[: len(value) // width * width], f"u{width}").byteswap().tobytes()
    return value


def _items(dataset: Dataset, tag: int) -> Sequence[Dataset]:
    if tag not in dataset or dataset[tag].VR != "SQ":
        return ()
    items: Sequence[Dataset] = dataset[tag].value or ()
    return items


def _open_dataset(path: str, layout: Layout) -> Dataset:
    """The data set of a file without its Pixel Data, as pydicom reads it.

    Raises
    ------
    DicomError
        It cannot.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_dataset

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset: Dataset = dcmread(path, stop_before_pixels=True, force=True)
            end = layout.end_offset
            if end is not None and end < layout.size_bytes and not layout.deflated:
                with open(path, "rb") as file:
                    file.seek(end)
                    trailing = read_dataset(file, not layout.explicit_vr, layout.little_endian)
                for tag in trailing.keys():  # noqa: SIM118  values() would read every value
                    dataset._dict[tag] = trailing.get_item(tag)
        except pydicom_faults() as error:
            raise DicomError(f"the data set cannot be read: {error}") from error
    if layout.pixel_tag is not None:
        _note_pixel_data(dataset, layout.pixel_tag)
    return dataset


def _note_pixel_data(dataset: Dataset, tag: int) -> None:
    from pydicom.dataelem import DataElement

    vr = {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(tag, "OW")
    dataset.add(DataElement(tag, vr, b"", already_converted=True))
