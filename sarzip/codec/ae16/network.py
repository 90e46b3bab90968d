"""The network of `ae16`, the reference autoencoder: strided convolutions down to 1/16, transposed ones up.

Four halvings turn 256×256 pixels into 16×16 latents. The encoder's layers are Conv2d 3×3 stride 2 padding 1
without bias, BatchNorm2d, LeakyReLU(0.2); the last one, to the latents, is linear: its BatchNorm has no scale
or shift and no activation follows, so that a latent channel has about unit variance and the quantisation
gains alone say how finely it is coded. The decoder's layers are ConvTranspose2d 4×4 stride 2 padding 1,
BatchNorm2d, ReLU; its last one has a bias instead of the BatchNorm and ends in a Sigmoid.

Everything here is about the network alone; the codec interface is in `ae16.py`, the training loss in
`ae16_train.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from sarzip.errors import ModelError

STRIDE = 16  # pixels per latent and axis: four halvings

PADDINGS = ("reflect", "zeros")
UPSAMPLINGS = ("transposed", "nearest", "bilinear")

# An orthonormal 16×16 transform of clutter of 4 to 5 dB has coefficients of about that size and a mean of
# sixteen times as much; latents have unit variance, so gains start in between.
_FIRST_GAIN = 1.0 / 16.0
# Adam moves a parameter by about the learning rate a step; gains have factors of a hundred to go in the same
# time.
_GAIN_PACE = 10.0


@dataclass(frozen=True)
class Ae16Config:
    """What one `ae16` is made of; stored in the model's card.

    The Sigmoid's interval [0, 1] stands for signals from `low_db` to `low_db + range_db`. The signal's median
    is 0 dB; strong point targets lie up to 70 dB above it, radar shadow and noise floor rarely 50 dB below,
    so the defaults (-52 .. +76 dB) hold what 16-bit products contain, and ordinary clutter (±20 dB) sits in
    the near-linear part.
    """

    latents: int = 64
    widths: tuple[int, int, int] = (64, 128, 256)
    inputs: int = 1
    padding: str = "reflect"
    upsampling: str = "transposed"
    separable: bool = False
    dilation: int = 1
    low_db: float = -52.0
    range_db: float = 128.0

    def __post_init__(self) -> None:
        """Reject what cannot be built (ModelError)."""
        object.__setattr__(self, "widths", tuple(self.widths))
        if self.padding not in PADDINGS or self.upsampling not in UPSAMPLINGS:
            raise ModelError(
                f"ae16: padding must be one of {', '.join(PADDINGS)}, "
                f"upsampling one of {', '.join(UPSAMPLINGS)}"
            )
        if self.inputs not in (1, 2) or not 1 <= self.latents <= 1024 or not 1 <= self.dilation <= 4:
            raise ModelError("ae16: inputs must be 1 or 2, latents 1 to 1024, dilation 1 to 4")
        if len(self.widths) != 3 or not all(1 <= w <= 2048 for w in self.widths) or not self.range_db > 0:
            raise ModelError("ae16: widths must be three numbers from 1 to 2048, range_db positive")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Ae16Config:
        """Config from a card's or a recipe's table; unknown keys and wrong types raise ModelError."""
        known = {f.name for f in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ModelError(
                f"ae16: unknown setting {', '.join(unknown)}; known are {', '.join(sorted(known))}"
            )
        try:
            return cls(**dict(values))
        except TypeError as error:
            raise ModelError(f"ae16: bad setting ({error})") from error

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for card.json."""
        return asdict(self) | {"widths": list(self.widths)}


def analysis_reach(config: Ae16Config) -> tuple[int, int]:
    """Pixels (left, right) such that latent i sees pixels 16·i - left .. 16·i + right.

    A convolution of kernel k, dilation d and padding p whose input has spacing j adds p·j on the left and
    (d·(k-1) - p)·j on the right.
    """
    left = right = 0
    for spacing, dilation in ((1, 1), (2, 1), (4, 1), (8, config.dilation)):
        left += dilation * spacing
        right += dilation * spacing  # d*(3-1) - d
    return left, right


def analysis_halo(config: Ae16Config) -> int:
    """Pixels on each side, a multiple of 16, after which cropped latents see no padding of the window."""
    left, right = analysis_reach(config)
    return STRIDE * math.ceil(max(left, right - (STRIDE - 1)) / STRIDE)


def synthesis_halo(config: Ae16Config) -> int:
    """Latents on each side after which cropped pixels see no padding of the window.

    Followed from pixel 0 to the leftmost latent it needs, layer by layer (the right side mirrors it): a
    transposed 4×4 stride-2 layer needs input floor((n - 1) / 2) for output n; an upsampling with a 3×3
    convolution needs upsampled position n - 1, that is input floor((n - 1) / 2) by nearest and floor((n -
    1.5) / 2) by bilinear interpolation.
    """
    shift = 1.5 if config.upsampling == "bilinear" else 1.0
    position = 0
    for _ in range(4):
        position = math.floor((position - shift) / 2)
    return -position


