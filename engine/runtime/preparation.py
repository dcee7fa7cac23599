"""What the workers of a server will need, for their nursery to have before it forks them.

A worker that imports it itself has it alone: what its nursery had is shared by all of them. It is
taken in steps, so that a worker that is asked for meanwhile need not wait for the rest.
"""

from __future__ import annotations

import importlib

__all__ = ["KERNELS", "LIBRARIES", "take_step"]

_MODULES = (
    "sqlalchemy",
    "pydicom",
    "mersey.engine.archive.examination",
    "mersey.engine.dicom.character_sets",
    "mersey.engine.dicom.json_odd_values",
    "imagecodecs.imagecodecs",
    "mersey.codecs.independent",
    "mersey.engine.runtime.transcode",
    "numba",
)

LIBRARIES = range(len(_MODULES))
"""Steps that import, and nothing else."""
KERNELS = range(len(_MODULES), len(_MODULES) + 1)
"""The step that loads compiled kernels, which a worker has left on disk."""


def take_step(step: int) -> None:
    """Take one step of `LIBRARIES` or `KERNELS`; IndexError where it is none.

    No thread is left behind.
    """
    if step in KERNELS:
        from ...codecs import kernels

        kernels.warm()
    elif step in LIBRARIES:
        importlib.import_module(_MODULES[step])
    else:
        raise IndexError(step)
