"""A PS3.10 file made of metadata in DICOM JSON and the bulk data it points to.

`assemble` runs wherever an Executor takes it: pydicom reads the JSON and writes the file.

References
----------
DICOM PS3.18 §8.6.1.2.2 (metadata and bulk data), §8.7.3 (media types), Annex F; PS3.5 Annex A.4
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...codecs.errors import DicomError, MerseyError, ResourceError
from ...codecs.syntaxes import EXPLICIT_LE
from ..dicom.meta_writing import IMPLEMENTATION_CLASS_UID
from ..dicom.pydicom_faults import pydicom_faults

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["MAX_ASSEMBLED_BYTES", "BulkFile", "assemble", "syntax_of_media"]

MAX_ASSEMBLED_BYTES = 384 << 20
"""Bulk data of one instance; it is in memory twice while the file is written."""

_PIXEL_DATA = 0x7FE00010
_MAX_DEPTH = 64
_DEFAULT_SYNTAX = {
    "application/octet-stream": EXPLICIT_LE,
    "image/jpeg": "1.2.840.10008.1.2.4.70",
    "image/jls": "1.2.840.10008.1.2.4.80",
    "image/x-jls": "1.2.840.10008.1.2.4.80",
    "image/jp2": "1.2.840.10008.1.2.4.90",
    "image/jpx": "1.2.840.10008.1.2.4.92",
    "image/jphc": "1.2.840.10008.1.2.4.201",
    "image/jxl": "1.2.840.10008.1.2.4.110",
    "image/dicom-rle": "1.2.840.10008.1.2.5",
    "image/x-dicom-rle": "1.2.840.10008.1.2.5",
    "video/mpeg2": "1.2.840.10008.1.2.4.100",
    "video/mpeg": "1.2.840.10008.1.2.4.100",
    "video/mp4": "1.2.840.10008.1.2.4.102",
    "video/h265": "1.2.840.10008.1.2.4.107",
}


@dataclass(frozen=True, slots=True)
class BulkFile:
    """A local file with the bytes of one bulk data part, in transfer syntax `syntax_uid`."""

    path: str
    size_bytes: int
    syntax_uid: str


def syntax_of_media(media_type: str, transfer_syntax: str | None) -> str:
    """The transfer syntax of a bulk data part: as it says, or its media type's default."""
    return transfer_syntax or _DEFAULT_SYNTAX.get(media_type, EXPLICIT_LE)


def assemble(members: str, bulk: Mapping[str, Sequence[BulkFile]], target: str) -> None:
    """Write the instance whose DICOM JSON is `members` as a PS3.10 file at `target`.

    Parameters
    ----------
    bulk
        By BulkDataURI. Of Pixel Data that is compressed, several files are its frames in order.

    Raises
    ------
    DicomError
        The JSON is no data set, or points to bulk data that is not in `bulk`.
    ResourceError
        It holds more than `MAX_ASSEMBLED_BYTES`, or cannot be written.
    """
    try:
        _assemble(json.loads(members), bulk, target)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(target)
        raise


def _assemble(model: Any, bulk: Mapping[str, Sequence[BulkFile]], target: str) -> None:
    wanted = [file for uri in _uris(model, 0) for file in bulk.get(uri, ())]
    total = sum(file.size_bytes for file in wanted)
    if total > MAX_ASSEMBLED_BYTES:
        raise ResourceError(f"{total} bytes of bulk data, at most {MAX_ASSEMBLED_BYTES} are taken")
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            meta = {tag: model.pop(tag) for tag in list(model) if tag.startswith("0002")}
            pixels = _pixel_files(model, bulk)
            dataset = Dataset.from_json(model, lambda _tag, _vr, uri: _read(bulk, uri))
            syntax = pixels[0].syntax_uid if pixels else _stated_syntax(meta)
            dataset.file_meta = FileMetaDataset()
            dataset.file_meta.TransferSyntaxUID = UID(syntax)
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
            if pixels:
                _put_pixels(dataset, pixels, encapsulated=UID(syntax).is_encapsulated)
            dataset.save_as(target, implicit_vr=False, little_endian=True, enforce_file_format=True)
        except MerseyError:
            raise
        except pydicom_faults() as error:
            what = type(error).__name__  # its message may quote values of the patient
            raise DicomError(f"no PS3.10 file can be made of the metadata ({what})") from error


def _uris(model: Any, depth: int) -> list[str]:
    """Every BulkDataURI of a data set and its items."""
    if not isinstance(model, dict) or depth > _MAX_DEPTH:
        raise DicomError("the metadata is no data set in DICOM JSON")
    found = []
    for member in model.values():
        if not isinstance(member, dict):
            raise DicomError("the metadata is no data set in DICOM JSON")
        if isinstance(uri := member.get("BulkDataURI"), str):
            found.append(uri)
        if member.get("vr") == "SQ" and isinstance(items := member.get("Value"), list):
            for item in items:
                found += _uris(item, depth + 1)
    return found


def _pixel_files(model: dict[str, Any], bulk: Mapping[str, Sequence[BulkFile]]) -> list[BulkFile]:
    """Take Pixel Data out of the model, where it is bulk data."""
    member = model.get(f"{_PIXEL_DATA:08X}")
    if member is None or "BulkDataURI" not in member:
        return []
    del model[f"{_PIXEL_DATA:08X}"]
    files = list(bulk.get(member["BulkDataURI"], ()))
    if not files:
        raise DicomError("the bulk data of its Pixel Data did not come", tag=_PIXEL_DATA)
    return files


def _put_pixels(dataset: Dataset, files: Sequence[BulkFile], *, encapsulated: bool) -> None:
    from pydicom.encaps import encapsulate

    frames = [_content(file) for file in files]
    if encapsulated:
        dataset.PixelData = encapsulate(frames)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        return
    data = b"".join(frames)
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 else "OB"


def _read(bulk: Mapping[str, Sequence[BulkFile]], uri: str) -> bytes:
    files = bulk.get(uri)
    if not files:
        raise DicomError("bulk data that its metadata points to did not come")
    data = b"".join(map(_content, files))
    return data + b"\0" * (len(data) % 2)


def _content(file: BulkFile) -> bytes:
    with open(file.path, "rb") as source:
        return source.read(MAX_ASSEMBLED_BYTES)


def _stated_syntax(meta: Mapping[str, Any]) -> str:
    """The transfer syntax of a data set without pixels in bulk: explicit, whatever it says.

    What was encapsulated cannot be in JSON, and the file is written anew.
    """
    value = meta.get("00020010", {}).get("Value")
    deflated = "1.2.840.10008.1.2.1.99"
    return deflated if value == [deflated] else EXPLICIT_LE
