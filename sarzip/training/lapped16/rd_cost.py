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

from sarzip.native import kernel

MAGNITUDES = 256
_SMOOTH_FROM = 1.0  # standard deviation in steps from which the derivative in u is that of the Gaussian
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


_cost = kernel(
    "latent_cost",
    "void(const float32[::1], const float32[::1], int64, const float32[:,::1], int64, const float32[::1], "
    "float64, float32[::1], float32[::1], float32[::1], float32[::1], float32[::1])",
)


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
        _cost(*flat, flat[0].size, lengths, len(lengths), pull, weight, *results)
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
