"""Images that several tests encode, and the workers that do."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from mersey.engine.runtime.worker_pool import WorkerPool
from phantom import Thorax


@pytest.fixture(scope="module")
def images() -> list[np.ndarray]:
    """Slices of 128 x 128 in 12 bits."""
    thorax = Thorax(size=128, slices=10, seed=1)
    return [thorax.frame(index) for index in range(5)]


@pytest.fixture(scope="module")
def pool() -> Iterator[WorkerPool]:
    with WorkerPool(jobs=2) as pool:
        yield pool
