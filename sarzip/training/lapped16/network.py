"""The networks of `lapped16` in torch, for training: the fixed lapped transform and the hyperprior.

Between the transforms everything works in units of the quantiser's step. There is no network after
dequantisation: one of two 3×3 layers of 128 channels at latent resolution, which saw all dequantised latents
and the hyperprior's features, left the squared error of held-out latents unchanged within 0.1 %, trained
jointly or alone. Nor are the transforms learned: two free ones of 48×48 taps gained 0.2 % of the rate.

Only the classes of `HyperSynthesis` must be exact: its weights and activations are integers (see
hyperprior.py).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sarzip.codec.lapped16 import transform as lapped_transform
from sarzip.codec.lapped16.codec import Lapped16Config
from sarzip.codec.lapped16.scale_classes import CLASS_BASE, CLASS_STEP, CLASSES, SIDE_CLIP
from sarzip.codec.lapped16.transform import CHANNELS, STRIDE

OVERLAP = 8
"""Pixels of context that a window of latents needs on each side; in latents, one."""

BANDS = (0, 1, 2, 3, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 7, 7)
"""Band of each of the 16 frequencies; 8×8 of them make the zones the encoder's network sees."""
ZONES = 64
SIGNED = 4
"""Low channels that it sees with their sign."""

KNOTS = 8
"""Biases that depend on the step are linear between knots at log2(step / dB) = -2, -1, .. 5."""
FIRST_KNOT = -2.0

CLASS_CHANGE = 10.0
"""Classes that a unit of the parameters of a step's classes is worth, so that one learning rate serves all
parts of the model.
"""

WEIGHT_ONE = 64
"""Integer weights count 1/64."""
ACTIVATION_ONE = 16
"""Integer activations count 1/16, 0..255."""


def knot_weights(log_step: Tensor) -> Tensor:
    """Interpolation weights (B, KNOTS) of log2 steps (B,)."""
    position = (log_step - FIRST_KNOT).clamp(0, KNOTS - 1)
    knots = torch.arange(KNOTS, device=log_step.device, dtype=log_step.dtype)
    return (1 - (position[:, None] - knots[None]).abs()).clamp_min(0)


def knot_bias(table: Tensor, weights: Tensor) -> Tensor:
    """(B, C, 1, 1) bias from a table (KNOTS, C) and weights (B, KNOTS)."""
    return (weights @ table)[:, :, None, None]


def mirror(planes: Tensor, halo: int, signs: Tensor | None) -> Tensor:
    """Extend planes (B, C, h, w) by `halo` samples on each side by half-sample symmetric reflection.

    signs: (2, C) of mirrored rows and columns, for latents; None for pixels and for features without parity.
    """
    for axis in (2, 3):
        sign = None if signs is None else signs[axis - 2][:, None, None].to(planes.dtype)
        planes = _mirror_axis(planes, halo, axis, sign)
    return planes


def _mirror_axis(planes: Tensor, halo: int, axis: int, sign: Tensor | None) -> Tensor:
    size = planes.shape[axis]
    if halo > size:  # tiny scenes: reflect as often as needed
        planes = _mirror_axis(planes, size, axis, sign)
        middle = _mirror_axis(planes, halo - size, axis, sign) if halo - size <= size * 3 else None
        if middle is None:
            raise ValueError("halo is far larger than the planes")
        return middle
    before = planes.narrow(axis, 0, halo).flip(axis)
    after = planes.narrow(axis, size - halo, halo).flip(axis)
    if sign is not None:
        before, after = before * sign, after * sign
    return torch.cat([before, planes, after], axis)


def swap_squares(planes: Tensor) -> Tensor:
    """Haar transform of the 2×2 squares of the lowest channel of (B, C, h, w), h and w even; self-inverse."""
    low = planes[:, :1]
    a, b, c, d = low[..., ::2, ::2], low[..., ::2, 1::2], low[..., 1::2, ::2], low[..., 1::2, 1::2]
    parts = torch.cat([a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d], 1)
    return torch.cat([F.pixel_shuffle(0.5 * parts, 2), planes[:, 1:]], 1)


