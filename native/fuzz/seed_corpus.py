"""Write the corpus that the fuzz targets start from: small codestreams of every kind.

Made here, by OpenJPH and OpenJPEG; with the real files of ../shared/data, valid and broken,
where that is present. Usage: seed_corpus.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import imagecodecs
import numpy as np

MOST_BYTES = 20_000
REAL = Path(__file__).resolve().parents[3] / "shared" / "data"
SUFFIXES = {".j2c", ".j2k", ".jhc", ".jp2", ".jph"}


def made() -> list[bytes]:
    rng = np.random.default_rng(4)
    grey = rng.integers(0, 200, (40, 36)).astype("u1") + np.arange(36, dtype="u1")
    colour = np.stack([grey, grey[::-1], grey[:, ::-1]], axis=-1)
    orders = ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")
    fast = [high_throughput(image, order) for image in (grey, colour) for order in orders]
    return fast + [part_1(image, level) for image in (grey, colour) for level in (0, 30)]


def high_throughput(image: np.ndarray, order: str) -> bytes:
    made = imagecodecs.htj2k_encode(
        image,
        planar=False,
        rgb=image.ndim == 3,
        resolutions=2,
        reversible=True,
        prog_order=order,
        tlm=True,
        tilepart=int(order == "RPCL"),
    )
    return bytes(made)


def part_1(image: np.ndarray, level: int) -> bytes:
    made = imagecodecs.jpeg2k_encode(
        image, level=level, resolutions=3, reversible=level == 0, codecformat="j2k"
    )
    return bytes(made)


def real() -> list[bytes]:
    folders = [REAL / name for name in ("j2k", "htj2k", "broken/j2k", "broken/htj2k")]
    paths = sorted(path for folder in folders for path in folder.rglob("*"))
    return [
        path.read_bytes()
        for path in paths
        if path.suffix in SUFFIXES and path.stat().st_size <= MOST_BYTES
    ]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for number, stream in enumerate(made() + real()):
        (folder / f"seed-{number:03}").write_bytes(stream + bytes([number % 256]))


if __name__ == "__main__":
    main()
