"""What pydicom raises on damaged data sets, and on values that break their VR."""

from __future__ import annotations

import struct

__all__ = ["pydicom_faults"]

# Some of it on purpose, some not.
_FAULTS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


def pydicom_faults() -> tuple[type[Exception], ...]:
    """For an ``except`` clause, which asks only when something was raised."""
    # Deferred: pydicom takes 0.2 s to import.
    from pydicom.errors import BytesLengthException

    return (*_FAULTS, BytesLengthException)
