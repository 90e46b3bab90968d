"""The default codec. One group of one band: signal to latents to two streams, and back.

     dB ─► g_a lapped ─► y ─┬─► h_a ─► z ─► Q ─► rANS ··► ẑ ─► h_s (integers) ─► scale classes, means
                            │                                      + tilt                 │
                            └─────────────── − mean ─► trellis Q ─► rANS ◄────────────────┘

    transform        g_a and g_s: a lapped orthogonal transform, 16×16 pixels to 256 latents y (`reduced`: its
                     means over boxes)
    hyper_analysis   h_a: what to tell the decoder about the variance of y, as hyper-latents z, one per 2×2 y
    hyper_synthesis  h_s: z to a scale class for each y, in exact integers, and means of the lowest channels;
                     `scale_classes` holds its steps, `tilt` the spectral correction of the classes of a group
    entropy.coder    quantises y by a trellis and codes it with the tables of the classes
    band_pair        two alike bands together
    backend          who computes transform and networks: numpy, or torch on a GPU (`torch_device`)

Streams of a group: HYPER_LATENTS starts with the tilt and the moves of the classes of z; then comes z, as
differences to its prediction. LATENTS holds the quantised y, the lowest channel as Haar squares.

The way of a pixel into the file, as a list of files in order: raster/source → pipeline/plan (what it is) →
pipeline/encode (rows of groups, threads) → pipeline/group → pipeline/band → codec/signal/radiometry (dB) →
codec/streams/class_map, outliers (what is no ordinary measurement) → this module and those above →
codec/entropy/coder, trellis, rans → codec/streams/payloads → container/writer. Out again: container/reader →
pipeline/decode → pipeline/group → this module → pipeline/band → raster/sink.

Nothing here needs torch: native kernels run as fast, and starting torch takes longer than coding a scene
of 30 MPix.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import HYPER_LATENTS, LATENTS, Encoded, Halo, Quality, Streams
from sarzip.codec.entropy.coder import EntropyModel, peek_states
from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.backend import build_backend
from sarzip.codec.lapped16.hyper_synthesis import SIDE_LIMIT
from sarzip.codec.lapped16.parts import Parts
from sarzip.codec.lapped16.reduced import LinearSynthesis, Synthesis
from sarzip.codec.lapped16.transform import CHANNELS, STRIDE, mirror_signs
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
    z_classes: NDArray[np.uint8]
    centred: NDArray[np.float32]
    classes: NDArray[np.uint8]
    means: NDArray[np.float32]
    head: bytes


class Lapped16:
    """A trained `lapped16`, ready to code one band at a time."""

    id = "lapped16"
    channels = CHANNELS
    inputs = 1
    separate = False
    halo = Halo(STRIDE, 1)

    def __init__(
        self,
        config: Lapped16Config | Mapping[str, Any],
        weights: Mapping[str, Any],
        states: int = DEFAULT_STATES,
        device: str = "cpu",
    ) -> None:
        """Build from the card's config and the model file's tensors; ModelError if they do not fit.

        states: of the trellis when encoding, 1 (uniform quantiser, fastest), 8 or 64. Decoding reads it from
        the stream. device: 'cpu', or a device of torch ('cuda:N', 'cuda' for all, 'cpu:0' for tests).
        """
        self.config = config if isinstance(config, Lapped16Config) else Lapped16Config(**config)
        self.mirror_signs = mirror_signs()
        self.states = states
        self._weights = {name: np.asarray(value) for name, value in weights.items()}
        parts = Parts.from_weights(self._weights)
        if parts.widths != astuple(self.config)[:-1]:
            raise ModelError("lapped16: the weights do not fit the card (widths differ)")
        self._hyper, self._transform = parts.hyper, parts.transform
        self._backend = build_backend(parts, device)
        self._models: dict[str, EntropyModel] = {}
        self._lengths: dict[str, NDArray[np.float32]] = {}
        self._reduced: dict[int, Synthesis] = {}
        self._z_model, self._y_model = self._entropy_model("side."), self._states_model(states)

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

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """g_a: signal (1, 16h+32, 16w+32) in dB to latents y (256, h, w)."""
        if self._transform is None:
            raise ModelError("this model of an earlier sarzip only decodes: compress with another")
        return self._backend.analyse(np.asarray(signal[0], np.float32))

    def restore(self, latents: NDArray[np.float32], scale: int = 1) -> NDArray[np.float32]:
        """g_s: latents (256, h+2, w+2) to signal (1, 16h/scale, 16w/scale) in dB."""
        latents = np.ascontiguousarray(latents, np.float32)
        if scale == 1 and self._transform is not None:
            return self._backend.restore(latents)[None]
        if scale not in self._reduced:
            self._reduced[scale] = self._reduced_synthesis(scale)
        return self._reduced[scale](latents)[None]

    def only(self, positions: Collection[int]) -> Lapped16:
        """See SignalCodec: there is one band."""
        return self

    def reduces(self, scale: int) -> bool:
        """The synthesis is linear, so that its means need no pixels."""
        return True

    def _reduced_synthesis(self, scale: int) -> Synthesis:
        if self._transform is None:
            return LinearSynthesis(self._weights["synthesis.kernel"], scale)
        return self._transform.reduced(scale)

    def encode(self, latents: NDArray[np.float32], quality: Quality) -> Encoded:
        """One group of latents (256, h, w) to its two streams, and what decode will make of it."""
        step = quality.step
        plan = self._plan(latents, step)
        z = self._z_model.encode(plan.residual, plan.z_classes, 0.0)
        data, values = self._y_model.code(plan.centred.reshape(-1), plan.classes.reshape(-1), step)
        streams = {HYPER_LATENTS: plan.head + z, LATENTS: data}
        return Encoded(streams, self._uncentred(values.reshape(latents.shape), plan.means, step))

    def _uncentred(
        self, values: NDArray[np.float32], means: NDArray[np.float32], step: float
    ) -> NDArray[np.float32]:
        """Coefficients (256, h, w) in dB about their means (M, h·w) in steps to latents, in place."""
        lapped_tilt.swap_squares(values[0])
        values[: len(means)] += (means * np.float32(step)).reshape(-1, *values.shape[1:])
        return values

    def decode(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (256, h, w); CorruptError if undecodable."""
        step = quality.step
        z, classes, model = self._entropy_prior(streams, shape, step)
        values = model.decode(streams[LATENTS], classes.reshape(-1), step)
        means = self._backend.means(z, shape)
        return self._uncentred(values.reshape(self.channels, *shape), means, step)

    def integers(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.int32]:
        """Hyper-latents and lattice points int32 (n,) of one group, which are the same on every device."""
        z, classes, model = self._entropy_prior(streams, shape, quality.step)
        return np.concatenate([z.reshape(-1), model.decode_lattice(streams[LATENTS], classes.reshape(-1))])

    def _entropy_prior(
        self, streams: Streams, shape: tuple[int, int], step: float
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8], EntropyModel]:
        """Hyper-latents (S, ceil(h/2), ceil(w/2)), classes (256, h·w) and the entropy model of a group."""
        if LATENTS not in streams or HYPER_LATENTS not in streams:
            raise CorruptError("a group has no latents or no side information")
        if not (np.isfinite(step) and step > 0):
            raise CorruptError(f"a quantisation step of {step} dB is impossible")
        half = ((shape[0] + 1) // 2, (shape[1] + 1) // 2)
        sizes = (lapped_tilt.COUNT, self._hyper.side_channels)
        (tilt, moves), start = lapped_tilt.unpack(streams[HYPER_LATENTS], sizes)
        lattice = self._z_model.decode_lattice(
            streams[HYPER_LATENTS][start:], self._hyper.side_classes(moves, half, step)
        )
        z = self._hyper.integrate(lattice.reshape(self._hyper.side_channels, *half))
        if z.size and max(int(z.max()), -int(z.min())) > SIDE_LIMIT:
            raise CorruptError("side information holds impossible values")
        classes = self._backend.classes(z, shape, step)
        self._hyper.tilt(classes, tilt)
        try:
            model = self._states_model(peek_states(streams[LATENTS]))
        except ModelError:
            raise CorruptError("entropy coded data is for a quantiser that the model lacks") from None
        return z, classes, model

    def _plan(self, latents: NDArray[np.float32], step: float) -> _Plan:
        """Everything about a group that coding it needs, before quantisation."""
        shape = (latents.shape[1], latents.shape[2])
        units = np.multiply(latents, np.float32(1.0 / step), dtype=np.float32)
        z, residual = self._hyper.quantise(self._backend.describe(units, step))
        classes, means = self._backend.classes(z, shape, step), self._backend.means(z, shape)
        centred = units.reshape(self.channels, -1)
        centred[: len(means)] -= means
        lapped_tilt.swap_squares(units[0])
        weight = 1 / max(self._entropy_model("latents1.").lam, 1e-3)
        samples = lapped_tilt.SAMPLES // (4 if self.states == 1 else 1)
        tilt = lapped_tilt.fit(centred, classes, self._code_lengths("latents1."), weight, samples)
        self._hyper.tilt(classes, tilt)
        lengths = self._code_lengths("side.")
        moves = lapped_tilt.fit_side(residual.reshape(len(z), -1), self._hyper.side_row(step), lengths)
        return _Plan(
            residual=residual.reshape(-1).astype(np.float32),
            z_classes=self._hyper.side_classes(moves, (z.shape[1], z.shape[2]), step),
            centred=centred,
            classes=classes,
            means=means,
            head=lapped_tilt.pack(tilt, moves),
        )
