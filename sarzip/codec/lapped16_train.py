"""How `lapped16` learns: one model for every step, rate and distortion weighed as a uniform quantiser weighs
them.

Each crop of a batch is coded at its own step Δ, drawn log-uniformly. Its loss is

    (bits per pixel + weight · mse / Δ²) / (level + bits per pixel, held constant)

A uniform quantiser at high resolution has d bits / d mse = -6 / (ln 2 · Δ²): with that weight (8.7) a step of
Δ is what the trade-off asks for at high rates. The division makes a per cent of rate count the same at every
quality, as a BD-rate does. The transform is fixed and orthonormal, so that squared errors are those of the
latents; they are quantised as the encoder does it (lapped16_cost). Only the hyper-latents' rate is a
Gaussian's with additive uniform noise, because its gradient must reach the encoder's network; what the
decoder sees of them is rounded, with a straight-through gradient.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sarzip.codec import lapped16_net as net
from sarzip.codec import lapped_tilt
from sarzip.codec.hyperprior_steps import ratios
from sarzip.codec.lapped16 import Lapped16Config
from sarzip.codec.lapped16_augment import augment
from sarzip.codec.lapped16_cost import LatentCost, code_lengths, pulls
from sarzip.codec.lapped_export import export_network, fit_entropy, start_network
from sarzip.errors import ModelError

COLLECT_FROM = 0.97
"""Share of the training after which coefficients are kept."""
COLLECTED = 16_000_000
THINNED = 4
"""Of how many latents of a crop one is kept, so that they come from many crops."""
_KINDS = (np.float32, np.uint8, np.float32, np.uint8)


@dataclass(frozen=True)
class Lapped16Loss:
    """Range of steps (dB), weight of mse / step², rate (bits per pixel) below which crops count less, whether
    crops are changed.
    """

    step_low: float = 0.4
    step_high: float = 24.0
    weight: float = 8.5
    level: float = 0.02
    augment: bool = True

    def __post_init__(self) -> None:
        """Reject an empty range (ModelError)."""
        if not 0 < self.step_low <= self.step_high or self.weight <= 0 or self.level <= 0:
            raise ModelError("lapped16: loss needs 0 < step_low <= step_high, weight > 0, level > 0")


@dataclass(frozen=True)
class Coded:
    """What coding a batch gives: per crop (B,) bits per pixel of latents and of side, and the cost of the
    latents (bits + weight · mse / step²); in steps (B, 256, h, w) quantised latents and their means.
    """

    latent_bits: Tensor
    side_bits: Tensor
    cost: Tensor
    rounded: Tensor
    mean: Tensor


class Lapped16Trainable(nn.Module):
    """`lapped16` as `sarzip train` sees it (the Trainable protocol of sarzip.usecases.training)."""

    def __init__(self, config: Lapped16Config, loss: Lapped16Loss) -> None:
        super().__init__()
        self.network = net.Lapped16(config)
        self.settings = loss
        self._collecting = False
        self._kept: tuple[list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [])
        self.tilt_basis: Tensor
        basis = torch.from_numpy(lapped_tilt.float_basis()).float()
        self.register_buffer("tilt_basis", basis, persistent=False)
        self._cost_tables = (code_lengths(ratios(), loss.weight), pulls(ratios()), loss.weight)

    def config(self) -> dict[str, Any]:
        """The architecture, for the card."""
        return self.network.config.to_mapping()

    def receptive_field(self) -> int:
        """Pixels on a side that one latent sees; the hyperprior sees some latents more around it."""
        return net.STRIDE + 2 * net.OVERLAP

    def start(self, tensors: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take over what fits of a released model: hidden units that it has more of are left out by
        importance.
        """
        start_network(self.network, tensors)

    def set_progress(self, fraction: float) -> None:
        """Towards the end of training, keep coefficients and classes to fit the entropy coder's tables to."""
        self._collecting = fraction >= COLLECT_FROM

    def export(self) -> dict[str, Tensor]:
        """The released tensors: folded, made integer, and tables fitted to what the last steps coded."""
        coefficients, classes, side, side_classes = (
            np.concatenate(part) if part else np.empty(0, kind)
            for part, kind in zip(self._kept, _KINDS, strict=True)
        )
        return export_network(self.network) | fit_entropy(coefficients, classes, side, side_classes)

    def training_loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: (N, 1, H, W) dB, H and W multiples of 32."""
        if self.settings.augment:
            batch = augment(batch)
        low, high = math.log2(self.settings.step_low), math.log2(self.settings.step_high)
        log_step = low + (high - low) * torch.rand(batch.shape[0], device=batch.device)
        coded = self.code(batch, log_step, noisy=True)
        bits = (coded.latent_bits + coded.side_bits).detach()
        cost = (coded.cost + coded.side_bits) / (self.settings.level + bits)
        mse = (coded.cost - coded.latent_bits) / self.settings.weight
        logs = {"bpp": bits.mean(), "side": (coded.side_bits / bits).mean(), "mse/step2": mse.mean()}
        return cost.mean(), {name: value.detach() for name, value in logs.items()}

    @torch.no_grad()
    def evaluate(self, batch: Tensor, step: float) -> tuple[Tensor, float]:
        """Decoded batch, and bits per pixel as the start tables estimate them."""
        log_step = torch.full((batch.shape[0],), math.log2(step), device=batch.device)
        coded = self.code(batch, log_step, noisy=False)
        latents = net.swap_squares(coded.rounded) + coded.mean
        decoded = self.network.transform.synthesise(latents * step)
        return decoded, float((coded.latent_bits + coded.side_bits).mean())

    @torch.no_grad()
    def _tilt(self, centred: Tensor, scale: Tensor) -> Tensor:
        """What the encoder's tilt adds to the classes (B, 256, 1, 1): lapped_tilt.fit, once and unrounded."""
        found, expected = centred.square().mean((2, 3)), scale.square().mean((2, 3))
        share = (expected / (expected + 1 / 12)).clamp_min(0.05)
        wanted = 0.5 * torch.log((found + 1 / 12) / (expected + 1 / 12)) / net.CLASS_STEP / share
        variance = scale.square()
        information = 2 * (variance / (variance + 1 / 12)).square().sum((2, 3)) * net.CLASS_STEP**2
        weighted = information[:, :, None] * self.tilt_basis
        normal = self.tilt_basis.T @ weighted + 20.0 * torch.eye(
            self.tilt_basis.shape[1], device=scale.device
        )
        right = (weighted * wanted.clamp(-10, 10)[:, :, None]).sum(1)
        tilt = torch.linalg.solve(normal, right)
        return (tilt @ self.tilt_basis.T)[:, :, None, None]

    @torch.no_grad()
    def _keep(self, centred: Tensor, classes: Tensor, residual: Tensor, side_classes: Tensor) -> None:
        """Remember one crop of a batch as an encoder would code it."""
        if sum(part.size for part in self._kept[0]) >= COLLECTED:
            return
        moved = torch.round(classes) + torch.round(self._tilt(centred, net.class_scale(classes)))
        units = _side_moves(residual, net.class_scale(side_classes)) / lapped_tilt.SIDE_UNIT
        side_moved = torch.round(side_classes) + lapped_tilt.SIDE_UNIT * torch.round(units)
        start = int(torch.randint(THINNED, ()))
        thin = [x[0].flatten(1)[:, start::THINNED] for x in (centred, moved)]
        values = (*thin, residual[0], side_moved[0].expand_as(residual[0]))
        for kept, value, kind in zip(self._kept, values, _KINDS, strict=True):
            limited = value if kind is np.float32 else value.clamp(0, net.CLASSES - 1)
            kept.append(limited.reshape(-1).float().cpu().numpy().astype(kind))

    def code(self, batch: Tensor, log_step: Tensor, noisy: bool) -> Coded:
        """Code a batch at log2 steps (N,). `noisy`: for training; otherwise as an encoder does it."""
        model = self.network
        pixels = batch.shape[2] * batch.shape[3]
        weights = net.knot_weights(log_step)
        with torch.no_grad(), torch.autocast(batch.device.type, enabled=False):
            units = model.transform.analyse(batch) / torch.exp2(log_step)[:, None, None, None]
        side = model.hyper_analysis(units, weights)
        with torch.autocast(batch.device.type, enabled=False):
            side = side.float()
            whole = net.round_through(side)
            residual = (side + _noise(side) if noisy else whole) - model.side_prior.predict(whole)
            side_classes = model.side_prior(weights)
            if not noisy:
                moves = _side_moves(residual, net.class_scale(side_classes)) / lapped_tilt.SIDE_UNIT
                side_classes = torch.round(side_classes) + lapped_tilt.SIDE_UNIT * torch.round(moves)
            side_bits = net.gaussian_bits(residual, net.class_scale(side_classes))
            classes, means = model.hyper(whole, weights)
            mean = F.pad(means, (0, 0, 0, 0, 0, net.CHANNELS - means.shape[1]))
            centred = net.swap_squares(units - mean)
            if not noisy:
                classes = torch.round(classes) + torch.round(self._tilt(centred, net.class_scale(classes)))
            cost, bits, rounded = LatentCost.apply(centred, classes, *self._cost_tables)  # type: ignore[no-untyped-call]
            if noisy and self._collecting:
                self._keep(centred, classes, whole - model.side_prior.predict(whole), side_classes)
        return Coded(
            bits.sum((1, 2, 3)) / pixels,
            side_bits.sum((1, 2, 3)) / pixels,
            cost.sum((1, 2, 3)) / pixels,
            rounded,
            mean,
        )


