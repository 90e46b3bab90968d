"""The reference autoencoder behind the contract of codec.base.

Windows are worked through in blocks, each with the halo that its receptive field needs, so that neither
memory nor the result depends on the size of the window: a latent or a pixel that is kept never saw a block's
padding.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sarzip.codec.ae16 import planes
from sarzip.codec.ae16.network import (
    STRIDE,
    Ae16,
    Ae16Config,
    analysis_halo,
    fold_batchnorm,
    synthesis_halo,
)
from sarzip.codec.ae16.quantise import dequantise, quantise
from sarzip.codec.base import LATENTS, Encoded, Halo, Quality, Streams
from sarzip.codec.signal.boxes import box_mean
from sarzip.errors import CorruptError, ModelError

__all__ = ["Ae16Codec", "Ae16Config"]

# Latents a side that go through the network at once: activations of 512×512 pixels (34 MB in the widest
# layer) are where a core is fastest; the halo then costs an eighth in the decoder.
_BLOCK = 32


class Ae16Codec:
    """A trained `ae16`, ready to code: numpy in and out. Safe to call from several threads at once."""

    id = "ae16"

    def __init__(
        self, config: Ae16Config | Mapping[str, Any], weights: Mapping[str, Any], device: str = "cpu"
    ) -> None:
        """Build the network of `config` with `weights` (name to array); ModelError if they do not fit."""
        self.config = config if isinstance(config, Ae16Config) else Ae16Config.from_mapping(config)
        self.channels = self.config.latents
        self.inputs = self.config.inputs
        self.separate = False
        self.halo = Halo(analysis_halo(self.config), synthesis_halo(self.config))
        self.mirror_signs = np.ones((2, self.channels), np.float32)
        network = _load(self.config, weights)
        gains = network.gains().detach().numpy().astype(np.float32)
        if not (np.isfinite(gains).all() and (gains > 0).all()):
            raise ModelError("ae16: the gains must be positive")
        self.gains = gains
        self._device = torch.device(device)
        folded = fold_batchnorm(network).to(self._device)
        for module in folded.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.padding_mode = "zeros"  # the fastest; what is kept never saw the padding
        self._network = folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def analyse(self, signal: NDArray[np.float32]) -> NDArray[np.float32]:
        """Signal (inputs, 16h+2a, 16w+2a) in dB, a the analysis halo, to latents (C, h, w)."""
        halo = self.halo.pixels // STRIDE
        rows, columns = (n // STRIDE - 2 * halo for n in signal.shape[1:])
        latents = np.empty((self.channels, rows, columns), np.float32)

        def run(window: Tensor) -> Tensor:
            return self._network.analyse(window)[..., halo : -halo or None, halo : -halo or None]

        for top, left, height, width in _blocks(rows, columns):
            part = signal[
                :,
                STRIDE * top : STRIDE * (top + height + 2 * halo),
                STRIDE * left : STRIDE * (left + width + 2 * halo),
            ]
            latents[:, top : top + height, left : left + width] = self._run(run, part)
        return latents

    def only(self, positions: Collection[int]) -> Ae16Codec:
        """See SignalCodec: bands come out of the network together."""
        return self

    def reduces(self, scale: int) -> bool:
        """The network is not linear: there is no way around the pixels."""
        return scale == 1

    def restore(self, latents: NDArray[np.float32], scale: int = 1) -> NDArray[np.float32]:
        """Latents (C, h+2b, w+2b), b the halo, to signal (inputs, 16h/scale, 16w/scale) in dB."""
        signal = self._synthesise(latents)
        return signal if scale == 1 else np.stack([box_mean(band, scale) for band in signal])

    def _synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        halo = self.halo.latents
        rows, columns = (n - 2 * halo for n in latents.shape[1:])
        signal = np.empty((self.inputs, STRIDE * rows, STRIDE * columns), np.float32)
        edge = STRIDE * halo

        def run(window: Tensor) -> Tensor:
            return self._network.synthesise(window)[..., edge : -edge or None, edge : -edge or None]

        for top, left, height, width in _blocks(rows, columns):
            part = latents[:, top : top + height + 2 * halo, left : left + width + 2 * halo]
            signal[:, STRIDE * top : STRIDE * (top + height), STRIDE * left : STRIDE * (left + width)] = (
                self._run(run, part)
            )
        return signal

    def encode(self, latents: NDArray[np.float32], quality: Quality) -> Encoded:
        """One group of latents (C, h, w) to its only stream, and what decode will make of it."""
        widths = self._widths(quality.step)
        indices = quantise(latents, widths)
        return Encoded({LATENTS: planes.pack(indices)}, dequantise(indices, widths))

    def decode(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.float32]:
        """The latents (C, h, w) that the stream holds; CorruptError if it is missing or undecodable."""
        return dequantise(self.integers(streams, shape, quality), self._widths(quality.step))

    def integers(self, streams: Streams, shape: tuple[int, int], quality: Quality) -> NDArray[np.int32]:
        """The indices (C, h, w) of the quantisers."""
        if LATENTS not in streams:
            raise CorruptError("a group has no latents")
        return planes.unpack(streams[LATENTS], (self.channels, *shape))

    def _widths(self, step: float) -> NDArray[np.float32]:
        """Width of every channel's quantiser, in latent units."""
        return self.gains * np.float32(step)

    def _run(self, function: Callable[[Tensor], Tensor], window: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            batch = torch.from_numpy(np.ascontiguousarray(window, np.float32))[None].to(self._device)
            return function(batch.contiguous(memory_format=torch.channels_last))[0].cpu().numpy()


def _blocks(rows: int, columns: int) -> list[tuple[int, int, int, int]]:
    """Top, left, height, width of blocks that cover rows × columns latents."""
    return [
        (top, left, min(_BLOCK, rows - top), min(_BLOCK, columns - left))
        for top in range(0, rows, _BLOCK)
        for left in range(0, columns, _BLOCK)
    ]


def _load(config: Ae16Config, weights: Mapping[str, Any]) -> Ae16:
    network = Ae16(config)
    tensors = {name: torch.as_tensor(value).to(torch.float32) for name, value in weights.items()}
    expected = {name for name in network.state_dict() if not name.endswith("num_batches_tracked")}
    if set(tensors) != expected:
        raise ModelError("ae16: the weights are not those of the network in the card")
    try:
        network.load_state_dict(tensors, strict=False)
    except RuntimeError as error:
        raise ModelError("ae16: the weights have not the shapes of the network in the card") from error
    return network.eval()
