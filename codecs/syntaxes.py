"""The transfer syntaxes of DICOM that hold images (PS3.5 §10, PS3.6 Annex A).

A table and nothing else: what a syntax is called, how its data set is encoded, how its
pixels are. Which of them can be decoded or encoded here is the Registry's to say.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "DEFLATED_EXPLICIT_LE",
    "DEFLATED_FRAME",
    "EXPLICIT_BE",
    "EXPLICIT_LE",
    "HTJ2K",
    "HTJ2K_LOSSLESS",
    "HTJ2K_LOSSLESS_RPCL",
    "IMPLICIT_LE",
    "J2K",
    "J2K_LOSSLESS",
    "J2K_PART_2",
    "J2K_PART_2_LOSSLESS",
    "JPEG_BASELINE",
    "JPEG_LOSSLESS_SV1",
    "JPEG_LS",
    "JPEG_LS_LOSSLESS",
    "JPEG_XL",
    "JPEG_XL_JPEG",
    "JPEG_XL_LOSSLESS",
    "RLE",
    "SYNTAXES",
    "TransferSyntax",
    "transfer_syntax",
]

EXPLICIT_LE = "1.2.840.10008.1.2.1"
EXPLICIT_BE = "1.2.840.10008.1.2.2"
IMPLICIT_LE = "1.2.840.10008.1.2"
DEFLATED_EXPLICIT_LE = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"
J2K_LOSSLESS = "1.2.840.10008.1.2.4.90"
J2K = "1.2.840.10008.1.2.4.91"
J2K_PART_2_LOSSLESS = "1.2.840.10008.1.2.4.92"
J2K_PART_2 = "1.2.840.10008.1.2.4.93"
HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.201"
HTJ2K_LOSSLESS_RPCL = "1.2.840.10008.1.2.4.202"
HTJ2K = "1.2.840.10008.1.2.4.203"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"
JPEG_LS_LOSSLESS = "1.2.840.10008.1.2.4.80"
JPEG_LS = "1.2.840.10008.1.2.4.81"
JPEG_XL_LOSSLESS = "1.2.840.10008.1.2.4.110"
JPEG_XL_JPEG = "1.2.840.10008.1.2.4.111"
JPEG_XL = "1.2.840.10008.1.2.4.112"


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """One row of the table.

    `encapsulated` says that frames are fragments (PS3.5 §A.4); `lossless` that the syntax
    cannot hold anything else, None that the sender chooses; `video` that frames cannot be
    told apart without a video decoder.
    """

    uid: str
    name: str
    encapsulated: bool = True
    explicit_vr: bool = True
    little_endian: bool = True
    deflated: bool = False
    lossless: bool | None = True
    video: bool = False


_JPEG_RETIRED = {
    52: "JPEG Extended (Process 3 & 5)",
    53: "JPEG Spectral Selection, Non-Hierarchical (Process 6 & 8)",
    54: "JPEG Spectral Selection, Non-Hierarchical (Process 7 & 9)",
    55: "JPEG Full Progression, Non-Hierarchical (Process 10 & 12)",
    56: "JPEG Full Progression, Non-Hierarchical (Process 11 & 13)",
}
_VIDEO = {
    "100": "MPEG2 Main Profile / Main Level",
    "100.1": "Fragmentable MPEG2 Main Profile / Main Level",
    "101": "MPEG2 Main Profile / High Level",
    "101.1": "Fragmentable MPEG2 Main Profile / High Level",
    "102": "MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "102.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.1",
    "103": "MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "103.1": "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile / Level 4.1",
    "104": "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "104.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 2D Video",
    "105": "MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "105.1": "Fragmentable MPEG-4 AVC/H.264 High Profile / Level 4.2 For 3D Video",
    "106": "MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "106.1": "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile / Level 4.2",
    "107": "HEVC/H.265 Main Profile / Level 5.1",
    "108": "HEVC/H.265 Main 10 Profile / Level 5.1",
}
_JPEG_UID = "1.2.840.10008.1.2.4."

_TABLE = (
    TransferSyntax(IMPLICIT_LE, "Implicit VR Little Endian", encapsulated=False, explicit_vr=False),
    TransferSyntax(EXPLICIT_LE, "Explicit VR Little Endian", encapsulated=False),
    TransferSyntax(
        DEFLATED_EXPLICIT_LE,
        "Deflated Explicit VR Little Endian",
        encapsulated=False,
        deflated=True,
    ),
    TransferSyntax(
        EXPLICIT_BE, "Explicit VR Big Endian (Retired)", encapsulated=False, little_endian=False
    ),
    TransferSyntax(DEFLATED_FRAME, "Deflated Image Frame Compression"),
    TransferSyntax(RLE, "RLE Lossless"),
    TransferSyntax(JPEG_BASELINE, "JPEG Baseline (Process 1)", lossless=False),
    TransferSyntax(_JPEG_UID + "51", "JPEG Extended (Process 2 & 4)", lossless=False),
    *(
        TransferSyntax(f"{_JPEG_UID}{number}", f"{name} (Retired)", lossless=False)
        for number, name in _JPEG_RETIRED.items()
    ),
    TransferSyntax(_JPEG_UID + "57", "JPEG Lossless, Non-Hierarchical (Process 14)"),
    TransferSyntax(
        JPEG_LOSSLESS_SV1,
        "JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 SV1)",
    ),
    TransferSyntax(JPEG_LS_LOSSLESS, "JPEG-LS Lossless"),
    TransferSyntax(JPEG_LS, "JPEG-LS Lossy (Near-Lossless)", lossless=None),
    TransferSyntax(J2K_LOSSLESS, "JPEG 2000 (Lossless Only)"),
    TransferSyntax(J2K, "JPEG 2000", lossless=None),
    TransferSyntax(J2K_PART_2_LOSSLESS, "JPEG 2000 Part 2 Multi-component (Lossless Only)"),
    TransferSyntax(J2K_PART_2, "JPEG 2000 Part 2 Multi-component", lossless=None),
    TransferSyntax(JPEG_XL_LOSSLESS, "JPEG XL Lossless"),
    TransferSyntax(JPEG_XL_JPEG, "JPEG XL JPEG Recompression", lossless=False),
    TransferSyntax(JPEG_XL, "JPEG XL", lossless=None),
    TransferSyntax(HTJ2K_LOSSLESS, "HTJ2K (Lossless Only)"),
    TransferSyntax(HTJ2K_LOSSLESS_RPCL, "HTJ2K with RPCL Options (Lossless Only)"),
    TransferSyntax(HTJ2K, "HTJ2K", lossless=None),
    *(
        TransferSyntax(_JPEG_UID + number, name, lossless=False, video=True)
        for number, name in _VIDEO.items()
    ),
)

SYNTAXES: dict[str, TransferSyntax] = {syntax.uid: syntax for syntax in _TABLE}


def transfer_syntax(uid: str) -> TransferSyntax | None:
    """The row of a Transfer Syntax UID, or None where the table has none."""
    return SYNTAXES.get(uid)
