"""`lapped16` for reading only, in numpy: what a window or a quick look needs, without importing torch.

Starting torch takes longer than decoding a window of 512×512 pixels. The hyperprior is integers (see
hyperprior.py), which numpy's float32 matrix products sum exactly as well; the rest agrees with lapped16.py up
to float rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sarzip.codec import hyperprior_steps as steps
from sarzip.codec import lapped_tilt
from sarzip.codec.entropy import EntropyModel, peek_states
from sarzip.codec.family import LATENTS, SIDE
from sarzip.codec.lapped_transform import mirror_signs
from sarzip.codec.reduced import LinearSynthesis
from sarzip.errors import CorruptError, ModelError

KERNEL = "synthesis.kernel"
SIDE_LIMIT = 1023
_CLASSES = 64
_LAYERS = ("first", "up", "mid", "last")


class Lapped16Reader:
    """The decoding half of a trained `lapped16` on the CPU; safe to call from many threads."""

    name = "lapped16"
    inputs = 1
    synthesis_halo = 1

    def __init__(self, weights: Mapping[str, Any]) -> None:
        """Build from the model file's arrays; ModelError if one is missing or of the wrong kind."""
        self._weights = {name: np.asarray(value) for name, value in weights.items()}
        self.mirror_signs = mirror_signs()
        self.channels = self.mirror_signs.shape[1]
        try:
            self._knots = {
                name: self._weights[f"hyper.{name}.knots"].astype(np.int32)
                for name in ("first", "last", "side")
            }
            self._prediction = np.ascontiguousarray(self._weights["hyper.side.prediction"], np.int32)
            self._tilt = self._weights["hyper.tilt.basis"].astype(np.int8)
            self._layers = {
                name: self._weights[f"hyper.{name}.weight"].astype(np.float32) for name in _LAYERS
            }
            self._biases = {
                name: self._weights[f"hyper.{name}.bias"].astype(np.float32)[:, None]
                for name in ("up", "mid")
            }
            mean = self._weights["mean.weight"].astype(np.float32)
            self._mean = mean.reshape(len(mean), -1)
            self._kernel = self._weights[KERNEL].astype(np.float32)
        except KeyError as missing:
            raise ModelError(f"lapped16: array {missing} is missing in the model") from None
        self._models: dict[str, EntropyModel] = {}
        self._synthesis = LinearSynthesis(self._kernel)

    def decode(
        self, streams: Mapping[int, bytes], shape: tuple[int, int], step: float
    ) -> NDArray[np.float32]:
        """Streams of one group to dequantised latents (256, h, w); CorruptError if undecodable."""
        if LATENTS not in streams or SIDE not in streams:
            raise CorruptError("a group has no latents or no side information")
        if not (np.isfinite(step) and step > 0):
            raise CorruptError(f"a quantisation step of {step} dB is impossible")
        h, w = shape
        half = ((h + 1) // 2, (w + 1) // 2)
        sizes = (lapped_tilt.COUNT, len(self._prediction))
        (tilt, moves), start = lapped_tilt.unpack(streams[SIDE], sizes)
        row = steps.side_row(self._knots["side"], step, _CLASSES)
        moved = moves * lapped_tilt.SIDE_UNIT
        classes = steps.spread_side(row, moved, half[0] * half[1], _CLASSES - 1)
        lattice = self._model("side.").decode_lattice(streams[SIDE][start:], classes)
        side = np.ascontiguousarray(lattice.reshape(-1, *half))
        steps.integrate(side, self._prediction)
        if side.size and max(int(side.max()), -int(side.min())) > SIDE_LIMIT:
            raise CorruptError("side information holds impossible values")
        classes = np.ascontiguousarray(self.classes(side, step)[:, :h, :w]).reshape(self.channels, -1)
        lapped_tilt.shift(classes, lapped_tilt.offsets(tilt, self._tilt), _CLASSES - 1)
        prefix = f"latents{peek_states(streams[LATENTS])}."
        if prefix + "head" not in self._weights:
            raise CorruptError("entropy coded data is for a quantiser that the model lacks")
        model = self._model(prefix)
        latents = model.decode(streams[LATENTS], classes.reshape(-1)).reshape(self.channels, h, w)
        lapped_tilt.swap_squares(latents[0])
        means = _shuffle(self._mean @ _neighbourhoods(side.astype(np.float32)), half)
        latents[: len(means)] += means[:, :h, :w]
        latents *= np.float32(step)
        return latents

    def synthesise(self, latents: NDArray[np.float32]) -> NDArray[np.float32]:
        """Latents (256, h+2, w+2) to signal (1, 16h, 16w) in dB."""
        return self._synthesis(latents)[None]

    def classes(self, side: NDArray[np.int32], step: float) -> NDArray[np.uint8]:
        """Hyper-latents int32 (S, h, w) to the scale classes uint8 (256, 2h, 2w); exact integers."""
        index = steps.step_index(step)
        shape = (side.shape[1], side.shape[2])
        clipped = np.clip(side, -steps.SIDE_CLIP, steps.SIDE_CLIP).astype(np.float32)
        x = self._layers["first"] @ _neighbourhoods(clipped)
        x *= np.float32(1 << steps.HIDDEN_BITS)
        x = _activate(x + _row(self._knots["first"], index))
        x = _activate(self._layers["up"] @ x + self._biases["up"])
        x = _shuffle(x, shape).reshape(-1, 4 * shape[0] * shape[1])
        x = _activate(self._layers["mid"] @ x + self._biases["mid"])
        x = self._layers["last"] @ x
        # Adding the shift to the sums is exact wherever it matters: what needs more than 24 bits is clipped.
        beyond = steps.classes_beyond(index, len(self._knots["last"])) << steps.SUM_BITS
        x += _row(self._knots["last"], index, (1 << (steps.SUM_BITS - 1)) + beyond)
        x *= np.float32(1.0 / (1 << steps.SUM_BITS))
        np.maximum(x, 0, out=x)
        np.minimum(x, _CLASSES - 1, out=x)
        return x.astype(np.uint8).reshape(-1, 2 * shape[0], 2 * shape[1])

    def _model(self, prefix: str) -> EntropyModel:
        # Two threads may both build it; they build the same.
        if prefix not in self._models:
            self._models[prefix] = EntropyModel.from_arrays(self._weights, prefix)
        return self._models[prefix]


def _row(knots: NDArray[np.int32], index: int, plus: int = 0) -> NDArray[np.float32]:
    return (steps.interpolate_knots(knots, index) + plus).astype(np.float32)[:, None]


def _activate(total: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums (count 1/1024) to hidden integers (count 1/16), in place."""
    total *= np.float32(1.0 / (1 << steps.WEIGHT_BITS))
    np.floor(total, out=total)
    return np.clip(total, 0, steps.TOP_HIDDEN, out=total)


def _neighbourhoods(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(S, h, w) to the 3×3 surroundings of each position, (9·S, h·w), edges repeated."""
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    windows = sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.ascontiguousarray(windows.transpose(0, 3, 4, 1, 2)).reshape(
        -1, planes.shape[1] * planes.shape[2]
    )


def _shuffle(flat: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """(4·C, h·w) to (C, 2h, 2w): four channels are the four positions of a 2×2 square."""
    h, w = shape
    return flat.reshape(-1, 2, 2, h, w).transpose(0, 3, 1, 4, 2).reshape(-1, 2 * h, 2 * w)
