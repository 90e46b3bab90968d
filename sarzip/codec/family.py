"""What every model family offers the pipelines, and how one is built from a model's card and weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import ModelError

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

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (C, h, w). Raises CorruptError."""
        ...

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (C, h+2s, w+2s), s the synthesis halo, to signal (inputs, 16h, 16w)."""
        ...


EFFORTS = ("fast", "best")
"""How hard an encoder searches; files of either decode alike. ae16 has one way only."""


def build_family(
    name: str, config: Mapping[str, Any], weights: Mapping[str, Any], device: str, effort: str = "best"
) -> Family:
    """Make the family `name` from its architecture parameters and its weights on a torch device.

    Raises ModelError when this version of sarzip does not know the family or the weights do not fit.
    """
    try:
        if name == "ae16":
            from sarzip.codec.ae16 import Ae16Config, Ae16Family

            return Ae16Family(Ae16Config(**config), weights, device)
        if name == "lapped16":
            from sarzip.codec.lapped16 import DEFAULT_STATES, Lapped16Config, Lapped16Family

            states = 1 if effort == "fast" else DEFAULT_STATES
            return Lapped16Family(Lapped16Config(**config), weights, device, states)
    except (TypeError, KeyError, RuntimeError) as error:
        raise ModelError(f"weights of family '{name}' do not fit their card ({error})") from error
    raise ModelError(f"model family '{name}' is unknown to this version of sarzip; a newer one may have it")
