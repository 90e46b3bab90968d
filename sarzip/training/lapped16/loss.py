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

Training sees no tilt: continued with those that groups of their own would get, for half of the crops, a model
came out no better.
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

from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.codec import Lapped16Config
from sarzip.codec.lapped16.scale_classes import ratios
from sarzip.errors import ModelError
from sarzip.training.lapped16 import network as net
from sarzip.training.lapped16.augment import augment
from sarzip.training.lapped16.export import export_network, fit_entropy, start_network
from sarzip.training.lapped16.rd_cost import LatentCost, code_lengths, pulls

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
    """`lapped16` as `sarzip train` sees it (the Trainable protocol of sarzip.training.trainable)."""

    def __init__(self, config: Lapped16Config, loss: Lapped16Loss) -> None:
        super().__init__()
        self.network = net.Lapped16(config)
        self.settings = loss
        self._collecting = False
        self._kept: tuple[list[Any], list[Any], list[Any], list[Any]] = ([], [], [], [])
        self._cost_tables = (code_lengths(ratios(), loss.weight), pulls(ratios()), loss.weight)
        # Hyper-latents are rounded to the nearest: no error is worth anything.
        self._side_lengths = code_lengths(ratios(), math.inf)

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

    def _keep(self, centred: Tensor, classes: Tensor, residual: Tensor, side_classes: Tensor) -> None:
        """Remember the first crop of a batch as an encoder would code it."""
        if sum(part.size for part in self._kept[0]) >= COLLECTED:
            return
        first = [x[:1] for x in (centred, classes, residual, side_classes)]
        classes, side_classes = self._moved(*first)
        start = int(torch.randint(THINNED, ()))
        thin = [x[0].flatten(1)[:, start::THINNED] for x in (centred, classes)]
        values = (*thin, residual[0], side_classes[0].expand_as(residual[0]))
        for kept, value, kind in zip(self._kept, values, _KINDS, strict=True):
            kept.append(value.detach().reshape(-1).cpu().numpy().astype(kind))

    @torch.no_grad()
    def _moved(
        self, centred: Tensor, classes: Tensor, residual: Tensor, side_classes: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Classes of latents (B, 256, h, w) and hyper-latents (B, S, 1, 1), rounded and moved as an encoder
        moves those of a group.
        """
        lengths, _, weight = self._cost_tables
        basis, top = lapped_tilt.integer_basis(), net.CLASSES - 1
        moved, side_moved = torch.round(classes), torch.round(side_classes)
        for crop, units in enumerate(centred):
            planes = [x.flatten(1).cpu().contiguous().numpy() for x in (units, moved[crop])]
            tilt = lapped_tilt.fit(planes[0], planes[1].clip(0, top).astype(np.uint8), lengths, weight)
            offsets = torch.from_numpy(lapped_tilt.offsets(tilt, basis)).to(moved)
            moved[crop] += offsets[:, None, None]
            row = side_moved[crop].flatten().cpu().numpy().clip(0, top).astype(np.uint8)
            coded = residual[crop].flatten(1).cpu().numpy().round().astype(np.int32)
            moves = torch.from_numpy(lapped_tilt.fit_side(coded, row, self._side_lengths)).to(side_moved)
            side_moved[crop] += lapped_tilt.SIDE_UNIT * moves[:, None, None]
        return moved.clamp_(0, top), side_moved.clamp_(0, top)

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
            expected = model.side_prior.predict(whole)
            residual = (side + _noise(side) if noisy else whole) - expected
            side_classes = model.side_prior(weights)
            classes, means = model.hyper(whole, weights)
            mean = F.pad(means, (0, 0, 0, 0, 0, net.CHANNELS - means.shape[1]))
            centred = net.swap_squares(units - mean)
            if not noisy:
                classes, side_classes = self._moved(centred, classes, whole - expected, side_classes)
            side_bits = net.gaussian_bits(residual, net.class_scale(side_classes))
            cost, bits, rounded = LatentCost.apply(centred, classes, *self._cost_tables)  # type: ignore[no-untyped-call]
            if noisy and self._collecting:
                self._keep(centred, classes, whole - expected, side_classes)
        return Coded(
            bits.sum((1, 2, 3)) / pixels,
            side_bits.sum((1, 2, 3)) / pixels,
            cost.sum((1, 2, 3)) / pixels,
            rounded,
            mean,
        )


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
