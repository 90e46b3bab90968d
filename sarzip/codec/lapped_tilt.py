"""The tilt: how the spectrum of one group differs from what the hyper-latents can say.

A resampled, filtered or anisotropic product has a spectrum of its own, the same all over a group. Sixteen
integers per group move the scale class of every channel by a smooth function of its row and column frequency,

    classes += (sum over i, j < 4 of tilt[i, j] · basis[i, j](channel) + 32) >> 6

where basis holds products of the lowest cosines over the 16 frequencies, in 1/32 rounded to integers; one
unit of tilt is half a class. The encoder fits it by weighted least squares.

The side information gets the same service: the class of each hyper-latent channel is moved by a number that
the group sends along. Both are coded as signed exponential-Golomb numbers at the head of the side stream.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.jit import compiled
from sarzip.codec.lapped_transform import STRIDE, channel_order
from sarzip.errors import CorruptError

ORDER = 4
COUNT = ORDER * ORDER
LIMIT = 60
BASIS_ONE = 32
SIDE_UNIT = 2
SIDE_TOP = 24
SIDE_DOUBT = 8.0
"""Samples a move of the side information's classes needs before it is believed by half."""
_ROUNDS = 2
_SAMPLES = 1024
# Precision, in squared classes, that a tilt must have to be worth its bits: keeps it at zero without
# evidence.
_RIDGE = 20.0


def float_basis() -> NDArray[np.float64]:
    """Basis functions (256, 16), mean square one."""
    at = (np.arange(STRIDE) + 0.5) / STRIDE
    waves = [np.ones(STRIDE)] + [np.sqrt(2.0) * np.cos(np.pi * k * at) for k in range(1, ORDER)]
    order = channel_order()
    fields = [waves[i][order[:, 0]] * waves[j][order[:, 1]] for i in range(ORDER) for j in range(ORDER)]
    return np.stack(fields, 1)


def integer_basis() -> NDArray[np.int8]:
    """Basis functions int8 (256, 16) in 1/32, as model files carry them."""
    return np.round(float_basis() * BASIS_ONE).astype(np.int8)


def offsets(tilt: NDArray[np.int64], basis: NDArray[np.int8]) -> NDArray[np.int64]:
    """Classes int64 (256,) to add for a tilt int64 (16,)."""
    return np.asarray((basis.astype(np.int64) @ tilt + BASIS_ONE) >> 6)


@compiled("void(float32[:,::1], uint8[:,::1], int64, float64[::1], int32[:,::1])")
def _survey(coefficients, classes, stride, found, counts):  # type: ignore[no-untyped-def]
    """Per channel, of every stride-th place: the mean square, and how often each class occurs."""
    for c in range(coefficients.shape[0]):
        total = np.float64(0)
        number = 0
        for i in range(c % stride, coefficients.shape[1], stride):
            value = np.float64(coefficients[c, i])
            total += min(value * value, 1e9)
            counts[c, classes[c, i]] += 1
            number += 1
        found[c] = total / max(number, 1)


@compiled("void(uint8[:,::1], int64[::1], int64)")
def _shift(classes, moves, top):  # type: ignore[no-untyped-def]
    for c in range(classes.shape[0]):
        move = np.int16(moves[c])
        if move != 0:
            for i in range(classes.shape[1]):
                moved = np.int16(classes[c, i]) + move
                classes[c, i] = np.uint8(min(max(moved, np.int16(0)), np.int16(top)))


def shift(classes: NDArray[np.uint8], moves: NDArray[np.int64], top: int) -> None:
    """Add int64 (256,) to classes uint8 (256, n) in place, within 0..top."""
    _shift(classes, np.clip(moves, -top, top), top)


def fit(
    coefficients: NDArray[np.float32], classes: NDArray[np.uint8], ratios: NDArray[np.float64], width: float
) -> NDArray[np.int64]:
    """Tilt int64 (16,) for coefficients in steps and classes without tilt, both (256, n).

    ratios: sigma / step of the classes. width: natural logarithm between neighbouring classes.
    """
    basis = float_basis()
    places = coefficients.shape[1]
    # A few hundred samples per channel say enough.
    stride = max(1, places // _SAMPLES)
    found = np.empty(len(coefficients))
    counts = np.zeros((len(coefficients), 256), np.int32)
    _survey(coefficients, classes, stride, found, counts)
    weights = counts[:, : len(ratios)] * (places / np.maximum(counts.sum(1, keepdims=True), 1))
    integers = integer_basis()
    total = np.zeros(COUNT)
    moves = np.zeros(len(coefficients), np.int64)
    tilt = np.zeros(COUNT, np.int64)
    for _ in range(_ROUNDS):
        at = np.clip(np.arange(len(ratios)) + moves[:, None], 0, len(ratios) - 1)
        variance = ratios[at] ** 2
        expected = (weights * variance).sum(1) / max(places, 1)
        wanted = 0.5 * np.log((found + 1 / 12) / (expected + 1 / 12)) / width
        # Near the noise floor of rounding, variance tells of the scale only through its share of the sum.
        share = np.clip(expected / (expected + 1 / 12), 0.05, 1.0)
        wanted = np.clip(wanted / share, -10, 10)
        information = (weights * 2 * (variance / (variance + 1 / 12)) ** 2).sum(1) * width**2
        normal = (basis * information[:, None]).T @ basis + _RIDGE * np.eye(COUNT)
        total = total + np.linalg.solve(normal, basis.T @ (information * wanted) - _RIDGE * total)
        tilt = np.clip(np.round(2 * total), -LIMIT, LIMIT).astype(np.int64)
        moves = offsets(tilt, integers)
    return tilt


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
    residual: NDArray[np.int32], classes: NDArray[np.uint8], ratios: NDArray[np.float64], width: float
) -> NDArray[np.int64]:
    """Moves int64 (S,) of the classes of the hyper-latents' residual (S, n), in SIDE_UNIT classes."""
    samples = residual.shape[1]
    found = np.minimum(residual.astype(np.float64) ** 2, 1e9).mean(1) + 1 / 12 if samples else 1.0
    expected = ratios[classes] ** 2 + 1 / 12
    share = np.maximum(1 - 1 / (12 * expected), 0.05)
    wanted = 0.5 * np.log(found / expected) / width / share * (samples / (samples + SIDE_DOUBT))
    return np.clip(np.round(wanted / SIDE_UNIT), -SIDE_TOP, SIDE_TOP).astype(np.int64)


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
