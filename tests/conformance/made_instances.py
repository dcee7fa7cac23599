"""Instances made of a few attributes, as ingest would hand them to a catalogue; no files."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping
from typing import Any

import zstandard
from mersey.engine.archive.blobs import PLAIN
from mersey.engine.archive.stored import StoredInstance
from mersey.engine.dicom.element import Element
from mersey.engine.dicom.instance import Instance, Layout

__all__ = ["make_instance", "make_stored"]

_TEXTS = {
    "PatientName": (0x00100010, "PN"),
    "PatientID": (0x00100020, "LO"),
    "PatientBirthDate": (0x00100030, "DA"),
    "PatientSex": (0x00100040, "CS"),
    "StudyDate": (0x00080020, "DA"),
    "StudyTime": (0x00080030, "TM"),
    "AccessionNumber": (0x00080050, "SH"),
    "StudyID": (0x00200010, "SH"),
    "StudyDescription": (0x00081030, "LO"),
    "ReferringPhysicianName": (0x00080090, "PN"),
    "Modality": (0x00080060, "CS"),
    "SeriesNumber": (0x00200011, "IS"),
    "SeriesDescription": (0x0008103E, "LO"),
    "InstanceNumber": (0x00200013, "IS"),
}


def make_instance(
    uid: str, *, series: str = "1.2.1", study: str = "1.2", **values: str
) -> Instance:
    """A CT image of 512²; `values` by keyword as text."""
    texts = {"Modality": "CT", "PatientName": "Doe^Jane", "PatientID": "P1", **values}
    found = {0x00080005: Element(0x00080005, "CS", b"ISO_IR 192")}
    for keyword, text in texts.items():
        tag, vr = _TEXTS[keyword]
        found[tag] = Element(tag, vr, text.encode())
    for tag, number in ((0x00280010, 512), (0x00280011, 512), (0x00280100, 16)):
        found[tag] = Element(tag, "US", number.to_bytes(2, "little"))
    for tag, text in ((0x00080016, "1.2.840.10008.5.1.4.1.1.2"), (0x00080018, uid)):
        found[tag] = Element(tag, "UI", text.encode())
    layout = Layout(True, 300, True, True, False, 524_288)
    return Instance(
        "1.2.840.10008.5.1.4.1.1.2",
        uid,
        study,
        series,
        "1.2.840.10008.1.2.1",
        layout,
        dict(sorted(found.items())),
    )


def make_stored(
    uid: str,
    *,
    content: str = "",
    ending: str = PLAIN,
    metadata: Mapping[str, Any] | None = None,
    **values: str,
) -> StoredInstance:
    """An instance whose blob holds `content`, other than any of another UID or content."""
    data = f"{uid}|{content}".encode()
    digest = hashlib.sha256(data).hexdigest()
    text = json.dumps(dict(metadata or {})).encode()
    return StoredInstance(
        make_instance(uid, **values),
        blob_key=digest + ending,
        size_bytes=len(data),
        sha256=digest,
        served_sha256=hashlib.sha256(b"served" + data).hexdigest(),
        served_crc32=zlib.crc32(data),
        metadata=zstandard.ZstdCompressor().compress(text),
    )
