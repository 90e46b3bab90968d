"""What every model family offers the pipelines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16.reduced import Synthesis

LATENTS = 2
SIDE = 3


class Family(Protocol):
    """A trained codec for groups of patches; arrays in, arrays and bytes out. Thread-safe.

    Signals are float32 dB about the centre of the band, latents have one sample per 16×16 pixels.
    """

    name: str
    channels: int
    """Latent channels C."""
    inputs: int
    """Bands coded together."""
    separate: bool
    """Whether each band has its own share of the channels. encode and code then take NaN for the latents of a
    band at places that no measurement of it depends on."""
    analysis_halo: int
    """Pixels analyse needs on each side, a multiple of 16."""
    synthesis_halo: int
    """Latents synthesise needs on each side."""
    mirror_signs: NDArray[np.float32]
    """(2, C): the sign of each channel where rows (0) or columns (1) of latents are mirrored."""

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (inputs, 16h+2a, 16w+2a), a the analysis halo, to latents (C, h, w)."""
        ...

    def encode(self, latents: NDArray[np.float32], step: float) -> dict[int, bytes]:
        """Quantise one group of latents (C, h, w) with a step in dB and entropy-code it into streams."""
        ...

    def code(self, latents: NDArray[np.float32], step: float) -> tuple[dict[int, bytes], NDArray[np.float32]]:
        """What encode gives, and the dequantised latents (C, h, w) that decode will make of it."""
        ...

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (C, h, w). Raises CorruptError."""
        ...

    def reduced(self, scale: int) -> Synthesis | None:
        """Synthesis of the means over boxes of scale × scale pixels, out of each band's share of the latents;
        None where it takes the pixels first.
        """
        ...

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (C, h+2s, w+2s), s the synthesis halo, to signal (inputs, 16h, 16w)."""
        ...
