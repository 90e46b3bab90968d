"""What a model of `lapped16` consists of, as its backends take it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16.hyper_analysis import HyperEncoder
from sarzip.codec.lapped16.hyper_synthesis import IntegerHyper
from sarzip.codec.lapped16.transform import LappedTransform
from sarzip.errors import ModelError


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a model. transform, analysis: None in a model of the first generation, whose transform was
    not separable, and which is here for decoding only. mean (4·M, 9·S): of M low channels, from z.
    """

    weights: Mapping[str, NDArray[Any]]
    hyper: IntegerHyper
    mean: NDArray[np.float32]
    transform: LappedTransform | None
    analysis: HyperEncoder | None

    @classmethod
    def from_weights(cls, weights: Mapping[str, NDArray[Any]]) -> Parts:
        """Raises ModelError if a tensor is missing or has the wrong shape."""
        first_generation = "synthesis.kernel" in weights
        try:
            mean = np.ascontiguousarray(weights["mean.weight"], np.float32)
            return cls(
                weights,
                IntegerHyper(weights),
                mean.reshape(len(mean), -1),
                None if first_generation else LappedTransform(weights["transform.basis"]),
                None if first_generation else HyperEncoder(weights),
            )
        except (KeyError, ValueError) as error:
            raise ModelError(f"lapped16: the weights do not fit the card ({error})") from error

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of z, of the hidden layers per 2×2 latents and per latent, and with means."""
        layers = self.hyper.layers
        return self.hyper.side_channels, len(layers["first"]), len(layers["mid"]), len(self.mean) // 4
