"""Text values in the character sets of DICOM, by pydicom's decoders (PS3.5 §6.1).

Imported only where a value is not plain ASCII, because pydicom takes a while to import.
"""

from __future__ import annotations

import warnings

from pydicom.charset import convert_encodings, decode_bytes

from .element import Element
from .value_representations import TEXT_VRS

__all__ = ["decode_text"]

# Characters that end the effect of an escape sequence (PS3.5 §6.1.2.5.3).
_DELIMITERS = set(b"\r\n\f\t\\")
_NAME_DELIMITERS = _DELIMITERS | set(b"^=")
_PERSON_NAME_TAGS = frozenset(
    {0x00080090, 0x00081048, 0x00081050, 0x00081060, 0x00081070, 0x00100010, 0x00081052}
)


def decode_text(element: Element, *, charset: bytes) -> str:
    """The text of `element` in the Specific Character Set `charset`; never raises.

    Without a VR (Implicit VR) every value counts as text; VRs that the character set does
    not govern are decoded as ISO IR 6 with what is beyond it replaced.
    """
    if element.vr and element.vr not in TEXT_VRS:
        return element.value.decode("ascii", "replace")
    terms = [term.strip(" \0") for term in charset.decode("ascii", "replace").split("\\")]
    is_name = element.vr == "PN" or element.tag in _PERSON_NAME_TAGS
    with warnings.catch_warnings():
        # pydicom warns of unknown character sets and undecodable bytes, and replaces them.
        warnings.simplefilter("ignore")
        try:
            encodings = convert_encodings(terms)
        except LookupError:
            encodings = ["iso8859"]
        return decode_bytes(element.value, encodings, _NAME_DELIMITERS if is_name else _DELIMITERS)
