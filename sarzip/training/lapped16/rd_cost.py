"""What coding a latent costs, as `lapped16` learns it: bits and squared error through a rate-distortion
optimised uniform quantiser.

Additive noise, the usual stand-in for rounding, charges about σ bits for coefficients that are in truth
always zero; at coarse steps those are nearly all. So the quantiser is real here. The cost of a coefficient u
of class c is

    J(u, c) = min over integers q of  bits(q, c) + weight · (u - q)²

and its derivative, wherever it exists, is that at the best q held fixed: nothing needs to be smoothed. The
code lengths are those of a Gaussian with a thin wide tail behind that very quantiser, a fixed point found
once.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.jit.compile import compiled

MAGNITUDES = 256
_SMOOTH_FROM = 1.0  # standard deviation in steps from which the derivative in u is that of the Gaussian
_STEEPEST = 8.0  # bits per step
_ROUNDS = 40


def code_lengths(ratios: NDArray[np.float64], weight: float) -> NDArray[np.float32]:
    """Bits float32 (K, MAGNITUDES) of the magnitudes of classes whose sigma / step is `ratios`."""
    edges = np.arange(1, MAGNITUDES + 1) - 0.5
    floor = 2e-5 / (1 + 0.1 * np.arange(MAGNITUDES) ** 2)
    out = np.empty((len(ratios), MAGNITUDES))
    for row, sigma in zip(out, ratios, strict=True):
        lengths = np.zeros(MAGNITUDES)
        for _ in range(_ROUNDS):
            at = np.maximum.accumulate(edges + 0.5 / weight * np.diff(lengths, append=lengths[-1]))
            above = 0.995 * _above(at / sigma) + 0.005 * _above(at / (3 * sigma))
            mass = np.concatenate([[1 - 2 * above[0]], above[:-1] - above[1:]])
            lengths = -np.log2(np.maximum(mass, 0) + floor)
        row[:] = lengths
    return out.astype(np.float32)


def pulls(ratios: NDArray[np.float64]) -> NDArray[np.float32]:
    """Derivative of the bits by u, over u, of the classes wide enough for a smooth one; 0 of the others."""
    return np.where(ratios > _SMOOTH_FROM, 1 / (math.log(2.0) * ratios**2), 0).astype(np.float32)


def _above(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability that a standard Gaussian exceeds x."""
    return np.array([0.5 * math.erfc(value / math.sqrt(2.0)) for value in x])


@compiled(
    "void(float32[::1], float32[::1], float32[:,::1], float32[::1], float32,"
    " float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])"
)
def _cost(units, classes, lengths, pull, weight, cost, bits, rounded, push, slope):  # type: ignore[no-untyped-def]
    top = np.float32(lengths.shape[0] - 1)
    last = np.float32(MAGNITUDES - 1)
    for i in range(units.shape[0]):
        u = units[i]
        a = min(abs(u), last)
        place = min(max(classes[i], np.float32(0)), top)
        k = min(np.int64(place), np.int64(lengths.shape[0] - 2))
        part = place - np.float32(k)
        low = np.int64(max(a - np.float32(0.25), np.float32(0)))
        low = min(low, np.int64(MAGNITUDES - 2))
        slope0 = lengths[k + 1, low] - lengths[k, low]
        slope1 = lengths[k + 1, low + 1] - lengths[k, low + 1]
        bits0 = lengths[k, low] + part * slope0
        bits1 = lengths[k, low + 1] + part * slope1
        e0 = a - np.float32(low)
        e1 = e0 - np.float32(1)
        cost0 = bits0 + weight * e0 * e0
        cost1 = bits1 + weight * e1 * e1
        up = cost1 < cost0
        error = e1 if up else e0
        cost[i] = cost1 if up else cost0
        bits[i] = bits1 if up else bits0
        slope[i] = slope1 if up else slope0
        q = np.float32(low) + (np.float32(1) if up else np.float32(0))
        smooth = min(a * pull[k], np.float32(_STEEPEST))
        p = smooth if pull[k] > np.float32(0) else np.float32(2) * weight * error
        rounded[i] = -q if u < 0 else q
        push[i] = -p if u < 0 else p


class LatentCost(torch.autograd.Function):
    """Latents in steps and their (continuous) classes to J, to bits (no gradient) and to q (no gradient).

    Computed on the CPU whatever the device: it is one pass over the latents.
    """

    @staticmethod
    def forward(
        ctx: Any,
        units: Tensor,
        classes: Tensor,
        lengths: NDArray[np.float32],
        pull: NDArray[np.float32],
        weight: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """lengths: of `code_lengths`. pull: of `pulls`."""
        flat = [x.detach().float().cpu().contiguous().reshape(-1).numpy() for x in (units, classes)]
        results = [np.empty_like(flat[0]) for _ in range(5)]
        _cost(*flat, lengths, pull, np.float32(weight), *results)
        cost, bits, rounded, push, slope = (
            torch.from_numpy(x).reshape(units.shape).to(units.device) for x in results
        )
        ctx.save_for_backward(push, slope)
        ctx.mark_non_differentiable(bits, rounded)
        return cost, bits, rounded

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Derivatives of J by units and classes."""
        push, slope = ctx.saved_tensors
        return grads[0] * push, grads[0] * slope, None, None, None
