"""The family `lapped16` behind the codec interface (see family.py) on a CPU: numpy in and out, safe to call
from many threads.

`analyse` and `synthesise` are linear and exact neighbours of each other across groups. Everything that adapts
lives in `encode` and `decode` of one group: the hyperprior that selects the entropy coder's tables, the
means and the quantiser.

Streams of a group: SIDE starts with the tilt and the moves of the side information's classes (lapped_tilt);
then come the hyper-latents, one per 2×2 latents, as differences to their prediction (hyperprior). LATENTS
holds the quantised latents (entropy), the lowest channel as Haar squares.

Nothing here needs torch: matrix products in numpy run as fast, and starting torch takes longer than coding a
scene of 30 MPix.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import LATENTS, SIDE
from sarzip.codec.entropy.coder import EntropyModel, Estimate, peek_states
from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16 import transform as lapped_transform
from sarzip.codec.lapped16.hyper_analysis import HyperEncoder
from sarzip.codec.lapped16.hyper_synthesis import SIDE_LIMIT, IntegerHyper, neighbourhoods, shuffle
from sarzip.codec.lapped16.reduced import LinearSynthesis, Synthesis
from sarzip.codec.lapped16.transform import LappedTransform
from sarzip.errors import CorruptError, ModelError

DEFAULT_STATES = 64
STATES = (1, 8, 64)
"""Trellis states that a model has entropy tables for."""


@dataclass(frozen=True)
class Lapped16Config:
    """Widths of the parts. side: hyper-latents per 2×2 latents. hidden, inner: of the integer hyper-decoder,
    per 2×2 latents and per latent. means: low channels that get a predicted mean. analysis_width: of the
    encoder's network.
    """

    side: int = 24
    hidden: int = 64
    inner: int = 48
    means: int = 8
    analysis_width: int = 64

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for the card."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Plan:
    """A group before quantisation: side residual float32 (n,) and its classes, centred latents in steps
    (256, h·w), their classes uint8 (256, h·w), the means (M, h·w), head of the side stream.
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
    channels = lapped_transform.CHANNELS
    inputs = 1
    separate = False
    analysis_halo = lapped_transform.STRIDE
    synthesis_halo = 1

    def __init__(
        self,
        config: Lapped16Config | Mapping[str, Any],
        weights: Mapping[str, Any],
        states: int = DEFAULT_STATES,
    ) -> None:
        """Build from the card's config and the model file's tensors; ModelError if they do not fit.

        states: of the trellis when encoding, 1 (uniform quantiser, fastest), 8 or 64. Decoding reads it from
        the stream.
        """
        self.config = config if isinstance(config, Lapped16Config) else Lapped16Config(**config)
        self.mirror_signs = lapped_transform.mirror_signs()
        self.states = states
        self._weights = {name: np.asarray(value) for name, value in weights.items()}
        try:
            self._hyper = IntegerHyper(self._weights)
            self._mean = np.ascontiguousarray(self._weights["mean.weight"], np.float32)
            self._mean = self._mean.reshape(len(self._mean), -1)
            self._transform, self._encoder = self._make_encoder()
        except (KeyError, ValueError) as error:
            raise ModelError(f"lapped16: the weights do not fit the card ({error})") from error
        layers = self._hyper.layers
        found = (self._hyper.side_channels, len(self._mean), len(layers["first"]), len(layers["mid"]))
        if found != (self.config.side, 4 * self.config.means, self.config.hidden, self.config.inner):
            raise ModelError("lapped16: the weights do not fit the card (widths differ)")
        self._models: dict[str, EntropyModel] = {}
        self._lengths: dict[str, NDArray[np.float32]] = {}
        self._side_model, self._latent_model = self._entropy_model("side."), self._states_model(states)

    def _make_encoder(self) -> tuple[LappedTransform | None, HyperEncoder | None]:
        """Transform and choice of hyper-latents; none for a model of the first generation, whose transform
        was not separable, and which is here for decoding only.
        """
        if "synthesis.kernel" in self._weights:
            return None, None
        return LappedTransform(self._weights["transform.basis"]), HyperEncoder(self._weights)

    def reduced(self, scale: int) -> Synthesis:
        """Synthesis of the means over boxes of scale × scale pixels, a divisor of 16 (1: the pixels)."""
        if self._transform is None:
            return LinearSynthesis(self._weights["synthesis.kernel"], scale)
        return self._transform.reduced(scale)

    def _states_model(self, states: int) -> EntropyModel:
        prefix = f"latents{states}."
        if states not in STATES or prefix + "head" not in self._weights:
            raise ModelError(f"lapped16: no entropy model with {states} states")
        return self._entropy_model(prefix)

    def _entropy_model(self, prefix: str) -> EntropyModel:
        # Built when first needed; two threads may both do it, and build the same.
        if prefix not in self._models:
            self._models[prefix] = EntropyModel.from_arrays(self._weights, prefix)
        return self._models[prefix]

    def _code_lengths(self, prefix: str) -> NDArray[np.float32]:
        """Bits (classes, magnitudes) with a uniform quantiser: what tilts are fitted to."""
        if prefix not in self._lengths:
            lengths = self._entropy_model(prefix).tables.magnitude_lengths(lapped_tilt.MAGNITUDES)
            self._lengths[prefix] = np.ascontiguousarray(lengths[:, 0])
        return self._lengths[prefix]

    def with_states(self, states: int) -> Lapped16Family:
        """The same model encoding with another number of trellis states; shares all weights."""
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.states, other._latent_model = states, self._states_model(states)
        return other

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (1, 16h+32, 16w+32) in dB to latents (256, h, w)."""
        if self._transform is None:
            raise ModelError("this model of an earlier sarzip only decodes: compress with another (--model)")
        return self._transform.analyse(np.asarray(signal[0], np.float32))

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (256, h+2, w+2) to signal (1, 16h, 16w) in dB."""
        synthesis = self.reduced(1) if self._transform is None else self._transform.synthesise
        return synthesis(np.ascontiguousarray(latents, np.float32))[None]

    def encode(self, latents: NDArray[np.float32], step: float) -> dict[int, bytes]:
        """One group of latents (256, h, w), quantised with a step in dB, to its two streams."""
        return self.code(latents, step)[0]

    def code(self, latents: NDArray[np.float32], step: float) -> tuple[dict[int, bytes], NDArray[np.float32]]:
        """What encode gives, and what decode will make of it."""
        plan = self._plan(latents, step)
        side = self._side_model.encode(plan.residual, plan.side_classes, 0.0)
        data, values = self._latent_model.code(plan.centred.reshape(-1), plan.classes.reshape(-1), step)
        streams = {SIDE: plan.head + side, LATENTS: data}
        return streams, self._uncentred(values.reshape(latents.shape), plan.means, step)

    def _uncentred(
        self, values: NDArray[np.float32], means: NDArray[np.float32], step: float
    ) -> NDArray[np.float32]:
        """Coefficients (256, h, w) in dB about their means (M, h·w) in steps to latents, in place."""
        lapped_tilt.swap_squares(values[0])
        values[: len(means)] += (means * np.float32(step)).reshape(-1, *values.shape[1:])
        return values

    def estimate(self, latents: NDArray[np.float32], step: float) -> Estimate:
        """Bits of both streams, without writing them, and squared error in dB², summed over the latents."""
        plan = self._plan(latents, step)
        done = self._latent_model.estimate(plan.centred.reshape(-1), plan.classes.reshape(-1))
        side = self._side_model.estimate(plan.residual, plan.side_classes, 0.0)
        bits = done.bits + side.bits + 8 * len(plan.head)
        return Estimate(bits, done.sse * step * step)

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (256, h, w); CorruptError if undecodable."""
        side, classes, model = self._entropy_prior(streams, shape, step)
        values = model.decode(streams[LATENTS], classes.reshape(-1), step)
        return self._uncentred(values.reshape(self.channels, *shape), self._means(side, shape), step)

    def integers(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.int32]:
        """Hyper-latents and lattice points int32 (n,) of one group, which are the same on every device."""
        side, classes, model = self._entropy_prior(streams, shape, step)
        return np.concatenate([side.reshape(-1), model.decode_lattice(streams[LATENTS], classes.reshape(-1))])

    def _entropy_prior(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8], EntropyModel]:
        """Hyper-latents (S, ceil(h/2), ceil(w/2)), classes (256, h·w) and the entropy model of a group."""
        if LATENTS not in streams or SIDE not in streams:
            raise CorruptError("a group has no latents or no side information")
        if not (np.isfinite(step) and step > 0):
            raise CorruptError(f"a quantisation step of {step} dB is impossible")
        half = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        sizes = (lapped_tilt.COUNT, self._hyper.side_channels)
        (tilt, moves), start = lapped_tilt.unpack(streams[SIDE], sizes)
        lattice = self._side_model.decode_lattice(
            streams[SIDE][start:], self._hyper.side_classes(moves, half, step)
        )
        side = self._hyper.integrate(lattice.reshape(self._hyper.side_channels, *half))
        if side.size and max(int(side.max()), -int(side.min())) > SIDE_LIMIT:
            raise CorruptError("side information holds impossible values")
        classes = self._classes(side, shape, step)
        self._hyper.tilt(classes, tilt)
        try:
            model = self._states_model(peek_states(streams[LATENTS]))
        except ModelError:
            raise CorruptError("entropy coded data is for a quantiser that the model lacks") from None
        return side, classes, model

    def _plan(self, latents: NDArray[np.float32], step: float) -> _Plan:
        """Everything about a group that coding it needs, before quantisation."""
        shape = (latents.shape[1], latents.shape[2])
        units = np.multiply(latents, np.float32(1.0 / step), dtype=np.float32)
        side, residual = self._hyper.quantise(self._describe(units, step))
        classes, means = self._classes(side, shape, step), self._means(side, shape)
        centred = units.reshape(self.channels, -1)
        centred[: len(means)] -= means
        lapped_tilt.swap_squares(units[0])
        weight = 1 / max(self._entropy_model("latents1.").lam, 1e-3)
        samples = lapped_tilt.SAMPLES // (4 if self.states == 1 else 1)
        tilt = lapped_tilt.fit(centred, classes, self._code_lengths("latents1."), weight, samples)
        self._hyper.tilt(classes, tilt)
        lengths = self._code_lengths("side.")
        moves = lapped_tilt.fit_side(residual.reshape(len(side), -1), self._hyper.side_row(step), lengths)
        return _Plan(
            residual=residual.reshape(-1).astype(np.float32),
            side_classes=self._hyper.side_classes(moves, (side.shape[1], side.shape[2]), step),
            centred=centred,
            classes=classes,
            means=means,
            head=lapped_tilt.pack(tilt, moves),
        )

    def _describe(self, units: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """Latents in steps (256, h, w) to hyper-latents before rounding (S, ceil(h/2), ceil(w/2))."""
        assert self._encoder is not None  # analyse has refused such a model
        return self._encoder(units, step)

    def _classes(self, side: NDArray[np.int32], shape: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """Scale classes (256, h·w), before the tilt."""
        return self._hyper.classes(side, shape, step)

    def _means(self, side: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Predicted means (M, h·w) of the low channels, in steps."""
        half = (side.shape[1], side.shape[2])
        wide = shuffle(self._mean @ neighbourhoods(side.astype(np.float32)), half)
        if shape == (2 * half[0], 2 * half[1]):
            return wide
        planes = wide.reshape(-1, 2 * half[0], 2 * half[1])[:, : shape[0], : shape[1]]
        return np.ascontiguousarray(planes).reshape(len(wide), -1)
