"""Images that several tests encode."""

from __future__ import annotations

import numpy as np
import pytest
from phantom import Thorax


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Slices of 128 x 128 in 12 bits."""
    thorax = Thorax(size=128, slices=10, seed=1)
    return [thorax.frame(index) for index in range(5)]
