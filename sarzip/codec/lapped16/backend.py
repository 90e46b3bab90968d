"""Who computes the transform and the networks of `lapped16`: this module on a CPU, `torch_device` elsewhere.

Only `classes` has to give the same integers everywhere: it selects the tables of the entropy coder.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16.hyper_synthesis import neighbourhoods, shuffle
from sarzip.codec.lapped16.parts import Parts
from sarzip.native.maths import product


class Backend(Protocol):
    """Transform and networks of one model; thread-safe."""

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (16h+32, 16w+32) in dB to latents (256, h, w)."""
        ...

    def restore(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (256, h+2, w+2) to signal (16h, 16w) in dB."""
        ...

    def describe(self, units: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """h_a: latents in steps (256, h, w) to z before rounding (S, ceil(h/2), ceil(w/2))."""
        ...

    def classes(self, z: NDArray[np.int32], shape: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """h_s: z to scale classes (256, h·w), before the tilt."""
        ...

    def means(self, z: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """Predicted means (M, h·w) of the low channels, in steps."""
        ...


def build_backend(parts: Parts, device: str) -> Backend:
    """The backend for 'cpu' or a device of torch."""
    if device == "cpu":
        return NumpyBackend(parts)
    from sarzip.codec.lapped16.torch_device import TorchBackend

    return TorchBackend(parts, device)


class NumpyBackend:
    """numpy and native kernels."""

    def __init__(self, parts: Parts) -> None:
        self._hyper, self._mean = parts.hyper, parts.mean
        self._transform, self._analysis = parts.transform, parts.analysis

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Backend."""
        assert self._transform is not None  # the codec has refused such a model
        return self._transform.analyse(signal)

    def restore(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """See Backend."""
        assert self._transform is not None  # the codec uses the kernels of such a model itself
        return self._transform.synthesise(latents)

    def describe(self, units: NDArray[np.float32], step: float) -> NDArray[np.float32]:
        """See Backend."""
        assert self._analysis is not None  # analyse comes first
        return self._analysis(units, step)

    def classes(self, z: NDArray[np.int32], shape: tuple[int, int], step: float) -> NDArray[np.uint8]:
        """See Backend."""
        return self._hyper.classes(z, shape, step)

    def means(self, z: NDArray[np.int32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """See Backend."""
        half, count = (z.shape[1], z.shape[2]), len(self._mean) // 4
        wide = shuffle(product(self._mean, neighbourhoods(z.astype(np.float32))), half)
        if shape == (2 * half[0], 2 * half[1]):
            return wide
        planes = wide.reshape(-1, 2 * half[0], 2 * half[1])[:, : shape[0], : shape[1]]
        return planes.reshape(count, -1)
