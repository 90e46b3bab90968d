"""How the network of `predictive` learns: the ideal code length of pixels, quantised at random steps.

A batch of crops is quantised in dB with steps from a fiftieth of the noise to the noise itself, run through
the encoder's own contexts (integers, see native/pixel.h), and some of its pixels are drawn. The network, here
in floating point, gives a mean, a scale and a shape for each; the loss is the number of bits of the interval
that the pixel fell into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sarzip.codec.predictive.contexts import contexts
from sarzip.codec.predictive.distributions import (
    LEAST_CHANCE,
    LEAST_SCALE,
    MOST_SCALE,
    SHAPES,
    STEPS_PER_DEVIATION,
    TABLE_LEAST,
    TABLE_STEPS,
)
from sarzip.codec.predictive.fit import STATISTIC, STATISTICS, UNITS, fit
from sarzip.codec.predictive.network import HIDDEN, INPUTS, MOST_ACTIVE, integer_network
from sarzip.errors import ModelError

_LOOKS = np.geomspace(0.35, 40.0, SHAPES)
_TAIL, _TAIL_WIDTH = 0.03, 1.3


@dataclass(frozen=True)
class PixelLoss:
    """step_low, step_high: width of a cell in dB. pixels: drawn from each crop."""

    step_low: float = 0.03
    step_high: float = 3.0
    pixels: int = 6144

    def __post_init__(self) -> None:
        if not 0 < self.step_low <= self.step_high or self.pixels < 1:
            raise ModelError("predictive: loss needs 0 < step_low <= step_high and pixels >= 1")


@dataclass(frozen=True)
class Sample:
    """Pixels for the network. inputs: float32 (N, INPUTS + STATISTICS). low, high: edges of their cells from
    the prediction, in σ, float32 (N).
    """

    inputs: Tensor
    low: Tensor
    high: Tensor


class PixelTrainable(nn.Module):
    """`predictive` as `sarzip train` sees it (the Trainable protocol of sarzip.training.trainable)."""

    def __init__(self, loss: PixelLoss) -> None:
        super().__init__()
        self.settings = loss
        self.first = nn.Linear(INPUTS + STATISTICS, HIDDEN)
        self.second = nn.Linear(HIDDEN, HIDDEN)
        self.last = nn.Linear(HIDDEN, 3)
        with torch.no_grad():
            self.last.weight *= 0.2
            self.last.bias.copy_(torch.tensor([0.0, -0.8, 5.0]))
        self.table: Tensor
        self.register_buffer("table", torch.from_numpy(shape_table()).float())

    def config(self) -> dict[str, Any]:
        """The architecture, for the card: there are no parameters."""
        return {}

    def receptive_field(self) -> int:
        """Pixels on a side that are looked at directly; running means look further."""
        return 7

    def set_progress(self, fraction: float) -> None:
        """See Trainable."""

    def training_loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean bits of pixels of a batch (N, 1, H, W) in dB, and what is worth logging."""
        low, high = self.settings.step_low, self.settings.step_high
        rng = np.random.default_rng(int(torch.randint(1 << 31, ()).item()))
        parts = []
        for crop in batch[:, 0].cpu().numpy():
            step = low * (high / low) ** rng.random()
            parts.append(sample_pixels(crop, step, self.settings.pixels, rng))
        joined = Sample(
            *(torch.cat(each).to(batch.device) for each in zip(*map(_fields, parts), strict=True))
        )
        bits = self._bits(joined).mean()
        return bits, {"bpp": bits}

    def _bits(self, sample: Sample, whole: bool = False) -> Tensor:
        """Ideal code length of each pixel; whole: with scale and shape as integers, as coded."""
        x = self.first(sample.inputs).clamp(0, MOST_ACTIVE)
        mean, scale, shape = self.last(self.second(x).clamp(0, MOST_ACTIVE)).float().unbind(1)
        scale = scale.clamp(LEAST_SCALE, MOST_SCALE)
        if whole:
            scale, shape = (scale * 8).floor() / 8, shape.floor()
        else:  # what is coded is rounded down
            scale, shape = scale - 1 / 16, shape - 0.5
        inverse = torch.exp(-scale)
        chance = self._cumulative((sample.high - mean) * inverse, shape)
        chance = chance - self._cumulative((sample.low - mean) * inverse, shape)
        return -torch.log2(chance.clamp_min(LEAST_CHANCE))

    def _cumulative(self, z: Tensor, shape: Tensor) -> Tensor:
        place = (z * STEPS_PER_DEVIATION - TABLE_LEAST).clamp(0.0, TABLE_STEPS - 0.01)
        shape = shape.clamp(0.0, SHAPES - 1.001)
        column, row = place.floor(), shape.floor()
        right, down = place - column, shape - row
        table, width = self.table.view(-1), self.table.shape[1]
        at = row.long() * width + column.long()
        above = table[at] * (1 - right) + table[at + 1] * right
        below = table[at + width] * (1 - right) + table[at + width + 1] * right
        return above * (1 - down) + below * down

    @torch.no_grad()
    def evaluate(self, batch: Tensor, step: float) -> tuple[Tensor, float]:
        """The batch in steps, and its ideal rate in bits per pixel."""
        rng, bits, decoded = np.random.default_rng(0), 0.0, []
        for crop in batch[:, 0].cpu().numpy():
            sample = sample_pixels(crop, step, crop.size, rng)
            bits += float(self._bits(sample, whole=True).mean())
            decoded.append(np.rint(crop / step) * step)
        return torch.from_numpy(np.stack(decoded)[:, None]).float(), bits / len(decoded)

    def export(self) -> dict[str, Tensor]:
        """Tensors of the released file: integers."""
        layers = (self.first, self.second, self.last)
        arrays = [(_numpy(each.weight), _numpy(each.bias)) for each in layers]
        tables = self.table.cpu().double().numpy()
        return {name: torch.from_numpy(each) for name, each in integer_network(arrays, tables).items()}

    def start(self, weights: Mapping[str, Any]) -> None:
        """Begin with the weights of a released model."""
        from sarzip.codec.predictive.network import float_layers

        with torch.no_grad():
            for layer, (weight, bias) in zip(
                (self.first, self.second, self.last), float_layers(weights), strict=True
            ):
                layer.weight.copy_(torch.from_numpy(weight))
                layer.bias.copy_(torch.from_numpy(bias))


