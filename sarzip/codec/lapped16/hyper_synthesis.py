"""The exact half of `lapped16`'s hyperprior: hyper-latents and the step to the scale class of every
coefficient.

Encoder and decoder must agree on every class, whatever device, thread count or batch size computes it. All
weights and activations are therefore integers, held in float32, in which a sum is exact in any order while it
stays below 2^24; the constructor proves that bound for the weights at hand. Each layer is one matrix product
(never a convolution routine, which may transform its operands), and every operand fits into eight bits of
mantissa, so that even a product in TensorFloat-32 or bfloat16 with float32 accumulation is the same.

    side      hyper-latent, clipped to ±31                            counts 1
    weights   int8, ±127                                              count 1/64
    hidden    0..255                                                  counts 1/16
    sums      of side · weight times 16, of hidden · weight           count 1/1024, like the biases

The biases of the first and last layer depend on the step: they are linear between knots one octave apart,
evaluated in integers at sixteenths of an octave.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.scale_classes import (
    CLASSES,
    HIDDEN_BITS,
    SIDE_CLIP,
    SUM_BITS,
    TOP_HIDDEN,
    classes_beyond,
    interpolate_knots,
    side_row,
    spread_side,
    step_index,
)
from sarzip.errors import ModelError
from sarzip.native import kernel
from sarzip.native.maths import product

EXACT = 1 << 24
SIDE_LIMIT = 1023
DEAD_ZONE = 0.12
"""Of the hyper-latents, about their prediction: worth 0.2 % of the rate, at coarse steps 1.7 %."""
LAYERS = ("first", "up", "mid", "last")
_TOGETHER = 1024
"""Places of latents that the layers at their resolution work on at once."""

_classify = kernel(
    "classify",
    "void(const float32[:,::1], int64, int64, int64, const int64[::1], int64, int64, int64, uint8[:,:,::1], "
    "int64, int64)",
)
_activate = kernel("activate", "void(float32[:,::1], int64, int64, float32, const float32[::1])")
_activate_and_shuffle = kernel(
    "activate_and_shuffle",
    "void(const float32[:,::1], int64, int64, const float32[::1], int64, float32[:,::1])",
)
_surround = kernel("surround", "void(const float32[:,:,::1], int64, int64, int64, float32[:,:,:,::1])")
_differences = kernel(
    "differences",
    "void(const float32[:,:,::1], const int32[:,::1], float32, int64, int64, int64, int32[:,:,::1], "
    "int32[:,:,::1])",
)
_integrate = kernel("integrate", "void(int32[:,:,::1], const int32[:,::1], int64, int64, int64)")


class IntegerHyper:
    """Integer networks and predictors; immutable, thread-safe. Weights: see `lapped_export`."""

    def __init__(self, weights: Mapping[str, Any]) -> None:
        """weights: integer arrays by name. ModelError if one is missing or sums could be inexact."""
        self.knots = {name: _integers(weights, f"hyper.{name}.knots") for name in ("first", "last", "side")}
        self._prediction = np.ascontiguousarray(_integers(weights, "hyper.side.prediction"))
        self.layers = {name: self._layer(weights, name) for name in LAYERS}
        self.biases = {
            name: _integers(weights, f"hyper.{name}.bias").astype(np.float32) for name in ("up", "mid")
        }
        self._tilt = _integers(weights, "hyper.tilt.basis").astype(np.int8)
        if self._tilt.shape != (len(self.layers["last"]), lapped_tilt.COUNT):
            raise ModelError("lapped16: basis of the tilt of the wrong shape")
        self._check()

    @staticmethod
    def _layer(weights: Mapping[str, Any], name: str) -> NDArray[np.float32]:
        return np.ascontiguousarray(_integers(weights, f"hyper.{name}.weight"), np.float32)

    def tilt(self, classes: NDArray[np.uint8], tilt: NDArray[np.int64]) -> None:
        """Move classes uint8 (256, n) in place by a group's tilt int64 (16,)."""
        lapped_tilt.shift(classes, lapped_tilt.offsets(tilt, self._tilt), CLASSES - 1)

    @property
    def side_channels(self) -> int:
        """Hyper-latent channels."""
        return int(self.knots["side"].shape[1])

    def _check(self) -> None:
        largest = {"first": SIDE_CLIP << HIDDEN_BITS, "up": TOP_HIDDEN, "mid": TOP_HIDDEN, "last": TOP_HIDDEN}
        for name, matrix in self.layers.items():
            bias = np.abs(self.biases.get(name, self.knots.get(name))).max()  # type: ignore[arg-type]
            sums = np.abs(matrix).sum(1).max() * largest[name] + bias
            if np.abs(matrix).max() > 127 or sums >= EXACT - (1 << SUM_BITS):
                raise ModelError(f"lapped16: layer '{name}' of the hyperprior is not exact in float32")

    def quantise(
        self, values: NDArray[np.float32], zone: float = DEAD_ZONE
    ) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Hyper-latents before rounding (S, h, w) to integers and what is coded of them: the difference to
        their integer prediction, with a dead zone about none.
        """
        wanted = np.clip(np.nan_to_num(values), -SIDE_LIMIT, SIDE_LIMIT).astype(np.float32)
        side, residual = np.empty(wanted.shape, np.int32), np.empty(wanted.shape, np.int32)
        _differences(wanted, self._prediction, zone, *side.shape, side, residual)
        return side, residual

    def integrate(self, residual: NDArray[np.int32]) -> NDArray[np.int32]:
        """Inverse of `quantise`: what was coded to hyper-latents."""
        side = np.ascontiguousarray(residual, np.int32).copy()
        _integrate(side, self._prediction, *side.shape)
        return side

    def side_row(self, step: float) -> NDArray[np.uint8]:
        """Classes uint8 (S,) of the residuals of the hyper-latents before a group moves them."""
        return side_row(self.knots["side"], step, CLASSES)

    def side_classes(self, moves: NDArray[np.int64], half: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """Classes uint8 (S · positions,) of the residuals, moved by a group's moves (S,)."""
        moved = moves * lapped_tilt.SIDE_UNIT
        return spread_side(self.side_row(step), moved, half[0] * half[1], CLASSES - 1)

    def classes(self, side: NDArray[np.int32], shape: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """Hyper-latents int32 (S, ceil(h/2), ceil(w/2)) to classes uint8 (256, h · w)."""
        out = np.empty((len(self.layers["last"]), *shape), np.uint8)
        height, width = side.shape[1:]
        index = step_index(step)
        beyond = classes_beyond(index, len(self.knots["last"]))
        knots = {name: interpolate_knots(self.knots[name], index) for name in ("first", "last")}
        clipped = np.clip(side, -SIDE_CLIP, SIDE_CLIP).astype(np.float32)
        x = product(self.layers["first"], neighbourhoods(clipped))
        _activate(x, *x.shape, float(1 << HIDDEN_BITS), knots["first"].astype(np.float32))
        x = product(self.layers["up"], x)
        inner = np.empty((len(self.layers["mid"]), 4 * height * width), np.float32)
        _activate_and_shuffle(x, len(inner), x.shape[1], self.biases["up"], width, inner)
        # A few rows at a time: the sums of the last layer then stay in the cache.
        rows = max(1, _TOGETHER // max(4 * width, 1))
        for top in range(0, height, rows):
            part = inner[:, 4 * top * width : 4 * (top + rows) * width]
            x = product(self.layers["mid"], part)
            _activate(x, *x.shape, 1.0, self.biases["mid"])
            sums = product(self.layers["last"], x)
            limits = (knots["last"], beyond, CLASSES - 1, 2 * top)
            _classify(sums, *sums.shape, 2 * width, *limits, out, *shape)
        return out.reshape(len(out), -1)


def neighbourhoods(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, h, w) to the 3×3 surroundings of each position, (9·S, h·w), edges repeated."""
    around = np.empty((len(planes), 9, *planes.shape[1:]), np.float32)
    if planes.size:
        _surround(np.ascontiguousarray(planes), *planes.shape, around)
    return around.reshape(9 * len(planes), planes.shape[1] * planes.shape[2])


def shuffle(flat: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """(4·C, h·w) to (C, 2h·2w): four channels are the four positions of a 2×2 square."""
    h, w = shape
    return flat.reshape(-1, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(-1, 4 * h * w)


def _integers(weights: Mapping[str, Any], name: str) -> NDArray[np.int32]:
    values = np.asarray(weights[name])
    if values.dtype.kind not in "iu":
        raise ModelError("lapped16: the hyperprior's weights must be integers")
    return values.astype(np.int32)
