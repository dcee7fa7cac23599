"""The search for a quantisation step closes in on its aim in few trials."""

from __future__ import annotations

import math

import pytest
from mersey.codecs.quality import Quality
from mersey.codecs.rate import Trial, search_step

_RAW_BYTES = 1_000_000


class _Model:
    """A codec by formula: 6 dB and one bit a sample for each halving of the step."""

    def __init__(self, *, wobble: float = 0.0) -> None:
        self.trials = 0
        self._wobble = wobble

    def encode(self, step: float) -> bytes:
        self.trials += 1
        octave = -math.log2(step)
        size = 2000 + 20_000 * octave + self._wobble * 900 * math.sin(40 * octave)
        return step.hex().encode() + bytes(int(size))

    def judge(self, data: bytes) -> float:
        octave = -math.log2(float.fromhex(data[: data.index(0)].decode()))
        return 6.02 * octave + 10.8 + self._wobble * math.sin(40 * octave)

    def search(self, quality: Quality, *, first_step: float) -> Trial:
        return search_step(
            self.encode, self.judge, quality=quality, raw_bytes=_RAW_BYTES, first_step=first_step
        )


@pytest.mark.parametrize("first_step", [2.0**-19, 2.0**-8, 0.4])
@pytest.mark.parametrize("wobble", [0.0, 0.6])
@pytest.mark.parametrize("aim_db", [25.0, 48.3, 95.0])
def test_a_psnr_is_kept_closely(aim_db: float, wobble: float, first_step: float) -> None:
    model = _Model(wobble=wobble)
    trial = model.search(Quality(psnr_db=aim_db), first_step=first_step)
    assert aim_db <= trial.psnr_db <= aim_db + 0.1 + wobble
    assert trial.psnr_db == model.judge(trial.data)
    assert model.trials <= 16


@pytest.mark.parametrize("first_step", [2.0**-19, 2.0**-8, 0.4])
@pytest.mark.parametrize("wobble", [0.0, 0.6])
@pytest.mark.parametrize("aim", [3.0, 8.0, 20.0])
def test_a_ratio_is_kept_closely(aim: float, wobble: float, first_step: float) -> None:
    model = _Model(wobble=wobble)
    trial = model.search(Quality(ratio=aim), first_step=first_step)
    assert aim <= trial.ratio <= aim * (1.01 + wobble / 20)
    assert trial.ratio == _RAW_BYTES / len(trial.data)


def test_an_aim_beyond_reach_gives_the_nearest() -> None:
    model = _Model()
    trial = model.search(Quality(ratio=900), first_step=0.01)
    assert trial.ratio == pytest.approx(_RAW_BYTES / 22_000, rel=0.01)
