"""The causal network of 24 inputs, 32 and 32 hidden units and 3 outputs, as integers.

Weights are 16 bits in 1/128, activations 8 bits in 1/32, sums 32 bits: exact on every processor. Statistics
of the group enter through the biases of the first layer, so that they cost nothing per pixel.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.distributions import (
    INVERSE_STEPS,
    SCALES,
    SHAPES,
    TABLE_STEPS,
    integer_tables,
)
from sarzip.codec.predictive.fit import STATISTIC, STATISTICS, UNITS
from sarzip.codec.streams import byte_planes
from sarzip.errors import ModelError

INPUTS = 24
HIDDEN = 32
OUTPUTS = 3
MOST_ACTIVE = 255 / UNITS
"""What an activation of 8 bits can be."""

_WEIGHT = 128
_HALF = _WEIGHT // 2  # sums are divided by flooring
# Integer outputs per unit of the float network: mean in σ/128, scale in 1/8 of its logarithm, shape.
_OUTPUT_SCALES = np.array([128.0, 8.0, 1.0])
_PER_STATISTIC = _WEIGHT * UNITS // STATISTIC
_LAYERS = ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, OUTPUTS + 1))
_LEVEL = 19
_TUNED = ("weights", "biases", "statistics")
_TABLE_SIZE = SHAPES * (TABLE_STEPS + 1 + INVERSE_STEPS + 1) + 2 * SCALES
Layer = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class PixelNetwork:
    """weights: int16, as native/pixel.h takes them. biases: int32 of all outputs. statistics: int32 (HIDDEN,
    STATISTICS), what they add to the first biases. tables: int32, see distributions.
    """

    weights: NDArray[np.int16]
    biases: NDArray[np.int32]
    statistics: NDArray[np.int32]
    tables: NDArray[np.int32]

    @classmethod
    def from_weights(cls, weights: Mapping[str, Any]) -> PixelNetwork:
        """From the tensors of a model's file; ModelError where they do not fit."""
        shapes = {
            "weights": (np.int16, (sum(a * b for a, b in _LAYERS),)),
            "biases": (np.int32, (sum(b for _, b in _LAYERS),)),
            "statistics": (np.int32, (HIDDEN, STATISTICS)),
            "tables": (np.int32, (_TABLE_SIZE,)),
        }
        arrays = {}
        for name, (dtype, shape) in shapes.items():
            array = np.ascontiguousarray(np.asarray(weights[name]))
            if array.dtype != dtype or array.shape != shape:
                raise ModelError(f"tensor {name} of family 'predictive' is not {np.dtype(dtype)} {shape}")
            arrays[name] = array
        return cls(**arrays)

    @functools.cached_property
    def layers(self) -> list[Layer]:
        """Of the float network that this is the integer form of."""
        return float_layers(vars(self))

    def difference(self, layers: Sequence[Layer]) -> bytes:
        """What `tuned` needs to come to these layers."""
        other = integer_arrays(layers)
        steps = [np.asarray(other[name], np.int64) - getattr(self, name) for name in _TUNED]
        flat = np.concatenate([each.ravel() for each in steps])
        return byte_planes.pack(np.clip(flat, -32768, 32767).astype(np.int16), _LEVEL)

    def tuned(self, difference: bytes) -> PixelNetwork:
        """With weights of a scene's own. Raises CorruptError."""
        arrays = [getattr(self, name) for name in _TUNED]
        size = 2 * sum(each.size for each in arrays)
        flat = byte_planes.unpack(difference, "<i2", (size,), "weights of a set")
        changed, at = {}, 0
        for name, array in zip(_TUNED, arrays, strict=True):
            step = flat[at : at + array.size].reshape(array.shape)
            with np.errstate(over="ignore"):
                changed[name] = array + step.astype(array.dtype)
            at += array.size
        return replace(self, **changed)

    def biases_for(self, statistics: NDArray[np.int32]) -> NDArray[np.int32]:
        """Biases with the statistics of a group in them."""
        biases = self.biases.copy()
        biases[:HIDDEN] += (self.statistics.astype(np.int64) @ statistics).astype(np.int32)
        return biases


def integer_network(layers: Sequence[Layer], shapes: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """The tensors of a model's file, from layers (weight, bias) of the float network and distributions."""
    return {**integer_arrays(layers), "tables": integer_tables(shapes)}


def integer_arrays(layers: Sequence[Layer]) -> dict[str, NDArray[Any]]:
    """Weights, biases and statistics of a PixelNetwork."""
    (w1, b1), (w2, b2), (w3, b3) = layers
    spare = np.zeros((1, HIDDEN))
    w3 = np.concatenate([w3 * _OUTPUT_SCALES[:, None] / UNITS, spare])
    b3 = np.append(b3 * _OUTPUT_SCALES * _WEIGHT, 0)
    matrices = [np.rint(w * _WEIGHT) for w in (w1[:, :INPUTS], w2, w3)]
    biases = [np.rint(b1 * UNITS * _WEIGHT) + _HALF, np.rint(b2 * UNITS * _WEIGHT) + _HALF, np.rint(b3)]
    packed = np.concatenate([_in_pairs(matrix).ravel() for matrix in matrices])
    return {
        "weights": np.clip(packed, -32768, 32767).astype(np.int16),
        "biases": np.concatenate(biases).astype(np.int32),
        "statistics": np.rint(w1[:, INPUTS:] * _PER_STATISTIC).astype(np.int32),
    }


def float_layers(weights: Mapping[str, Any]) -> list[Layer]:
    """Layers of the float network again, as training takes them."""
    flat, biases = np.asarray(weights["weights"], np.float64), np.asarray(weights["biases"], np.float64)
    matrices, at = [], 0
    for inputs, outputs in _LAYERS:
        part = flat[at : at + inputs * outputs].reshape(inputs // 2, outputs, 2)
        matrices.append(part.transpose(1, 0, 2).reshape(outputs, inputs) / _WEIGHT)
        at += inputs * outputs
    first = np.concatenate([matrices[0], np.asarray(weights["statistics"]) / _PER_STATISTIC], 1)
    last = matrices[2][:OUTPUTS] * UNITS / _OUTPUT_SCALES[:, None]
    scales = [(biases[i * HIDDEN : (i + 1) * HIDDEN] - _HALF) / (UNITS * _WEIGHT) for i in range(2)]
    final = biases[2 * HIDDEN : 2 * HIDDEN + OUTPUTS] / (_OUTPUT_SCALES * _WEIGHT)
    return [(first, scales[0]), (matrices[1], scales[1]), (last, final)]


def _in_pairs(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """(outputs, inputs) to (inputs / 2, outputs, 2)."""
    outputs, inputs = matrix.shape
    return matrix.reshape(outputs, inputs // 2, 2).transpose(1, 0, 2)
