"""How `ae16` learns: distortion in dB², a closed-form estimate of the rate, quantisation at random steps.

One model serves every quality, so each crop of a batch is coded at its own step Δ (dB), drawn log-uniformly.
Half of the crops are rounded with a straight-through gradient, as the codec does it; the other half gets
uniform noise of the same width, whose gradient is exact. The loss of a crop is

    mse + weight · (ln 2 / 6) · Δ² · bits per pixel

because for a uniform quantiser at high resolution mse = Δ²/12 and bits = -log2 Δ + const, so that -d mse / d
bits = (ln 2 / 6) Δ²: with this multiplier a latent step of Δ is what the trade-off asks for, and `step` keeps
its meaning as dB of signal. Bits are those of a Gaussian channel with additive quantisation noise, ½ log2(1 +
12 σ² / width²), with σ² the channel's mean square over the crop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sarzip.codec.ae16.network import STRIDE, Ae16, Ae16Config, analysis_reach
from sarzip.errors import ModelError


@dataclass(frozen=True)
class Ae16Loss:
    """Settings of the loss: the range of steps (dB), the weight of the rate, when BatchNorm statistics
    freeze.
    """

    step_low: float = 0.5
    step_high: float = 16.0
    rate_weight: float = 1.0
    freeze_norm: float = (
        0.7  # share of the training after which BatchNorm uses its running statistics, as inference
    )

    def __post_init__(self) -> None:
        """Reject an empty range (ModelError)."""
        if not 0 < self.step_low <= self.step_high or self.rate_weight < 0:
            raise ModelError("ae16: loss needs 0 < step_low <= step_high and rate_weight >= 0")


class Ae16Trainable(nn.Module):
    """`ae16` as `sarzip train` sees it (the Trainable protocol of sarzip.training.trainable)."""

    def __init__(self, config: Ae16Config, loss: Ae16Loss) -> None:
        super().__init__()
        self.network = Ae16(config)
        self.settings = loss

    def config(self) -> dict[str, Any]:
        """The architecture, for the card."""
        return self.network.config.to_mapping()

    def receptive_field(self) -> int:
        """Pixels on a side that one latent sees."""
        return sum(analysis_reach(self.network.config)) + 1

    def set_progress(self, fraction: float) -> None:
        """Called before every step with the share of the training that is done."""
        if fraction >= self.settings.freeze_norm:
            for module in self.network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()

    def training_loss(self, batch: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch (N, inputs, H, W) in dB, and what is worth logging."""
        net, settings = self.network, self.settings
        count = batch.shape[0]
        latents = net.analyse(batch).float()
        octaves = math.log2(settings.step_high / settings.step_low)
        step = settings.step_low * torch.exp2(octaves * torch.rand(count, 1, 1, 1, device=batch.device))
        width = step * net.gains()[None, :, None, None]
        scaled = latents / width
        rounded = scaled + (scaled.round() - scaled).detach()
        noisy = scaled + (torch.rand_like(scaled) - 0.5)
        straight = (torch.arange(count, device=batch.device) < count // 2)[:, None, None, None]
        decoded = net.synthesise(torch.where(straight, rounded, noisy) * width).float()
        mse = (decoded - batch).square().mean(dim=(1, 2, 3))
        bits = 0.5 * torch.log2(1.0 + 12.0 * scaled.square().mean(dim=(2, 3))).sum(dim=1)
        bpp = bits / (STRIDE * STRIDE * batch.shape[1])
        price = settings.rate_weight * math.log(2.0) / 6.0 * step.flatten().square()
        return (mse + price * bpp).mean(), {"rmse_db": mse.mean().sqrt(), "bpp": bpp.mean()}

    @torch.no_grad()
    def evaluate(self, batch: Tensor, step: float) -> tuple[Tensor, float]:
        """Decoded batch at one step, and its bits per pixel by the order-0 entropy of each channel."""
        net = self.network
        width = step * net.gains()[None, :, None, None]
        index = (net.analyse(batch).float() / width).round()
        bits = 0.0
        for channel in index.transpose(0, 1).reshape(index.shape[1], -1).cpu().numpy():
            counts = np.unique(channel, return_counts=True)[1].astype(np.float64)
            bits -= float((counts * np.log2(counts / channel.size)).sum())
        return net.synthesise(index * width).float(), bits / batch.numel()

    def export(self) -> dict[str, Tensor]:
        """Tensors of the released file: convolution weights as float16, everything else as float32."""
        tensors = {}
        for name, value in self.network.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                tensors[name] = value.detach().cpu().to(torch.float16 if value.dim() == 4 else torch.float32)
        return tensors


def build_trainable(architecture: Mapping[str, Any], loss: Mapping[str, Any]) -> Ae16Trainable:
    """The module to train from the recipe's [architecture] and [loss] tables; ModelError for unknown
    settings.
    """
    known = {f.name for f in fields(Ae16Loss)}
    if unknown := sorted(set(loss) - known):
        raise ModelError(
            f"ae16: unknown loss setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
        )
    return Ae16Trainable(Ae16Config.from_mapping(architecture), Ae16Loss(**dict(loss)))