@torch.no_grad()
def _side_moves(residual: Tensor, scale: Tensor) -> Tensor:
    """What the encoder adds to the classes of the side information (B, S, 1, 1): lapped_tilt.fit_side,
    unrounded.
    """
    samples = residual.shape[2] * residual.shape[3]
    found = residual.square().mean((2, 3), keepdim=True) + 1 / 12
    expected = scale.square() + 1 / 12
    share = (1 - 1 / (12 * expected)).clamp_min(0.05)
    wanted = 0.5 * torch.log(found / expected) / net.CLASS_STEP / share
    top = lapped_tilt.SIDE_TOP * lapped_tilt.SIDE_UNIT
    return (wanted * samples / (samples + lapped_tilt.SIDE_DOUBT)).clamp(-top, top)


def _noise(like: Tensor) -> Tensor:
    return torch.rand_like(like) - 0.5


def build_trainable(architecture: Mapping[str, Any], loss: Mapping[str, Any]) -> Lapped16Trainable:
    """The module from the recipe's tables; ModelError for settings that are not known."""
    for table, kind in ((architecture, Lapped16Config), (loss, Lapped16Loss)):
        known = {f.name for f in fields(kind)}
        if unknown := sorted(set(table) - known):
            raise ModelError(
                f"lapped16: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
    return Lapped16Trainable(Lapped16Config(**dict(architecture)), Lapped16Loss(**dict(loss)))