def through(value: Tensor, target: Tensor) -> Tensor:
    """`target` forward, gradient to `value`."""
    return value + (target - value).detach()


def round_through(value: Tensor) -> Tensor:
    """Round with a straight-through gradient."""
    return through(value, torch.round(value))


def compress(value: Tensor) -> Tensor:
    """Signed logarithm, linear near zero: keeps large latents from swamping a layer."""
    return torch.copysign(torch.log1p(value.abs()), value)


class Transform(nn.Module):
    """The lapped orthogonal transform (lapped_transform.basis) along both axes: no parameters, and
    orthonormal, so that squared errors of latents are those of pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        order = lapped_transform.channel_order()
        index = order[:, 0] * STRIDE + order[:, 1]
        self.basis: Tensor
        self.index: Tensor
        self.places: Tensor
        self.signs: Tensor
        basis = torch.from_numpy(lapped_transform.basis()).float()
        self.register_buffer("basis", basis, persistent=False)
        self.register_buffer("index", torch.from_numpy(index), persistent=False)
        self.register_buffer("places", torch.from_numpy(np.argsort(index)), persistent=False)
        self.register_buffer("signs", torch.from_numpy(lapped_transform.mirror_signs()), persistent=False)

    def analyse(self, signal: Tensor) -> Tensor:
        """Signal (B, 1, 16h, 16w) to latents (B, 256, h, w); mirrored at its borders."""
        wide = mirror(signal, OVERLAP, None)[:, 0]
        columns = self._blocks(wide)  # (B, 16h + 16, w, 16)
        both = self._blocks(columns.permute(0, 2, 3, 1))  # (B, w, 16, h, 16)
        return both.permute(0, 4, 2, 3, 1).flatten(1, 2)[:, self.index]

    def synthesise(self, latents: Tensor) -> Tensor:
        """Latents (B, 256, h, w) to signal (B, 1, 16h, 16w); the inverse of `analyse`."""
        wide = mirror(latents, 1, self.signs)[:, self.places].unflatten(1, (STRIDE, STRIDE))
        columns = self._overlap(wide.permute(0, 1, 3, 4, 2))  # (B, 16, h + 2, 16w)
        return self._overlap(columns.permute(0, 3, 2, 1)).transpose(1, 2)[:, None]

    def _blocks(self, samples: Tensor) -> Tensor:
        """Samples (..., 16n + 16) to coefficients (..., n, 16)."""
        parts = samples.unflatten(-1, (-1, STRIDE))
        left, right = self.basis[:, :STRIDE].T, self.basis[:, STRIDE:].T
        return parts[..., :-1, :] @ left + parts[..., 1:, :] @ right

    def _overlap(self, coefficients: Tensor) -> Tensor:
        """Coefficients (..., n + 2, 16) of blocks with a neighbour at each end to samples (..., 16n)."""
        parts = coefficients @ self.basis
        joined = parts[..., :-1, STRIDE:] + parts[..., 1:, :STRIDE]
        return joined.flatten(-2)[..., OVERLAP:-OVERLAP]


class BiasedConv(nn.Conv2d):
    """A convolution that has a bias, and says so to the type checker."""

    bias: Tensor


def zones() -> NDArray[np.uint8]:
    """Zone uint8 (256,) of every channel: bands of row frequencies times bands of column frequencies."""
    order = lapped_transform.channel_order()
    bands = np.array(BANDS)
    return np.asarray(8 * bands[order[:, 0]] + bands[order[:, 1]], np.uint8)


class HyperAnalysis(nn.Module):
    """Latents in steps (B, 256, h, w), h and w even, to hyper-latents (B, side, h/2, w/2) before rounding.

    What the layers see of a square of 2×2 latents is the logarithm of the mean magnitude in each of the 64
    zones of each latent, and a few signed low channels: every layer is a matrix product at half of the
    latents' resolution.
    """

    def __init__(self, config: Lapped16Config) -> None:
        super().__init__()
        width = config.analysis_width
        self.means = config.means
        self.inward = BiasedConv(4 * (ZONES + SIGNED), width, 1)
        self.knots = nn.Parameter(torch.zeros(KNOTS, width))
        self.mix = BiasedConv(width, width, 3, padding=1, padding_mode="replicate")
        self.out = BiasedConv(width, config.side, 1)
        self.direct = nn.Conv2d(config.means, config.side, 2, 2, bias=False)
        self.pool: Tensor
        zone = torch.from_numpy(zones()).long()
        pool = F.one_hot(zone, ZONES).T.float()
        self.register_buffer("pool", pool / pool.sum(1, keepdim=True), persistent=False)
        with torch.no_grad():
            self.out.weight.mul_(0.1)
            self.out.bias.zero_()
            self.direct.weight.zero_()
            self.direct.weight[0, 0] = 1.0 / 16

    def features(self, units: Tensor) -> Tensor:
        """What the first layer sees (B, 4 · (ZONES + SIGNED), h/2, w/2): by place in the square, then by
        kind.
        """
        levels = torch.log1p(torch.einsum("zc,bchw->bzhw", self.pool, units.abs()))
        parts = torch.cat([levels, compress(units[:, :SIGNED])], 1)
        return torch.cat([parts[:, :, dy::2, dx::2] for dy in (0, 1) for dx in (0, 1)], 1)

    def forward(self, units: Tensor, weights: Tensor) -> Tensor:
        """units: latents / step. weights: of the knots (B, KNOTS)."""
        with torch.no_grad(), torch.autocast(units.device.type, enabled=False):
            features = self.features(units)
        x = F.relu(self.inward(features) + knot_bias(self.knots, weights))
        x = x + F.relu(self.mix(x))
        return self.out(x) + self.direct(units[:, : self.means])


def _first_classes() -> Tensor:
    """(KNOTS, 256) classes of a spectrum typical of SAR scenes in dB, to start from."""
    order = torch.from_numpy(lapped_transform.channel_order()).float()
    deviation = 2.0 + 10.0 / (1.0 + order.norm(dim=1))  # dB
    steps = torch.exp2(torch.arange(KNOTS) + FIRST_KNOT)
    return (torch.log(deviation[None] / steps[:, None] / CLASS_BASE) / CLASS_STEP).clamp(2, CLASSES - 3)


class HyperSynthesis(nn.Module):
    """Integer hyper-latents to the class of every coefficient (exact) and means (floating
    point).
    """

    def __init__(self, config: Lapped16Config) -> None:
        super().__init__()
        side, hidden, inner = config.side, config.hidden, config.inner
        self.means = config.means
        self.first = BiasedConv(side, hidden, 3)
        self.up = BiasedConv(hidden, 4 * inner, 1)
        self.mid = BiasedConv(inner, inner, 1)
        self.last = BiasedConv(inner, CHANNELS, 1)
        self.first_knots = nn.Parameter(torch.zeros(KNOTS, hidden))
        self.first_classes: Tensor
        self.register_buffer("first_classes", _first_classes(), persistent=False)
        self.last_change = nn.Parameter(torch.zeros(KNOTS, CHANNELS))
        self.mean = nn.Conv2d(side, 4 * config.means, 3, bias=False)
        with torch.no_grad():
            self.mean.weight.zero_()
            self.mean.weight[0:4, 0, 1, 1] = 4.0
            self.first.weight.mul_(0.5)
            self.last.bias.zero_()

    def last_knots(self) -> Tensor:
        """Classes (KNOTS, 256) before what the hyper-latents say."""
        return self.first_classes + CLASS_CHANGE * self.last_change

    @staticmethod
    def integer(weight: Tensor) -> Tensor:
        """Weight rounded to multiples of 1/WEIGHT_ONE within ±127 of them, straight-through."""
        return through(weight, torch.round(weight * WEIGHT_ONE).clamp(-127, 127) / WEIGHT_ONE)

    @staticmethod
    def bias(value: Tensor) -> Tensor:
        """Bias on the grid of the accumulators (of activations, or of classes)."""
        one = WEIGHT_ONE * ACTIVATION_ONE
        return through(value, torch.round(value * one) / one)

    @staticmethod
    def activate(x: Tensor) -> Tensor:
        """Integer activation: floor to 1/ACTIVATION_ONE in 0..255."""
        y = x.clamp(0, 255 / ACTIVATION_ONE)
        return through(y, torch.floor(y * ACTIVATION_ONE) / ACTIVATION_ONE)

    def forward(self, side: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Class (B, 256, h, w) before rounding, means (B, means, h, w)."""
        padded = F.pad(side, (1, 1, 1, 1), mode="replicate")
        x = F.conv2d(padded.clamp(-SIDE_CLIP, SIDE_CLIP), self.integer(self.first.weight))
        x = self.activate(
            x + self.bias(self.first.bias[None, :, None, None] + knot_bias(self.first_knots, weights))
        )
        x = F.conv2d(x, self.integer(self.up.weight)) + self.bias(self.up.bias)[None, :, None, None]
        x = self.activate(F.pixel_shuffle(x, 2))
        x = F.conv2d(x, self.integer(self.mid.weight)) + self.bias(self.mid.bias)[None, :, None, None]
        x = self.activate(x)
        classes = F.conv2d(x, self.integer(self.last.weight))
        classes = classes + self.bias(
            self.last.bias[None, :, None, None] + knot_bias(self.last_knots(), weights)
        )
        means = F.pixel_shuffle(F.conv2d(padded, self.mean.weight), 2)
        return classes, means