def _down(cin: int, cout: int, config: Ae16Config, last: bool) -> nn.Sequential:
    dilation = config.dilation if last else 1
    shape: dict[str, Any] = {
        "kernel_size": 3,
        "stride": 2,
        "padding": dilation,
        "dilation": dilation,
        "padding_mode": config.padding,
        "bias": False,
    }
    layers: list[nn.Module]
    if config.separable and cin > config.inputs:  # the first layer has too few channels to separate
        layers = [nn.Conv2d(cin, cin, groups=cin, **shape), nn.Conv2d(cin, cout, 1, bias=False)]
    else:
        layers = [nn.Conv2d(cin, cout, **shape)]
    layers.append(nn.BatchNorm2d(cout, affine=not last))
    if not last:
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


def _up(cin: int, cout: int, config: Ae16Config, last: bool) -> nn.Sequential:
    layers: list[nn.Module] = []
    groups, middle = (cin, cin) if config.separable and not last else (1, cout)
    padding: Any = config.padding
    if config.upsampling == "transposed":
        layers.append(nn.ConvTranspose2d(cin, middle, 4, 2, 1, groups=groups, bias=last))
    else:
        layers.append(nn.Upsample(scale_factor=2, mode=config.upsampling))
        layers.append(nn.Conv2d(cin, middle, 3, 1, 1, groups=groups, bias=last, padding_mode=padding))
    if groups > 1:
        layers.append(nn.Conv2d(middle, cout, 1, bias=False))
    return (
        nn.Sequential(*layers, nn.Sigmoid())
        if last
        else nn.Sequential(*layers, nn.BatchNorm2d(cout), nn.ReLU())
    )


class Ae16(nn.Module):
    """Encoder, decoder and the per-channel gains of the quantisation steps.

    `analyse`: signal (N, inputs, 16h, 16w) in dB -> latents (N, C, h, w).
    `synthesise`: latents (N, C, h, w) -> signal (N, inputs, 16h, 16w) in dB.
    `gains()`: (C,), latent units per dB of step.
    """

    def __init__(self, config: Ae16Config) -> None:
        super().__init__()
        self.config = config
        down = (config.inputs, *config.widths, config.latents)
        up = (config.latents, *reversed(config.widths), config.inputs)
        self.encoder = nn.Sequential(*(_down(down[i], down[i + 1], config, i == 3) for i in range(4)))
        self.decoder = nn.Sequential(*(_up(up[i], up[i + 1], config, i == 3) for i in range(4)))
        self.gain = nn.Parameter(torch.zeros(config.latents))
        self._initialise()

    def _initialise(self) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, 0.2, mode="fan_out", nonlinearity="leaky_relu")
        final = [m for m in self.decoder[3].modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)][-1]
        middle = (
            -self.config.low_db / self.config.range_db
        )  # the signal's median, 0 dB, as the Sigmoid's output
        if final.bias is not None and 0.0 < middle < 1.0:
            nn.init.constant_(final.bias, math.log(middle / (1.0 - middle)))

    def analyse(self, signal: Tensor) -> Tensor:
        return self.encoder((signal - self.config.low_db) * (1.0 / self.config.range_db))

    def synthesise(self, latents: Tensor) -> Tensor:
        return self.decoder(latents) * self.config.range_db + self.config.low_db

    def gains(self) -> Tensor:
        return torch.exp(_GAIN_PACE * self.gain) * _FIRST_GAIN

    def forward(self, signal: Tensor) -> Tensor:
        """Reconstruction without quantisation."""
        return self.synthesise(self.analyse(signal))


def fold_batchnorm(network: Ae16) -> Ae16:
    """The same network with every BatchNorm's statistics multiplied into the convolution before it."""
    folded = Ae16(network.config)
    folded.load_state_dict(network.state_dict())
    with torch.no_grad():
        for stage in (*folded.encoder, *folded.decoder):
            for index, layer in enumerate(stage):
                if isinstance(layer, nn.BatchNorm2d):
                    _fold(stage[index - 1], layer)
                    stage[index] = nn.Identity()
    return folded.eval()


def _fold(conv: nn.Conv2d | nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_var is not None and norm.running_mean is not None
    scale = torch.rsqrt(norm.running_var + norm.eps)
    shift = -norm.running_mean * scale
    if norm.affine:
        shift = shift * norm.weight + norm.bias
        scale = scale * norm.weight
    if isinstance(conv, nn.ConvTranspose2d):  # (in, out, k, k)
        conv.weight.mul_(scale[None, :, None, None])
    else:  # (out, in, k, k)
        conv.weight.mul_(scale[:, None, None, None])
    conv.bias = nn.Parameter(shift)
