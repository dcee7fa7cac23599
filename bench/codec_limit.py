"""The limit of every HTJ2K transcode: the fastest encoder there is, looping in memory.

OpenJPH through ojph's own bindings, called as directly as Python can, in as many processes as
asked for, over frames that are in memory already. Nothing is read, checked or written.
"""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.synchronize import Barrier
from typing import Any

import numpy as np
from ojph.ojph_bindings import Codestream, MemOutfile, Point

__all__ = ["encode", "limit_mb_per_s"]

type Frames = np.ndarray[Any, np.dtype[np.uint16]]


def encode(frame: np.ndarray[Any, Any], bits: int) -> bytes:
    """One frame as a reversible RPCL codestream with TLM and a tile-part a resolution."""
    memory = MemOutfile()
    memory.open(65536, False)
    stream = Codestream()
    siz = stream.access_siz()
    siz.set_image_extent(Point(frame.shape[1], frame.shape[0]))
    siz.set_num_components(1)
    siz.set_component(0, Point(1, 1), bits, frame.dtype.kind == "i")
    cod = stream.access_cod()
    cod.set_progression_order("RPCL")
    cod.set_reversible(True)
    cod.set_color_transform(False)
    cod.set_num_decomposition(5)
    stream.set_planar(False)
    stream.set_tilepart_divisions(True, False)
    stream.request_tlm_marker(True)
    stream.write_headers(memory, None, 0)
    stream.push_all_components(frame, 1, "HW")
    stream.flush()
    data = bytes(memory.get_data())
    stream.close()
    memory.close()
    return data


def limit_mb_per_s(frames: Frames, *, bits: int, repeats: int, processes: int) -> float:
    """MB of pixels a second that `processes` encoders reach, each over its share.

    Parameters
    ----------
    frames
        Shape ``(frames, rows, columns)``; each is encoded `repeats` times.
    """
    context = multiprocessing.get_context("fork")  # the frames are shared, not sent
    barrier = context.Barrier(processes + 1)
    shares = np.array_split(np.arange(len(frames)), processes)
    workers = [
        context.Process(target=_loop, args=(frames, share, bits, repeats, barrier))
        for share in shares
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    started = time.perf_counter()
    barrier.wait()
    seconds = time.perf_counter() - started
    for worker in workers:
        worker.join()
    return frames.nbytes * repeats / 1e6 / seconds


def _loop(frames: Frames, share: Any, bits: int, repeats: int, barrier: Barrier) -> None:
    encode(frames[0], bits)
    barrier.wait()
    for _ in range(repeats):
        for index in share:
            encode(frames[index], bits)
    barrier.wait()
