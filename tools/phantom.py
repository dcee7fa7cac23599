"""Pictures that compress like medical ones: a thorax CT and an ultrasound cine.

Pure: pixels out of a seed. The same seed, size and count give the same pixels; what does not
change from frame to frame (coordinates, noise, texture) is computed once. Never writes a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Thorax", "Ultrasound"]

type _Plane = np.ndarray[Any, np.dtype[np.float32]]
type _Image = np.ndarray[Any, np.dtype[Any]]

_AIR, _LUNG, _FAT, _MUSCLE, _BLOOD, _MARROW, _CORTEX, _TABLE = (
    -1000.0, -870.0, -95.0, 45.0, 190.0, 240.0, 900.0, -250.0,
)  # fmt: skip


class Thorax:
    """Axial slices through a chest, as a CT scanner stores them: HU + 1024 in 12 of 16 bits.

    Lungs, heart and spine swell and shrink along the body, ribs and vessels wander; the noise
    is correlated over neighbours and grows towards the middle, as a CT's quantum noise is and
    does; outside the reconstruction circle everything is 0.
    """

    intercept = -1024
    bits_stored = 12
    field_of_view_mm = 400.0

    def __init__(self, *, size: int, slices: int, seed: int) -> None:
        self.size = size
        self.slices = slices
        rng = np.random.default_rng([seed, 1])
        axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) * np.float32(2 / size) - 1
        self._axis = axis
        distance = axis[:, None] ** 2 + axis[None, :] ** 2
        self._outside = distance > 0.995
        self._sigma = np.maximum(17 - 11 * distance, 5).astype(np.float32)
        self._noise = [_quantum_noise(rng, size + 64) for _ in range(6)]
        self._texture = [_clouds(rng, size) * np.float32(16) for _ in range(2)]
        self._vessels = [_Vessel.random(rng) for _ in range(240)]
        self._choice_seed = seed

    def frame(self, index: int) -> _Image:
        """Slice `index`, counted from 0: ``(size, size)``, uint16, 0–4095."""
        z = (index + 0.5) / self.slices
        hu = np.full((self.size, self.size), _AIR, np.float32)
        self._draw_body(hu, z)
        self._draw_lungs(hu, z)
        self._draw_bones(hu, z)
        hu += self._noise_of(index)
        hu -= np.float32(self.intercept)
        np.rint(hu, out=hu)
        np.clip(hu, 0, 4095, out=hu)
        hu[self._outside] = 0
        return hu.astype(np.uint16)

    def _draw_body(self, hu: _Plane, z: float) -> None:
        width, height = 0.80 + 0.05 * math.sin(3 * z), 0.56 + 0.04 * math.cos(2 * z)
        self._ellipse(hu, (0, 0.86), (0.62, 0.07), _TABLE)
        self._ellipse(hu, (0, 0.85), (0.58, 0.05), _AIR)
        self._ellipse(hu, (0, 0.10), (width, height), 20.0)  # skin
        self._ellipse(hu, (0, 0.10), (width - 0.02, height - 0.02), _FAT)
        self._ellipse(hu, (0, 0.10), (width - 0.09, height - 0.08), _MUSCLE)
        first, second = self._texture
        body = hu > -200
        weave = first * np.float32(math.cos(9 * z)) + second * np.float32(math.sin(9 * z))
        hu += weave * body

    def _draw_lungs(self, hu: _Plane, z: float) -> None:
        swell = math.sin(math.pi * min(1.0, 0.15 + z)) ** 0.5
        for side in (-1, 1):
            self._ellipse(hu, (side * 0.36, 0.06), (0.25 * swell, 0.38 * swell), _LUNG)
        beat = 0.85 + 0.15 * math.cos(5 * z)
        self._ellipse(hu, (0.10, -0.04), (0.27 * beat, 0.22 * beat), _MUSCLE, tilt=0.5)
        self._ellipse(hu, (0.13, -0.02), (0.13 * beat, 0.11 * beat), _BLOOD, tilt=0.5)
        self._ellipse(hu, (0.07, 0.30), (0.055, 0.055), _BLOOD)  # aorta
        self._ellipse(hu, (-0.02, 0.22), (0.035, 0.028), _AIR)  # trachea
        for vessel in self._vessels:
            at = vessel.at(z)
            if at is not None:
                self._ellipse(
                    hu, at[:2], (at[2], at[2] * vessel.stretch), _MUSCLE, tilt=vessel.tilt
                )

    def _draw_bones(self, hu: _Plane, z: float) -> None:
        period = abs(math.sin(18 * z))
        self._ellipse(hu, (0, 0.42), (0.12, 0.09 + 0.02 * period), _CORTEX)
        self._ellipse(hu, (0, 0.42), (0.105, 0.075 + 0.02 * period), _MARROW)
        self._ellipse(hu, (0, 0.51), (0.045, 0.035), 15.0)  # spinal canal
        for side in (-1, 1):
            for rib in range(7):
                angle = -1.05 + 0.36 * rib + 0.36 * ((4 * z) % 1.0)
                centre = (side * 0.69 * math.cos(angle), 0.10 + 0.46 * math.sin(angle))
                tilt = side * (angle + math.pi / 2)
                self._ellipse(hu, centre, (0.075, 0.022), _CORTEX, tilt=tilt)
                self._ellipse(hu, centre, (0.060, 0.011), _MARROW, tilt=tilt)

    def _ellipse(
        self,
        hu: _Plane,
        centre: tuple[float, float],
        radii: tuple[float, float],
        value: float,
        *,
        tilt: float = 0.0,
    ) -> None:
        """Blend `value` into `hu` over an ellipse whose edge is about a pixel and a half wide."""
        reach = max(radii) if tilt else 0.0
        columns = self._window(centre[0], reach or radii[0])
        rows = self._window(centre[1], reach or radii[1])
        if columns.start >= columns.stop or rows.start >= rows.stop:
            return
        dx = self._axis[None, columns] - np.float32(centre[0])
        dy = self._axis[rows, None] - np.float32(centre[1])
        cosine, sine = np.float32(math.cos(tilt)), np.float32(math.sin(tilt))
        along, across = (dx * cosine + dy * sine, dy * cosine - dx * sine) if tilt else (dx, dy)
        steepness = min(radii) * self.size / 6
        level = (along / np.float32(radii[0])) ** 2 + (across / np.float32(radii[1])) ** 2
        cover = np.clip(np.float32(0.5 + steepness) - level * np.float32(steepness), 0, 1)
        box = hu[rows, columns]
        box += cover * (np.float32(value) - box)

    def _window(self, centre: float, reach: float) -> slice:
        margin = reach * 1.05 + 4 / self.size
        start = math.floor((centre - margin + 1) * self.size / 2)
        stop = math.ceil((centre + margin + 1) * self.size / 2)
        return slice(max(start, 0), min(stop, self.size))

    def _noise_of(self, index: int) -> _Plane:
        """Two shifted fields of the pool, mixed: no two slices share their noise."""
        rng = np.random.default_rng([self._choice_seed, 2, index])
        first, second = rng.choice(len(self._noise), size=2, replace=False)
        shifts = rng.integers(0, 64, size=4)
        phase = rng.uniform(0.2, 1.3)
        parts = (
            field[y : y + self.size, x : x + self.size] * np.float32(weight)
            for field, (y, x), weight in (
                (self._noise[first], shifts[:2], math.cos(phase)),
                (self._noise[second], shifts[2:], math.sin(phase)),
            )
        )
        mixed: _Plane = next(parts)
        mixed += next(parts)
        mixed *= self._sigma
        return mixed


@dataclass(frozen=True, slots=True)
class _Vessel:
    """A tube through a lung: where it is, and how wide, at each height."""

    x: float
    y: float
    slope_x: float
    slope_y: float
    middle: float
    reach: float
    radius: float
    stretch: float
    tilt: float

    @classmethod
    def random(cls, rng: np.random.Generator) -> _Vessel:
        side = 1 if rng.random() < 0.5 else -1
        angle, far = rng.uniform(0, 2 * math.pi), math.sqrt(rng.uniform(0, 1)) * 0.9
        return cls(
            x=side * 0.36 + 0.21 * far * math.cos(angle),
            y=0.06 + 0.33 * far * math.sin(angle),
            slope_x=rng.uniform(-0.25, 0.25),
            slope_y=rng.uniform(-0.25, 0.25),
            middle=rng.uniform(0, 1),
            reach=rng.uniform(0.05, 0.3),
            radius=0.004 + 0.016 * (1 - far) ** 2 + rng.uniform(0, 0.004),
            stretch=rng.uniform(0.6, 1.6),
            tilt=rng.uniform(0, math.pi),
        )

    def at(self, z: float) -> tuple[float, float, float] | None:
        away = z - self.middle
        if abs(away) >= self.reach:
            return None
        taper = 1 - abs(away) / self.reach
        return (self.x + self.slope_x * away, self.y + self.slope_y * away, self.radius * taper)


class Ultrasound:
    """A beating ventricle in a sector of speckle, with a colour Doppler jet; RGB, 8 bits."""

    def __init__(self, *, rows: int, columns: int, frames: int, seed: int) -> None:
        self.frames = frames
        rng = np.random.default_rng([seed, 3])
        y = np.arange(rows, dtype=np.float32)[:, None] / rows
        x = (np.arange(columns, dtype=np.float32)[None, :] - columns / 2) / rows
        depth = np.hypot(x, y)
        angle = np.arctan2(x, y + np.float32(1e-3))
        self._x, self._y = x, y
        self._sector = ((np.abs(angle) < 0.72) & (depth > 0.06) & (depth < 0.97)).astype(np.float32)
        self._gain = (110 * np.exp(-0.5 * depth)).astype(np.float32)
        self._speckle = [_speckle(rng, (rows, columns)) for _ in range(3)]

    def frame(self, index: int) -> _Image:
        """Frame `index`, counted from 0: ``(rows, columns, 3)``, uint8."""
        phase = 2 * math.pi * index / self.frames
        squeeze = np.float32(1 + 0.22 * math.cos(phase))
        level = (self._x / (0.13 * squeeze)) ** 2 + ((self._y - 0.52) / (0.26 * squeeze)) ** 2
        wall = np.clip(1.6 - np.abs(level - np.float32(1.25)) * 2.4, 0, 1)
        cavity = np.clip((level - 0.9) * 6, 0.06, 1)
        drift = self._speckle[index % 3] * np.float32(math.cos(phase) ** 2)
        drift = drift + self._speckle[(index + 1) % 3] * np.float32(math.sin(phase) ** 2)
        grey = self._gain * cavity * (drift + wall) * self._sector
        image = np.empty((*grey.shape, 3), np.float32)
        image[...] = grey[..., None]
        jet = np.clip(1 - (self._x / 0.05) ** 2 - ((self._y - 0.34) / 0.13) ** 2, 0, 1)
        flow = jet * np.float32(math.sin(phase))
        image[..., 0] += 230 * np.maximum(flow, 0)
        image[..., 2] += 230 * np.maximum(-flow, 0)
        return np.clip(image, 0, 255).astype(np.uint8)


def _quantum_noise(rng: np.random.Generator, size: int) -> _Plane:
    """White noise of standard deviation 1, smoothed a little, as a reconstruction kernel does."""
    white = rng.standard_normal((size + 2, size + 2), dtype=np.float32)
    rows = white[1:-1] + np.float32(0.45) * (white[:-2] + white[2:])
    field: _Plane = rows[:, 1:-1] + np.float32(0.45) * (rows[:, :-2] + rows[:, 2:])
    return field / np.float32(field.std())


def _clouds(rng: np.random.Generator, size: int) -> _Plane:
    """A smooth field of standard deviation about 1: coarse noise, linearly spread."""
    knots = 24
    coarse = rng.standard_normal((knots, knots), dtype=np.float32)
    at = np.linspace(0, knots - 1.001, size, dtype=np.float32)
    low = at.astype(np.intp)
    rest = at - low
    rows = coarse[low] * (1 - rest)[:, None] + coarse[low + 1] * rest[:, None]
    field: _Plane = rows[:, low] * (1 - rest) + rows[:, low + 1] * rest
    return field


def _speckle(rng: np.random.Generator, shape: tuple[int, int]) -> _Plane:
    """Rayleigh-distributed grains, stretched across the beam."""
    rows, columns = shape
    real, imaginary = (
        rng.standard_normal((rows + 2, columns + 6), dtype=np.float32) for _ in range(2)
    )

    def smooth(field: _Plane) -> _Plane:
        tall = field[:-2] + 2 * field[1:-1] + field[2:]
        wide: _Plane = sum(tall[:, k : k + columns] for k in range(6))  # type: ignore[assignment]
        return wide

    grains: _Plane = np.hypot(smooth(real), smooth(imaginary))
    return grains / np.float32(grains.mean())