class SidePrior(nn.Module):
    """Rate of the hyper-latents: integer prediction from three decoded neighbours, a class per channel and
    step.
    """

    def __init__(self, config: Lapped16Config) -> None:
        super().__init__()
        self.neighbours = nn.Parameter(torch.tensor([0.5, 0.5, -0.25]).repeat(config.side, 1))
        self.change = nn.Parameter(torch.zeros(KNOTS, config.side))

    def knots(self) -> Tensor:
        """Classes (KNOTS, side)."""
        return 16.0 + CLASS_CHANGE * self.change

    def coefficients(self) -> Tensor:
        """Weights of left, above, above-left in sixteenths."""
        return through(self.neighbours, torch.round(self.neighbours * 16).clamp(-32, 32) / 16)

    def predict(self, side: Tensor) -> Tensor:
        """Integer prediction of hyper-latents (B, side, h, w) from causal neighbours, zero outside."""
        p = F.pad(side, (1, 0, 1, 0))
        c = self.coefficients()[:, :, None, None]
        raw = c[:, 0] * p[:, :, 1:, :-1] + c[:, 1] * p[:, :, :-1, 1:] + c[:, 2] * p[:, :, :-1, :-1]
        return through(raw, torch.floor(raw + 0.5))

    def forward(self, weights: Tensor) -> Tensor:
        """Class (B, side, 1, 1) before rounding."""
        return knot_bias(self.knots(), weights)


class Lapped16(nn.Module):
    """All parts; `forward` is the training path."""

    def __init__(self, config: Lapped16Config) -> None:
        super().__init__()
        self.config = config
        self.transform = Transform()
        self.hyper_analysis = HyperAnalysis(config)
        self.hyper = HyperSynthesis(config)
        self.side_prior = SidePrior(config)


def class_scale(classes: Tensor) -> Tensor:
    """Standard deviation in steps of (continuous) classes."""
    return CLASS_BASE * torch.exp(CLASS_STEP * classes.clamp(0, CLASSES - 1))


_INV_SQRT2 = 1 / math.sqrt(2.0)


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Bits of a unit interval around `value` under a zero-mean Gaussian, with a floor for outliers."""
    a = value.abs()
    inv = _INV_SQRT2 / scale
    p = 0.5 * (torch.erf((a + 0.5) * inv) - torch.erf((a - 0.5) * inv))
    return -torch.log2(p + 2e-5 / (1 + 0.1 * a * a))
