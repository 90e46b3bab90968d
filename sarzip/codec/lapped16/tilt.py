"""The tilt: how the spectrum of one group differs from what the hyper-latents can say.

A resampled, filtered or anisotropic product has a spectrum of its own, the same all over a group. Sixteen
integers per group move the scale class of every channel by a smooth function of its row and column frequency,

    classes += (sum over i, j < 4 of tilt[i, j] · basis[i, j](channel) + 32) >> 6

where basis holds products of the lowest cosines over the 16 frequencies, in 1/32 rounded to integers; one
unit of tilt is half a class. The encoder fits it to what coding costs: matching variances instead, which a
coarse quantiser never sees, made groups at coarse steps several per cent larger.

The side information gets the same service: the class of each hyper-latent channel is moved by a number that
the group sends along. Both are coded as signed exponential-Golomb numbers at the head of the side stream.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.lapped16.transform import STRIDE, channel_order
from sarzip.errors import CorruptError
from sarzip.native import kernel, maths

ORDER = 4
COUNT = ORDER * ORDER
LIMIT = 60
BASIS_ONE = 32
SIDE_UNIT = 2
SIDE_TOP = 24
MAGNITUDES = 256
"""Whose code lengths the fits look at."""
_ROUNDS = 3
SAMPLES = 128
"""Coefficients per channel that a fit looks at; a quarter of them costs 0.15 % of the rate."""
_REACH = 2  # as in native/hyper.c
"""Classes up and down at which it asks for the cost."""
_FARTHEST = 4
"""Classes that a channel may want to move at once: costs are no parabolas."""
_RIDGE = 20.0
"""Bits per squared class: about what a tilt costs itself."""
_survey = kernel(
    "survey",
    "void(const float32[:,::1], const uint8[:,::1], int64, int64, int64, const int64[::1], "
    "const float32[:,::1], int64, int64, float32, float64[:,::1])",
)
_shift = kernel("shift_classes", "void(uint8[:,::1], int64, int64, const int64[::1], int64)")


@functools.cache
def float_basis() -> NDArray[np.float64]:
    """Basis functions (256, 16), mean square one."""
    at = (np.arange(STRIDE) + 0.5) / STRIDE
    waves = [np.ones(STRIDE)] + [np.sqrt(2.0) * np.cos(np.pi * k * at) for k in range(1, ORDER)]
    order = channel_order()
    fields = [waves[i][order[:, 0]] * waves[j][order[:, 1]] for i in range(ORDER) for j in range(ORDER)]
    return np.stack(fields, 1)


@functools.cache
def integer_basis() -> NDArray[np.int8]:
    """Basis functions int8 (256, 16) in 1/32, as model files carry them."""
    return np.round(float_basis() * BASIS_ONE).astype(np.int8)


def offsets(tilt: NDArray[np.int64], basis: NDArray[np.int8]) -> NDArray[np.int64]:
    """Classes int64 (256,) to add for a tilt int64 (16,)."""
    return np.asarray((basis.astype(np.int64) @ tilt + BASIS_ONE) >> 6)


def shift(classes: NDArray[np.uint8], moves: NDArray[np.int64], top: int) -> None:
    """Add int64 (256,) to classes uint8 (256, n) in place, within 0..top."""
    _shift(classes, *classes.shape, np.clip(moves, -top, top), top)


def fit(
    coefficients: NDArray[np.float32],
    classes: NDArray[np.uint8],
    lengths: NDArray[np.float32],
    weight: float,
    samples: int = SAMPLES,
) -> NDArray[np.int64]:
    """Tilt int64 (16,) for coefficients in steps and classes without tilt, both (256, n).

    lengths: bits float32 (K, M) of the magnitudes 0..M-1 in every class. weight: bits that a squared error of
    one step is worth. Newton's method on a sample; the cheapest tilt seen, its own bits included.
    """
    places = coefficients.shape[1]
    if not places:
        return np.zeros(COUNT, np.int64)
    stride = max(1, places // samples)
    seen = -(-(places - np.arange(len(coefficients)) % stride) // stride)
    scale = (places / seen)[:, None]
    basis, integers = float_basis(), integer_basis()
    cost = np.empty((len(coefficients), 3))
    total = np.zeros(COUNT)
    tilt = best = np.zeros(COUNT, np.int64)
    least = np.inf
    for _ in range(_ROUNDS + 1):
        where = (*coefficients.shape, stride, offsets(tilt, integers))
        _survey(coefficients, classes, *where, lengths, *lengths.shape, weight, cost)
        below, at, above = (cost * scale).T
        bits = math.fsum(at) + packed_bits(tilt)
        if bits < least:
            best, least = tilt, bits
        slope = (above - below) / (2 * _REACH)
        curve = np.maximum((above - 2 * at + below) / _REACH**2, np.abs(slope) / _FARTHEST)
        normal = maths.product_double((basis * curve[:, None]).T, basis) + _RIDGE * np.eye(COUNT)
        down = maths.product_double(basis.T, slope[:, None])[:, 0] + _RIDGE * total
        total = total - maths.solve(normal, down)
        total = np.clip(total, -LIMIT / 4, LIMIT / 4)
        tilt = np.round(2 * total).astype(np.int64)
    return best


def swap_squares(plane: NDArray[np.float32]) -> None:
    """Haar transform of every whole 2×2 square of a plane (h, w), in place; its own inverse.

    Where a scene is smooth, four neighbouring latents of the lowest channel hold one number: their sum.
    """
    h, w = (size // 2 * 2 for size in plane.shape)
    a, b = plane[0:h:2, 0:w:2], plane[0:h:2, 1:w:2]
    c, d = plane[1:h:2, 0:w:2], plane[1:h:2, 1:w:2]
    top, upper, low, lower = a + b, a - b, c + d, c - d
    a[...] = 0.5 * (top + low)
    b[...] = 0.5 * (upper + lower)
    c[...] = 0.5 * (top - low)
    d[...] = 0.5 * (upper - lower)


def fit_side(
    residual: NDArray[np.int32], classes: NDArray[np.uint8], lengths: NDArray[np.float32]
) -> NDArray[np.int64]:
    """Cheapest moves int64 (S,), in SIDE_UNIT classes, of the classes of the hyper-latents' residual (S, n).

    lengths: bits float32 (K, MAGNITUDES) of the magnitudes in every class.
    """
    channels = np.arange(len(residual))
    magnitudes = np.minimum(np.abs(residual), MAGNITUDES - 1)
    counts = np.bincount(
        (channels[:, None] * MAGNITUDES + magnitudes).ravel(), minlength=len(residual) * MAGNITUDES
    ).reshape(len(residual), MAGNITUDES)
    moves = np.arange(-SIDE_TOP, SIDE_TOP + 1)
    own = np.array([len(_golomb(int(move))) for move in moves])
    rows = np.clip(classes.astype(np.int64)[:, None] + SIDE_UNIT * moves, 0, len(lengths) - 1)
    cost = (
        np.take_along_axis(
            maths.product_double(counts.astype(np.float64), lengths.T.astype(np.float64)), rows, 1
        )
        + own
    )
    return np.asarray(moves[np.argmin(cost, 1)])


def packed_bits(vector: NDArray[np.int64]) -> int:
    """Bits that `pack` needs for one vector."""
    return 1 + sum(len(_golomb(value)) for value in vector.tolist()) if vector.any() else 1


def pack(*vectors: NDArray[np.int64]) -> bytes:
    """Vectors of signed integers to bytes.

    Per vector a bit that tells whether any is not zero, then exponential-Golomb codes of 2|v| - (v > 0), most
    significant bit first; zero bits fill the last byte.
    """
    bits = "".join("1" + "".join(map(_golomb, v.tolist())) if v.any() else "0" for v in vectors)
    bits += "0" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:]


def _golomb(value: int) -> str:
    binary = format(2 * abs(value) - (value > 0) + 1, "b")
    return "0" * (len(binary) - 1) + binary


def unpack(data: bytes, sizes: tuple[int, ...]) -> tuple[list[NDArray[np.int64]], int]:
    """Vectors of the given sizes and the number of bytes they took; CorruptError when they make no sense."""
    bits = "".join(format(byte, "08b") for byte in data[: 2 * sum(sizes) + len(sizes)])
    at, vectors = 0, []
    for size in sizes:
        values = [0] * size
        if bits[at : at + 1] == "1":
            at += 1
            for i in range(size):
                one = bits.find("1", at)
                end = 2 * one - at + 1
                if one < 0 or one - at > 7 or end > len(bits):
                    raise CorruptError("side information ends within its head")
                code = int(bits[one:end], 2) - 1
                values[i] = (code + 1) // 2 if code % 2 else -(code // 2)
                at = end
        elif at < len(bits):
            at += 1
        else:
            raise CorruptError("side information ends within its head")
        if max(map(abs, values)) > LIMIT:
            raise CorruptError("side information holds impossible values")
        vectors.append(np.array(values, np.int64))
    return vectors, -(-at // 8)