def _numpy(tensor: Tensor) -> NDArray[np.float64]:
    return np.asarray(tensor.detach().cpu().double().numpy())


def _fields(sample: Sample) -> tuple[Tensor, Tensor, Tensor]:
    return sample.inputs, sample.low, sample.high


def sample_pixels(crop: NDArray[np.float32], step: float, count: int, rng: np.random.Generator) -> Sample:
    """Pixels of a crop (rows, columns) in dB, quantised with a step in dB, as the encoder would see them."""
    offset = step * rng.random()
    index = np.rint((crop.astype(np.float64) - offset) / step)
    signal = index * step + offset
    coded = np.ones(crop.shape, np.uint8)
    found = fit(signal, coded).with_step(step)
    levels = np.rint((signal - np.median(signal)) / found.unit).astype(np.int32)
    inputs, prediction = contexts(levels, found.coefficients)
    drawn = np.arange(crop.size) if count >= crop.size else rng.integers(0, crop.size, count)
    centre = (levels.ravel()[drawn] - prediction.ravel()[drawn]) / UNITS
    half = step / 2 / found.unit / UNITS
    statistics = np.broadcast_to(found.statistics / STATISTIC, (drawn.size, STATISTICS))
    seen = inputs.reshape(-1, INPUTS)[drawn] / UNITS
    both = np.concatenate([seen, statistics], 1).astype(np.float32)
    low, high = (torch.from_numpy((centre + side * half).astype(np.float32)) for side in (-1, 1))
    return Sample(torch.from_numpy(both), low, high)


def shape_table() -> NDArray[np.float64]:
    """Cumulative distributions (SHAPES, TABLE_STEPS + 1) from 0 to 1, of the family above."""
    z = torch.arange(TABLE_STEPS + 1, dtype=torch.float64).add(TABLE_LEAST) / STEPS_PER_DEVIATION
    rows = []
    for looks in torch.from_numpy(_LOOKS):
        deviation, mean = torch.polygamma(1, looks).sqrt(), torch.digamma(looks)
        core = torch.special.gammainc(looks, (mean + deviation * z).clamp(-700, 60).exp())
        rows.append((1 - _TAIL) * core + _TAIL * torch.sigmoid(z / _TAIL_WIDTH))
    table = torch.stack(rows)
    table = (table - table[:, :1]) / (table[:, -1:] - table[:, :1])
    return np.asarray(table.numpy())


def build_trainable(architecture: Mapping[str, Any], loss: Mapping[str, Any]) -> PixelTrainable:
    """The module to train from the recipe's tables; ModelError for unknown settings."""
    known = {each.name for each in fields(PixelLoss)}
    if unknown := sorted(set(architecture) | (set(loss) - known)):
        raise ModelError(
            f"predictive: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return PixelTrainable(PixelLoss(**dict(loss)))
