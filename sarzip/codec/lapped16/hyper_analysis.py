"""How `lapped16` chooses the hyper-latents of a group: a small network, on the encoder's side only.

It need not be the same on every machine: the decoder is told what it chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16.hyper_synthesis import neighbourhoods
from sarzip.codec.lapped16.scale_classes import FRACTIONS, step_index
from sarzip.codec.lapped16.transform import CHANNELS
from sarzip.native import kernel, maths

_pool = kernel("pool", "void(const float32[:,::1], int64, int64, const uint8[::1], float32[:,::1])")


class HyperEncoder:
    """Latents in steps to hyper-latents; immutable, thread-safe. Weights: `side.analysis.*`."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        """weights: arrays by name, KeyError if one is missing, ValueError if one has the wrong shape."""

        def matrix(name: str) -> NDArray[np.float32]:
            weight = np.asarray(weights[f"side.analysis.{name}.weight"], np.float32)
            return np.ascontiguousarray(weight.reshape(len(weight), -1))

        def bias(name: str) -> NDArray[np.float32]:
            return np.asarray(weights[f"side.analysis.{name}.bias"], np.float32)[:, None]

        self._zones = np.ascontiguousarray(weights["side.analysis.zones"], np.uint8)
        sizes = np.bincount(self._zones)
        if self._zones.shape != (CHANNELS,) or sizes.min() < 1:
            raise ValueError("zones of the spectrum are not a table of 256 channels")
        self._shares = (1.0 / sizes).astype(np.float32)[:, None]
        self._knots = np.asarray(weights["side.analysis.knots"], np.float32)
        self._inward, self._inward_bias = matrix("inward"), bias("inward")
        self._mix, self._mix_bias = matrix("mix"), bias("mix")
        self._out, self._out_bias = matrix("out"), bias("out")
        self._direct = matrix("direct")
        self._low = self._direct.shape[1] // 4
        self._signed = self._inward.shape[1] // 4 - len(sizes)

    def __call__(self, units: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """Latents / step (256, h, w) to hyper-latents before rounding (S, ceil(h/2), ceil(w/2))."""
        h, w = units.shape[1:]
        if h % 2 or w % 2:
            units = np.pad(units, ((0, 0), (0, h % 2), (0, w % 2)), mode="edge")
        half = ((h + 1) // 2, (w + 1) // 2)
        x = maths.product(self._inward, self._features(units))
        x += self._inward_bias + self.knot_row(step)
        np.maximum(x, 0, out=x)
        mixed = maths.product(self._mix, neighbourhoods(x.reshape(-1, *half)))
        mixed += self._mix_bias
        x += np.maximum(mixed, 0, out=mixed)
        low = _squares(units[: self._low]).swapaxes(0, 1).reshape(4 * self._low, -1)
        direct = maths.product(self._direct, low)
        return (maths.product(self._out, x) + self._out_bias + direct).reshape(-1, *half)

    def _features(self, units: NDArray[np.float32]) -> NDArray[np.float32]:
        """Of each place of the 2×2 squares, log(1 + |u|) of the means of zones and, signed, of a few low
        channels: (4 · (zones + signed), squares).
        """
        flat = units.reshape(CHANNELS, -1)
        zones = len(self._shares)
        features = np.zeros((zones + self._signed, flat.shape[1]), np.float32)
        _pool(np.ascontiguousarray(flat), *flat.shape, self._zones, features)
        features[:zones] *= self._shares
        low = features[zones:]
        np.abs(flat[: self._signed], out=low)
        features = maths.log1p(features)
        low = features[zones:]
        np.copysign(low, flat[: self._signed], out=low)
        return _squares(features.reshape(-1, *units.shape[1:])).reshape(4 * len(features), -1)

    def knot_row(self, step: float) -> NDArray[np.float32]:
        """Bias (width, 1) at a step, linear between knots one octave apart."""
        position = min(max(step_index(step) / FRACTIONS, 0.0), len(self._knots) - 1.0)
        low = min(int(position), len(self._knots) - 2)
        part = np.float32(position - low)
        row = self._knots[low] * (1 - part) + self._knots[low + 1] * part
        return np.asarray(row)[:, None]


def _squares(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Planes (C, 2h, 2w) to the four places of their 2×2 squares (4, C, h·w)."""
    c, h, w = planes.shape
    parts = planes.reshape(c, h // 2, 2, w // 2, 2).transpose(2, 4, 0, 1, 3)
    return np.ascontiguousarray(parts).reshape(4, c, -1)
