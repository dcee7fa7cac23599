"""An instance as a PS3.10 file to be served: as stored, the preamble zeroed.

A preamble may make a file something else besides DICOM (CVE-2019-11687); what is served never
is. Where the file has no preamble, no file meta or a wrong one, that is written anew and the
data set follows byte for byte. Objects that hold no pixels are rewritten where their transfer
syntax is not for the web.
"""

from __future__ import annotations

import io
import struct
import warnings

from ...codecs.errors import DicomError, ResourceError
from ...codecs.syntaxes import EXPLICIT_LE
from ..dicom.instance import Instance
from ..dicom.meta_writing import IMPLEMENTATION_CLASS_UID
from ..dicom.pydicom_faults import pydicom_faults
from ..dicom.tags import TRANSFER_SYNTAX_UID
from ..transfer.body import Segment
from .entry import Entry

__all__ = ["MAX_REWRITTEN_BYTES", "file_segments", "is_served_whole", "rewrite_explicit"]

MAX_REWRITTEN_BYTES = 256 << 20

_PREAMBLE = bytes(128)


def file_segments(entry: Entry) -> tuple[Segment, ...]:
    """The segments of the whole file, as it is to be served."""
    instance, size_bytes = entry.instance, entry.stamp.size_bytes
    layout = instance.layout
    if is_served_whole(entry):
        return (_PREAMBLE, entry.slice(128, size_bytes - 128))
    offset = layout.dataset_offset
    return (_PREAMBLE + b"DICM" + _file_meta(instance), entry.slice(offset, size_bytes - offset))


def is_served_whole(entry: Entry) -> bool:
    """Whether what is served is the file but for its preamble, so that ingest's digests hold."""
    instance = entry.instance
    return instance.layout.has_preamble and _declared(instance) == instance.transfer_syntax_uid


def rewrite_explicit(path: str) -> bytes:
    """A file without pixels, rewritten in Explicit VR Little Endian by pydicom.

    Raises
    ------
    DicomError
        It cannot be read or written so.
    ResourceError
        It is longer than `MAX_REWRITTEN_BYTES`.
    """
    from pydicom import dcmread
    from pydicom.uid import UID, ExplicitVRLittleEndian

    with open(path, "rb") as file:
        data = file.read(MAX_REWRITTEN_BYTES + 1)
    if len(data) > MAX_REWRITTEN_BYTES:
        raise ResourceError(f"more than {MAX_REWRITTEN_BYTES} bytes, too many to be rewritten")
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(io.BytesIO(data), force=True)
            dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.file_meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
            dataset.preamble = _PREAMBLE
            dataset.save_as(
                written, implicit_vr=False, little_endian=True, enforce_file_format=True
            )
        except pydicom_faults() as error:
            what = type(error).__name__  # its message may quote values of the patient
            raise DicomError(f"cannot be rewritten in {EXPLICIT_LE} ({what})") from error
    return written.getvalue()


def _declared(instance: Instance) -> str:
    return instance.text(TRANSFER_SYNTAX_UID)


def _file_meta(instance: Instance) -> bytes:
    """File Meta Information in Explicit VR Little Endian (PS3.10 §7.1)."""
    elements = struct.pack("<HH2sHI", 2, 1, b"OB", 0, 2) + b"\0\1"
    for element, uid in (
        (0x0002, instance.sop_class_uid),
        (0x0003, instance.sop_instance_uid),
        (0x0010, instance.transfer_syntax_uid),
        (0x0012, IMPLEMENTATION_CLASS_UID),
    ):
        value = uid.encode("ascii", "replace")
        value += b"\0" * (len(value) % 2)
        elements += struct.pack("<HH2sH", 2, element, b"UI", len(value)) + value
    return struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(elements)) + elements
