"""The whole data set of an instance as DICOM JSON, without its bulk data (PS3.18 Annex F).

Made by pydicom, once; `make_metadata` is a pure function of a file and runs wherever an
Executor takes it. Values that do not fit are left out, as their attribute's vr alone. Where
bulk data lies is written as `BULK_PREFIX` and a path of tags and item numbers, for the server
to put its own address before.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import zstandard
from mersey.codecs.errors import DicomError
from mersey.engine.dicom.instance import Layout
from mersey.engine.dicom.tags import PIXEL_DATA_TAGS

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

__all__ = [
    "BULK_PREFIX",
    "INLINE_BYTES",
    "make_metadata",
    "open_dataset",
]

BULK_PREFIX = "mersey-bulk:"
INLINE_BYTES = 1024
"""Longer binary values are bulk data."""

_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_MAX_DEPTH = 64
# What pydicom raises on values that break their VR; some of it on purpose, some not.
_BAD_VALUE = (
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    OSError,
)


def make_metadata(path: str, layout: Layout) -> bytes:
    """The metadata of the instance in a file: one JSON object, compressed with zstd.

    Raises
    ------
    DicomError
        The file cannot be read as a data set.
    """
    dataset = open_dataset(path, layout)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        members = dict(_members(dataset, "", 0))
    text = json.dumps(members, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    data = text.encode("utf-8", "replace")
    return zstandard.ZstdCompressor(level=6).compress(data)


def open_dataset(path: str, layout: Layout) -> Dataset:
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
        except (*_BAD_VALUE, EOFError) as error:
            raise DicomError(f"the data set cannot be read: {error}") from error
    if layout.pixel_tag is not None:
        _note_pixel_data(dataset, layout.pixel_tag)
    return dataset


def _note_pixel_data(dataset: Dataset, tag: int) -> None:
    from pydicom.dataelem import DataElement

    vr = {0x7FE00008: "OF", 0x7FE00009: "OD"}.get(tag, "OW")
    dataset.add(DataElement(tag, vr, b"", already_converted=True))


def _members(dataset: Dataset, path: str, depth: int) -> Iterator[tuple[str, dict[str, Any]]]:
    for tag in sorted(dataset.keys()):
        if tag.group <= 2 and not path:
            continue
        name = f"{tag:08X}"
        place = f"{path}/{name}" if path else name
        try:
            element = dataset[tag]
        except _BAD_VALUE:
            yield name, {"vr": "UN"}
            continue
        yield name, _json_element(element, place, depth)


def _json_element(element: DataElement, place: str, depth: int) -> dict[str, Any]:
    if element.tag in PIXEL_DATA_TAGS and "/" not in place:
        return {"vr": element.VR, "BulkDataURI": BULK_PREFIX + place}
    if element.VR == "SQ":
        if depth >= _MAX_DEPTH:
            return {"vr": "SQ"}
        items = [
            dict(_members(item, f"{place}/{number}", depth + 1))
            for number, item in enumerate(element.value or ())
        ]
        return {"vr": "SQ", "Value": items} if items else {"vr": "SQ"}
    value = element.value
    if element.VR in _BINARY and isinstance(value, bytes) and len(value) > INLINE_BYTES:
        return {"vr": element.VR, "BulkDataURI": BULK_PREFIX + place}
    try:
        found: dict[str, Any] = element.to_json_dict(None, 1 << 62)
        return _finite(found)
    except _BAD_VALUE:
        return {"vr": str(element.VR)[:2]}


def _finite(found: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinities and no NaN: they become null."""
    values = found.get("Value")
    if isinstance(values, list) and any(
        isinstance(value, float) and not math.isfinite(value) for value in values
    ):
        found["Value"] = [
            None if isinstance(value, float) and not math.isfinite(value) else value
            for value in values
        ]
    return found
