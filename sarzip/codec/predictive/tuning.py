"""Weights of the network tuned to one band of one scene, and sent along: worth it from a few megapixels on.

Some 160 steps of Adam on pixels of a sample, from the released weights on. All sums run in a fixed order, so
that every processor finds the same weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.predictive.contexts import contexts
from sarzip.codec.predictive.distributions import (
    FINE,
    LEAST_CHANCE,
    LEAST_SCALE,
    MOST_SCALE,
    SHAPES,
    STEPS_PER_DEVIATION,
    TABLE_BITS,
    TABLE_LEAST,
    TABLE_STEPS,
)
from sarzip.codec.predictive.fit import STATISTIC, UNITS
from sarzip.codec.predictive.network import MOST_ACTIVE, PixelNetwork
from sarzip.codec.predictive.pixels import Numbered
from sarzip.native import maths

_STEPS, _BATCH, _RATE = 160, 4096, 4e-3
_LOG2 = 1 / np.log(2.0)
_CHECKED = 1 << 15
_GAIN = 2.0  # times what the weights cost: a sample promises more than a scene holds
Array = NDArray[np.float32]


@dataclass(frozen=True)
class _Pixels:
    """inputs: (n, 34). low, high: edges of their cells from the prediction, in σ."""

    inputs: Array
    low: Array
    high: Array

    def some(self, which: NDArray[np.int64]) -> _Pixels:
        return _Pixels(self.inputs[which], self.low[which], self.high[which])


def tuned(network: PixelNetwork, pieces: Sequence[Numbered], pixels: int) -> bytes:
    """What makes the weights fit a band (PixelNetwork.tuned), of which there are some pieces and so many
    pixels in all; b"" where it does not pay.
    """
    parts = [_pixels(piece) for piece in pieces]
    whole = _Pixels(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in _Pixels.__annotations__)
    )
    rng = np.random.default_rng(0)
    order = rng.permutation(len(whole.low))
    held, used = whole.some(order[:_CHECKED]), order[_CHECKED:]
    if used.size < _CHECKED:
        return b""
    table = _table(network)
    layers = [(w.astype(np.float32), b.astype(np.float32)) for w, b in network.layers]
    before = _bits(layers, table, held)
    layers = _trained(layers, table, [whole.some(rng.choice(used, _BATCH)) for _ in range(_STEPS)])
    told = network.difference([(w.astype(np.float64), b.astype(np.float64)) for w, b in layers])
    again = [(w.astype(np.float32), b.astype(np.float32)) for w, b in network.tuned(told).layers]
    return told if (before - _bits(again, table, held)) * pixels > _GAIN * 8 * len(told) else b""


def _pixels(piece: Numbered) -> _Pixels:
    """The coded pixels of a piece; others count as the median."""
    cells, fit = piece.cells, piece.fit
    tables, coded = cells.tables(fit.unit, piece.origin), piece.index >= 0
    levels, edges = tables.arrays[: tables.count], tables.arrays[tables.count : 2 * tables.count + 1]
    plane = np.where(coded, levels[np.maximum(piece.index, 0)], 0).astype(np.int32)
    inputs, prediction = contexts(plane, fit.coefficients)
    index, centre = piece.index[coded], prediction[coded].astype(np.float32)
    far = np.float32(1e4)
    low = edges[index].astype(np.float32) / FINE - centre
    high = edges[index + 1].astype(np.float32) / FINE - centre
    low[index == 0], high[index == tables.count - 1] = -far * UNITS, far * UNITS
    seen = inputs[coded].astype(np.float32) / UNITS
    told = np.broadcast_to((fit.statistics / STATISTIC).astype(np.float32), (len(seen), len(fit.statistics)))
    units = np.float32(UNITS)
    edges_of = (np.asarray(each / units, np.float32) for each in (low, high))
    return _Pixels(np.concatenate([seen, told], 1), *edges_of)


def _table(network: PixelNetwork) -> Array:
    size = SHAPES * (TABLE_STEPS + 1)
    return (network.tables[:size].reshape(SHAPES, -1) / np.float32(1 << TABLE_BITS)).astype(np.float32)


@dataclass(frozen=True)
class _Forward:
    """Everything a step back needs."""

    first: Array
    second: Array
    outputs: Array
    loss: Array
    slope: Array
    """Of the loss to the three outputs."""


def _bits(layers: Sequence[tuple[Array, Array]], table: Array, pixels: _Pixels) -> float:
    return float(_forward(layers, table, pixels).loss.astype(np.float64).mean())


def _forward(layers: Sequence[tuple[Array, Array]], table: Array, pixels: _Pixels) -> _Forward:
    (w1, b1), (w2, b2), (w3, b3) = layers
    first = np.clip(maths.product(pixels.inputs, np.ascontiguousarray(w1.T)) + b1, 0, MOST_ACTIVE)
    second = np.clip(maths.product(first, np.ascontiguousarray(w2.T)) + b2, 0, MOST_ACTIVE)
    outputs = maths.product(second, np.ascontiguousarray(w3.T)) + b3
    mean, scale, shape = (np.ascontiguousarray(each) for each in outputs.T)
    free_scale = (scale > LEAST_SCALE) & (scale < MOST_SCALE)
    # Coded ones are rounded down.
    inverse = maths.exp(np.float32(1 / 16) - np.clip(scale, np.float32(LEAST_SCALE), np.float32(MOST_SCALE)))
    free_shape = (shape > 0.5) & (shape < SHAPES - 1)
    row = np.clip(shape - np.float32(0.5), 0, np.float32(SHAPES - 1.001))
    chance, slopes = np.zeros_like(mean), [np.zeros_like(mean) for _ in range(3)]
    for sign, edge in ((1, pixels.high), (-1, pixels.low)):
        z = (edge - mean) * inverse
        share, to_z, to_row = _cumulative(table, z, row)
        chance += sign * share
        slopes[0] -= sign * to_z * inverse
        slopes[1] -= sign * to_z * z
        slopes[2] += sign * to_row
    known = chance > LEAST_CHANCE
    chance = np.maximum(chance, np.float32(LEAST_CHANCE))
    loss = maths.log(chance, -_LOG2)
    factor = np.where(known, np.float32(-_LOG2) / chance, 0)
    slope = np.stack(
        [factor * slopes[0], factor * slopes[1] * free_scale, factor * slopes[2] * free_shape], 1
    )
    return _Forward(first, second, outputs, loss, np.ascontiguousarray(slope, np.float32))


def _cumulative(table: Array, z: Array, row: Array) -> tuple[Array, Array, Array]:
    """Share below z of the shapes `row`, and its slopes to both."""
    place = np.clip(z * STEPS_PER_DEVIATION - TABLE_LEAST, 0, np.float32(TABLE_STEPS - 0.01))
    column, above = place.astype(np.int32), row.astype(np.int32)
    right, down = place - column, row - above
    flat, width = table.ravel(), table.shape[1]
    at = above * width + column
    a, b, c, d = flat[at], flat[at + 1], flat[at + width], flat[at + width + 1]
    upper, lower = a + (b - a) * right, c + (d - c) * right
    to_z = ((b - a) * (1 - down) + (d - c) * down) * STEPS_PER_DEVIATION
    return upper + (lower - upper) * down, to_z, lower - upper


def _trained(
    layers: Sequence[tuple[Array, Array]], table: Array, batches: Sequence[_Pixels]
) -> list[tuple[Array, Array]]:
    values = [np.array(each) for layer in layers for each in layer]
    moments = [(np.zeros_like(each), np.zeros_like(each)) for each in values]
    for step, batch in enumerate(batches, start=1):
        rate = np.float32(_RATE * (1 - step / (len(batches) + 1)))
        pairs = list(zip(values[::2], values[1::2], strict=True))
        for value, slope, (mean, square) in zip(values, _slopes(pairs, table, batch), moments, strict=True):
            mean += np.float32(0.1) * (slope - mean)
            square += np.float32(0.02) * (slope * slope - square)
            corrected = mean / np.float32(1 - 0.9**step)
            spread = np.sqrt(square / np.float32(1 - 0.98**step)) + np.float32(1e-8)
            value -= rate * corrected / spread
    return list(zip(values[::2], values[1::2], strict=True))


def _slopes(layers: Sequence[tuple[Array, Array]], table: Array, batch: _Pixels) -> list[Array]:
    """Of the mean loss to weights and biases, layer by layer."""
    done = _forward(layers, table, batch)
    ones = np.ones((1, len(batch.low)), np.float32)
    back, found = done.slope / np.float32(len(batch.low)), []
    seen = (batch.inputs, done.first, done.second)
    for (weights, _), below in zip(reversed(layers), reversed(seen), strict=True):
        found += [maths.product(ones, back)[0], maths.product(np.ascontiguousarray(back.T), below)]
        passed = (below > 0) & (below < MOST_ACTIVE)
        back = maths.product(back, weights) * passed
    return found[::-1]
