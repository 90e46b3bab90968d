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
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sarzip.codec import lapped_tilt
from sarzip.codec.hyperprior_steps import (
    HIDDEN_BITS,
    SIDE_CLIP,
    SUM_BITS,
    TOP_HIDDEN,
    WEIGHT_BITS,
    classes_beyond,
    integrate,
    interpolate_knots,
    side_row,
    step_index,
)
from sarzip.codec.jit import compiled
from sarzip.errors import ModelError

EXACT = 1 << 24


@compiled("void(float32[:,::1], int64[::1], int64, int64, uint8[:,::1])")
def _classify(sums, bias, beyond, top, out):  # type: ignore[no-untyped-def]
    for c in range(sums.shape[0]):
        half = np.int32(bias[c] + (1 << (SUM_BITS - 1)))
        for i in range(sums.shape[1]):
            value = ((np.int32(sums[c, i]) + half) >> SUM_BITS) + np.int32(beyond)
            out[c, i] = np.uint8(min(max(value, np.int32(0)), np.int32(top)))


class IntegerHyper:
    """Integer networks and predictors; immutable, thread-safe. Weights: see `lapped16_export`."""

    def __init__(self, weights: Mapping[str, Any], classes: int, device: str = "cpu") -> None:
        """weights: integer arrays by name. classes: number of scale classes. ModelError if sums could be
        inexact.
        """
        self._classes = classes
        self._device = torch.device(device)
        self._knots_first = _integers(weights["hyper.first.knots"])
        self._knots_last = _integers(weights["hyper.last.knots"])
        self._knots_side = _integers(weights["hyper.side.knots"])
        self._prediction = np.ascontiguousarray(_integers(weights["hyper.side.prediction"]))
        self._layers: dict[str, Tensor] = {}
        self._biases: dict[str, Tensor] = {}
        for name in ("first", "up", "mid", "last"):
            matrix = _integers(weights[f"hyper.{name}.weight"])
            self._layers[name] = torch.from_numpy(matrix.astype(np.float32)).to(self._device)
        for name in ("up", "mid"):
            bias = _integers(weights[f"hyper.{name}.bias"])
            self._biases[name] = torch.from_numpy(bias.astype(np.float32))[:, None].to(self._device)
        self._tilt = np.asarray(weights["hyper.tilt.basis"]).astype(np.int8)
        if self._tilt.shape != (len(self._layers["last"]), lapped_tilt.COUNT):
            raise ModelError("lapped16: basis of the tilt of the wrong shape")
        self._check()

    def tilt(self, classes: NDArray[np.uint8], tilt: NDArray[np.int64]) -> None:
        """Move classes uint8 (256, n) in place by a group's tilt int64 (16,)."""
        lapped_tilt.shift(classes, lapped_tilt.offsets(tilt, self._tilt), self._classes - 1)

    @property
    def side_channels(self) -> int:
        """Hyper-latent channels."""
        return int(self._knots_side.shape[1])

    def _check(self) -> None:
        largest = {"first": SIDE_CLIP << HIDDEN_BITS, "up": TOP_HIDDEN, "mid": TOP_HIDDEN, "last": TOP_HIDDEN}
        knots = {"first": self._knots_first, "last": self._knots_last}
        for name, matrix in self._layers.items():
            bias = np.abs(knots[name]).max() if name in knots else int(self._biases[name].abs().max())
            if float(matrix.abs().max()) > 127 or float(matrix.abs().sum(1).max()) * largest[
                name
            ] + bias >= EXACT - (1 << SUM_BITS):
                raise ModelError(f"lapped16: layer '{name}' of the hyperprior is not exact in float32")

    def residual(self, side: NDArray[np.int32]) -> NDArray[np.int32]:
        """What is coded of hyper-latents int32 (S, h, w): the difference to their integer prediction."""
        padded = np.pad(side.astype(np.int64), ((0, 0), (1, 0), (1, 0)))
        weights = self._prediction.astype(np.int64)[:, :, None, None]
        near = (padded[:, 1:, :-1], padded[:, :-1, 1:], padded[:, :-1, :-1])
        total = sum(weights[:, i] * plane for i, plane in enumerate(near))
        return np.asarray(side - ((total + 8) >> 4)).astype(np.int32)

    def integrate(self, residual: NDArray[np.int32]) -> NDArray[np.int32]:
        """Inverse of `residual`."""
        side = np.ascontiguousarray(residual, np.int32).copy()
        integrate(side, self._prediction)
        return side

    def side_row(self, step: float) -> NDArray[np.uint8]:
        """Classes uint8 (S,) of the residuals of the hyper-latents before a group moves them."""
        return side_row(self._knots_side, step, self._classes)

    def classes(self, side: NDArray[np.int32], step: float) -> NDArray[np.uint8]:
        """Hyper-latents int32 (S, h, w) to classes uint8 (256, 2h, 2w)."""
        index = step_index(step)
        _, h, w = side.shape
        clipped = torch.from_numpy(np.clip(side, -SIDE_CLIP, SIDE_CLIP).astype(np.float32)).to(self._device)
        padded = F.pad(clipped[None], (1, 1, 1, 1), mode="replicate")
        columns = F.unfold(padded, 3)[0]
        first = (self._layers["first"] @ columns).mul_(1 << HIDDEN_BITS)
        x = _activate(first.add_(self._row(self._knots_first, index)))
        x = _activate((self._layers["up"] @ x).add_(self._biases["up"]))
        x = F.pixel_shuffle(x.reshape(1, -1, h, w), 2).reshape(-1, 4 * h * w)
        x = _activate((self._layers["mid"] @ x).add_(self._biases["mid"]))
        sums = (self._layers["last"] @ x).cpu().numpy()
        out = np.empty(sums.shape, np.uint8)
        beyond = classes_beyond(index, len(self._knots_last))
        _classify(sums, interpolate_knots(self._knots_last, index), beyond, self._classes - 1, out)
        return out.reshape(-1, 2 * h, 2 * w)

    def _row(self, knots: NDArray[np.int32], index: int) -> Tensor:
        row = interpolate_knots(knots, index).astype(np.float32)
        return torch.from_numpy(row)[:, None].to(self._device)


def _activate(total: Tensor) -> Tensor:
    """Sums (count 1/1024) to hidden integers (count 1/16)."""
    return total.mul_(1.0 / (1 << WEIGHT_BITS)).floor_().clamp_(0, TOP_HIDDEN)


def _integers(array: Any) -> NDArray[np.int32]:
    values = array.numpy() if isinstance(array, Tensor) else np.asarray(array)
    if values.dtype.kind not in "iu":
        raise ModelError("lapped16: the hyperprior's weights must be integers")
    return values.astype(np.int32)
