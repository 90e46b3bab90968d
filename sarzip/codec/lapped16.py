"""The family `lapped16` behind the codec interface (see family.py): numpy in and out, safe to call from many
threads.

`analyse` and `synthesise` are linear and exact neighbours of each other across groups. Everything that adapts
lives in `encode` and `decode` of one group: the hyperprior that selects the entropy coder's tables, the
means and the quantiser.

Streams of a group: SIDE starts with the tilt and the moves of the side information's classes (lapped_tilt);
then come the hyper-latents, one per 2×2 latents, as differences to their prediction (hyperprior). LATENTS
holds the quantised latents (entropy), the lowest channel as Haar squares.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from sarzip.codec import lapped16_net as net
from sarzip.codec import lapped_tilt, lapped_transform
from sarzip.codec.entropy import EntropyModel, Estimate, peek_states
from sarzip.codec.family import LATENTS, SIDE
from sarzip.codec.hyperprior import IntegerHyper
from sarzip.codec.hyperprior_steps import FRACTIONS, spread_side, step_index
from sarzip.codec.lapped_export import load_entropy, ratios
from sarzip.codec.lapped_fold import FoldedTransform
from sarzip.errors import CorruptError, ModelError

__all__ = ["Lapped16Config", "Lapped16Family"]

Lapped16Config = net.Lapped16Config

DEFAULT_STATES = 64
SIDE_LIMIT = 1023


@dataclass(frozen=True, eq=False)
class _Prior:
    """What the hyper-latents of a group say: classes uint8 (256, h·w), means float32 (M, h, w)."""

    classes: NDArray[np.uint8]
    means: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Plan:
    """A group before quantisation: side residual float32 (n,) and its classes, centred latents in steps
    (256, h·w), their classes uint8 (256, h·w), the means (M, h, w), head of the side stream.
    """

    residual: NDArray[np.float32]
    side_classes: NDArray[np.uint8]
    centred: NDArray[np.float32]
    classes: NDArray[np.uint8]
    means: NDArray[np.float32]
    head: bytes


class Lapped16Family:
    """A trained `lapped16`, ready to code."""

    name = "lapped16"
    channels = net.CHANNELS
    inputs = 1
    analysis_halo = net.HALO
    synthesis_halo = 1

    def __init__(
        self,
        config: Lapped16Config | Mapping[str, Any],
        weights: Mapping[str, Any],
        device: str = "cpu",
        states: int = DEFAULT_STATES,
    ) -> None:
        """Build from the card's config and the model file's tensors; ModelError if they do not fit.

        states: of the trellis when encoding, 1 (uniform quantiser, fastest), 8 or 64. Decoding reads it from
        the stream.
        """
        self.config = config if isinstance(config, Lapped16Config) else Lapped16Config(**config)
        self.mirror_signs = lapped_transform.mirror_signs()
        self.states = states
        self._device = torch.device(device)
        # Only the encoder's choice of hyper-latents may use it: it need not be the same on every machine.
        self._half = self._device.type == "cuda" or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        tensors = {name: torch.as_tensor(value) for name, value in weights.items()}
        try:
            self._hyper = IntegerHyper(tensors, net.CLASSES, device)
            self._side_net = self._module(net.HyperAnalysis(self.config), tensors, "side.analysis.")
            self._mean = tensors["mean.weight"].to(self._device, torch.float32)
            self._analysis = self._transform(tensors["analysis.kernel"])
            self._synthesis = self._transform(tensors["synthesis.kernel"])
            self._latent_models, self._side_model = load_entropy(
                {
                    n: t.numpy()
                    for n, t in tensors.items()
                    if n.startswith(("latents", "side.")) and not n.startswith("side.analysis.")
                }
            )
        except (KeyError, RuntimeError, ValueError, AttributeError) as error:
            raise ModelError(f"lapped16: the weights do not fit the card ({error})") from error
        if states not in self._latent_models:
            raise ModelError(f"lapped16: no entropy model with {states} states")
        self._signs = torch.from_numpy(self.mirror_signs).to(self._device)

    def with_states(self, states: int) -> Lapped16Family:
        """The same model encoding with another number of trellis states; shares all weights."""
        other = object.__new__(Lapped16Family)
        other.__dict__.update(self.__dict__)
        if states not in self._latent_models:
            raise ModelError(f"lapped16: no entropy model with {states} states")
        other.states = states
        return other

    def _module(self, module: torch.nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> Any:
        own = {n[len(prefix) :]: t for n, t in tensors.items() if n.startswith(prefix)}
        module.load_state_dict({n: t.to(torch.float32) for n, t in own.items()})
        return module.to(self._device).eval().requires_grad_(False)

    def _transform(self, kernel: Tensor) -> FoldedTransform | _DeviceTransform:
        if self._device.type == "cpu":
            return FoldedTransform(kernel.to(torch.float32).numpy(), self.mirror_signs)
        return _DeviceTransform(kernel, self._device)

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (1, 16h+32, 16w+32) in dB to latents (256, h, w)."""
        return self._analysis.analyse(np.asarray(signal[0], np.float32))

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (256, h+2, w+2) to signal (1, 16h, 16w) in dB."""
        return self._synthesis.synthesise(np.ascontiguousarray(latents, np.float32))[None]

    def encode(self, latents: NDArray[np.float32], step: float) -> dict[int, bytes]:
        """One group of latents (256, h, w), quantised with a step in dB, to its two streams."""
        return self.code(latents, step)[0]

    def code(self, latents: NDArray[np.float32], step: float) -> tuple[dict[int, bytes], NDArray[np.float32]]:
        """What encode gives, and what decode will make of it."""
        plan = self._plan(latents, step)
        side = self._side_model.encode(plan.residual, plan.side_classes, 0.0)
        model = self._latent_models[self.states]
        data, values = model.code(plan.centred.reshape(-1), plan.classes.reshape(-1))
        streams = {SIDE: plan.head + side, LATENTS: data}
        return streams, self._uncentred(values.reshape(latents.shape), plan.means, step)

    def _uncentred(
        self, values: NDArray[np.float32], means: NDArray[np.float32], step: float
    ) -> NDArray[np.float32]:
        """Coefficients (256, h, w) in steps about their means to latents, in place."""
        lapped_tilt.swap_squares(values[0])
        values[: self.config.means] += means
        values *= np.float32(step)
        return values

    def estimate(self, latents: NDArray[np.float32], step: float) -> Estimate:
        """Bits of both streams, without writing them, and squared error in dB², summed over the latents."""
        plan = self._plan(latents, step)
        done = self._latent_models[self.states].estimate(plan.centred.reshape(-1), plan.classes.reshape(-1))
        side = self._side_model.estimate(plan.residual, plan.side_classes, 0.0)
        bits = done.bits + side.bits + 8 * len(plan.head)
        return Estimate(bits, done.sse * step * step)

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (256, h, w); CorruptError if undecodable."""
        _, lattice, prior = self._entropy_decode(streams, shape, step)
        model = self._latent_model(streams[LATENTS])
        values = model.reconstruct(lattice, prior.classes.reshape(-1)).reshape(self.channels, *shape)
        return self._uncentred(values, prior.means, step)

    def integers(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.int32]:
        """Hyper-latents and lattice points int32 (n,) of one group, which are the same on every device."""
        side, lattice, _ = self._entropy_decode(streams, shape, step)
        return np.concatenate([side.reshape(-1), lattice])

    def _entropy_decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], _Prior]:
        """Hyper-latents (S, ceil(h/2), ceil(w/2)), lattice points (256 · h · w,) and the prior of a group."""
        if LATENTS not in streams or SIDE not in streams:
            raise CorruptError("a group has no latents or no side information")
        if not (np.isfinite(step) and step > 0):
            raise CorruptError(f"a quantisation step of {step} dB is impossible")
        half = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        sizes = (lapped_tilt.COUNT, self._hyper.side_channels)
        (tilt, moves), start = lapped_tilt.unpack(streams[SIDE], sizes)
        classes = self._side_classes(moves, half, step)
        lattice = self._side_model.decode_lattice(streams[SIDE][start:], classes)
        side = self._hyper.integrate(lattice.reshape(self._hyper.side_channels, *half))
        if side.size and max(int(side.max()), -int(side.min())) > SIDE_LIMIT:
            raise CorruptError("side information holds impossible values")
        prior = self._prior(side, shape, step)
        self._hyper.tilt(prior.classes, tilt)
        model = self._latent_model(streams[LATENTS])
        return side, model.decode_lattice(streams[LATENTS], prior.classes.reshape(-1)), prior

    def _latent_model(self, data: bytes) -> EntropyModel:
        """The entropy model that a stream was written with; CorruptError when there is none."""
        try:
            return self._latent_models[peek_states(data)]
        except KeyError:
            raise CorruptError("entropy coded data is for a quantiser that the model lacks") from None

    def _plan(self, latents: NDArray[np.float32], step: float) -> _Plan:
        """Everything about a group that coding it needs, before quantisation."""
        units = np.multiply(latents, np.float32(1.0 / step), dtype=np.float32)
        side = self._describe(units, step)
        prior = self._prior(side, (latents.shape[1], latents.shape[2]), step)
        centred = units.reshape(self.channels, -1)
        centred[: self.config.means] -= prior.means.reshape(self.config.means, -1)
        lapped_tilt.swap_squares(units[0])
        tilt = lapped_tilt.fit(centred, prior.classes, ratios(), net.CLASS_STEP)
        self._hyper.tilt(prior.classes, tilt)
        residual = self._hyper.residual(side)
        moves = lapped_tilt.fit_side(
            residual.reshape(len(residual), -1), self._hyper.side_row(step), ratios(), net.CLASS_STEP
        )
        return _Plan(
            residual=residual.reshape(-1).astype(np.float32),
            side_classes=self._side_classes(moves, (side.shape[1], side.shape[2]), step),
            centred=centred,
            classes=prior.classes,
            means=prior.means,
            head=lapped_tilt.pack(tilt, moves),
        )

    def _side_classes(
        self, moves: NDArray[np.int64], half: tuple[int, int], step: float
    ) -> NDArray[np.uint8]:
        moved = moves * lapped_tilt.SIDE_UNIT
        return spread_side(self._hyper.side_row(step), moved, half[0] * half[1], net.CLASSES - 1)

    def _describe(self, latents: NDArray[np.float32], step: float) -> NDArray[np.int32]:
        """Choose the hyper-latents int32 (S, ceil(h/2), ceil(w/2)) of a group of latents in steps."""
        _, h, w = latents.shape
        kind = self._device.type
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self._half):
            units = torch.from_numpy(latents)[None].to(self._device)
            if h % 2 or w % 2:
                units = F.pad(units, (0, w % 2, 0, h % 2), mode="replicate")
            side = self._side_net(units, self._knot_weights(step))[0]
            side = torch.nan_to_num(side.float()).round().clamp(-SIDE_LIMIT, SIDE_LIMIT)
            return side.to(torch.int32).cpu().numpy()

    def _prior(self, side: NDArray[np.int32], shape: tuple[int, int], step: float) -> _Prior:
        h, w = shape
        with torch.inference_mode(), torch.autocast(self._device.type, enabled=False):
            classes = self._hyper.classes(side, step)
            padded = F.pad(
                torch.from_numpy(side.astype(np.float32))[None].to(self._device),
                (1, 1, 1, 1),
                mode="replicate",
            )
            means = F.pixel_shuffle(F.conv2d(padded, self._mean), 2)[0, :, :h, :w].cpu().numpy()
            return _Prior(np.ascontiguousarray(classes[:, :h, :w]).reshape(self.channels, -1), means)

    def _knot_weights(self, step: float) -> Tensor:
        """Floating-point networks see the same step index as the integer ones."""
        octaves = step_index(step) / FRACTIONS + net.FIRST_KNOT
        return net.knot_weights(torch.tensor([octaves], dtype=torch.float32, device=self._device))


class _DeviceTransform:
    """Analysis or synthesis as a convolution on an accelerator; same interface as FoldedTransform."""

    def __init__(self, kernel: Tensor, device: torch.device) -> None:
        transform = net.Transform()
        with torch.no_grad():
            transform.start.copy_(kernel)
            self._analysis = transform.analysis_weight().detach().to(device)
            self._synthesis = transform.synthesis_weight().detach().to(device)
        self._device = device

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            batch = torch.from_numpy(np.ascontiguousarray(signal))[None, None].to(self._device)
            return np.asarray(net.analyse(self._analysis, batch)[0].cpu().numpy())

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            batch = torch.from_numpy(latents)[None].to(self._device)
            return np.asarray(net.synthesise(self._synthesis, batch)[0, 0].cpu().numpy())
