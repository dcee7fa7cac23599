"""The search for NEAR, the greatest error of a JPEG-LS sample, that meets a Quality.

Pure: it is told how to encode and how to judge, and calls both a bounded number of times.
"""

from __future__ import annotations

from collections.abc import Callable

from .quality import Quality
from .rate import Trial

__all__ = ["search_near"]


def search_near(
    encode: Callable[[int], bytes],
    judge: Callable[[bytes], float],
    *,
    quality: Quality,
    raw_bytes: int,
    most: int,
) -> Trial:
    """The greatest NEAR up to `most` that keeps a PSNR; the least that reaches a ratio.

    Fewer bytes and more error come with a greater NEAR, but for small jumps; the answer is
    always a trial that keeps the aim, or the last resort: 0 for a PSNR, `most` for a ratio
    that no NEAR reaches. At most 9 trials; deterministic.

    Parameters
    ----------
    encode
        The codestream at a NEAR.
    judge
        The PSNR in dB of what a codestream decodes to.
    raw_bytes
        The uncompressed size, for the ratio.
    """
    aims_at_psnr = quality.psnr_db is not None
    kept: dict[int, Trial] = {}

    def keeps(near: int) -> bool:
        data = encode(near)
        trial = Trial(data, raw_bytes / len(data), judge(data))
        kept[near] = trial
        if quality.psnr_db is not None:
            return trial.psnr_db >= quality.psnr_db
        return quality.ratio is not None and trial.ratio >= quality.ratio

    good, bad = (0, most + 1) if aims_at_psnr else (most, -1)
    while abs(bad - good) > 1:
        middle = (good + bad) // 2
        if keeps(middle):
            good = middle
        else:
            bad = middle
    if good not in kept:
        keeps(good)
    return kept[good]
