"""The value representations (VRs) of PS3.5 §6.2: how long the header is, what to swap.

Tables, and the rule for what they lack; the parser looks VRs up as the two bytes that it finds.
"""

from __future__ import annotations

__all__ = [
    "IS_LONG_FORM",
    "SHORT_FORM_MAX_BYTES",
    "SWAP_BYTES",
    "TEXT_VRS",
    "UNDEFINED_LENGTH",
    "is_unknown_long_form",
]

UNDEFINED_LENGTH = 0xFFFFFFFF
"""The length of a sequence, item or encapsulated value that a delimiter ends (PS3.5 §7.1.1)."""

SHORT_FORM_MAX_BYTES = 0xFFFF
"""What the 16-bit length field of Table 7.1-2 can say."""

_SHORT_FORM = b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US"
_LONG_FORM = b"OB OD OF OL OV OW SQ SV UC UN UR UT UV"

IS_LONG_FORM: dict[bytes, bool] = {
    **dict.fromkeys(_SHORT_FORM.split(), False),
    **dict.fromkeys(_LONG_FORM.split(), True),
}
"""VR → whether its explicit header has a 32-bit length (PS3.5 Table 7.1-1) or a 16-bit one."""

SWAP_BYTES: dict[str, int] = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""VR → width in bytes of what byte ordering applies to (PS3.5 §7.3); other VRs have none."""

TEXT_VRS = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""The VRs whose text Specific Character Set governs (PS3.5 §6.1.2.2)."""


def is_unknown_long_form(vr: bytes, length_or_reserved: int) -> bool | None:
    """Whether a VR that no table knows has a 32-bit length; None: it is not a VR at all.

    New VRs take the 32-bit form (PS3.5 §7.1.2), whose reserved bytes are zero. Elements
    without a VR amid explicit ones occur in real files; pydicom reads them as implicit too.
    """
    if vr.isalpha() and vr.isupper():
        return length_or_reserved == 0
    return None
