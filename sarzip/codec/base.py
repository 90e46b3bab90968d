"""The contract of a codec: one group of a set of bands to bytes and back. Arrays and bytes only; thread-safe.

There are two kinds. A `SignalCodec` sees a signal, float32 dB about the centre of the band, and makes latents
of it that live on a coarser grid and look at their neighbours (`lapped16`, `ae16`). A `SampleCodec` sees the
samples as they are stored and nothing around the group (`exact`, `predictive`). What they share is `Codec`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal.bounds import Bound

Signal = NDArray[np.float32]
"""(bands, rows, columns) in dB about the centre of each band."""
Latents = NDArray[np.float32]
"""(C, rows, columns), one for each 16×16 pixels."""
Streams = Mapping[int, bytes]
"""Payloads by the kinds of FORMAT.md 8."""

LATENTS = 2
HYPER_LATENTS = 3


@dataclass(frozen=True)
class Quality:
    """How well a set is kept: by a quantiser step in dB, within a bound, or both; bit for bit where there is
    neither.
    """

    step_db: float | None = None
    bound: Bound | None = None

    @property
    def exact(self) -> bool:
        """Whether nothing is lost."""
        return self.step_db is None and self.bound is None

    @property
    def step(self) -> float:
        """The step; 0, which no codec of signals accepts, where there is none."""
        return self.step_db or 0.0


EXACT = Quality()


class Halo(NamedTuple):
    """What a codec looks at around a group.

    pixels: on each side when analysing, a multiple of 16. latents: on each side when restoring.
    """

    pixels: int = 0
    latents: int = 0


class Worst(NamedTuple):
    """The greatest error of a band of a group, in the unit of its bound, and where in the group."""

    error: float = 0.0
    row: int = 0
    column: int = 0

    @classmethod
    def of(cls, errors: NDArray[np.float64], inside: NDArray[np.bool_]) -> Worst:
        """That of the pixels (rows, columns) that are `inside`, given their errors in raster order."""
        if not errors.size or not errors.any():
            return cls()
        at = int(np.argmax(errors))
        return cls(float(errors[at]), *divmod(int(np.flatnonzero(inside)[at]), inside.shape[1]))


class Encoded(NamedTuple):
    """Streams of a group, and the latents that a decoder will make of them."""

    streams: dict[int, bytes]
    latents: Latents


class Codec(Protocol):
    """What every codec has."""

    id: str
    inputs: int
    """Bands coded together."""

    def integers(
        self, streams: Streams, shape: tuple[int, int], quality: Quality
    ) -> NDArray[np.int32] | None:
        """What entropy decoding gives for a group of `shape` latents, the same on every device; None where
        the codec has nothing between streams and samples. Raises CorruptError.
        """
        ...


class SampleCodec(Codec, Protocol):
    """Codes the stored samples of a group, without its neighbours."""

    def encode(self, samples: Sequence[NDArray[Any]]) -> tuple[dict[int, bytes], list[Worst]]:
        """Samples (rows, columns) of every band to streams; with a bound the worst error of each band."""
        ...

    def decode(self, streams: Streams, shape: tuple[int, int], band: int) -> NDArray[Any]:
        """Samples (rows, columns) of the band at a position in the set. Raises CorruptError."""
        ...


class SignalCodec(Codec, Protocol):
    """Codes the signal of a group by latents: analyse, encode; decode, restore."""

    channels: int
    """Latent channels C."""
    separate: bool
    """Whether each band has its own share of the channels. encode then takes NaN for the latents of a band at
    places that no measurement of it depends on."""
    halo: Halo
    mirror_signs: NDArray[np.float32]
    """(2, C): the sign of each channel where rows (0) or columns (1) of latents are mirrored."""

    def analyse(self, signal: Signal) -> Latents:
        """Signal (inputs, 16h+2a, 16w+2a), a the pixels of the halo, to latents (C, h, w)."""
        ...

    def encode(self, latents: Latents, quality: Quality) -> Encoded:
        """Quantise one group of latents (C, h, w) and entropy-code it."""
        ...

    def decode(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> Latents:
        """Streams of one group to dequantised latents (C, h, w). Raises CorruptError."""
        ...

    def restore(self, latents: Latents, scale: int = 1) -> Signal:
        """Latents (C, h+2b, w+2b), b the latents of the halo, to signal (inputs, 16h/s, 16w/s): its means
        over boxes of scale × scale pixels, scale a divisor of 16.
        """
        ...

    def only(self, positions: Collection[int]) -> SignalCodec:
        """One that decodes no more than it must for the bands at some positions, of those it decodes; the
        others may come out as zeros.
        """
        ...

    def reduces(self, scale: int) -> bool:
        """Whether restore makes such means without the pixels; if not, it is no faster than scale 1."""
        ...
