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


@compiled("void(float32[:,::1], uint8[:,::1], float64[::1], float64[:,::1])")
def _moments(coefficients, classes, variances, out):  # type: ignore[no-untyped-def]
    """Per channel: mean square found, mean square expected, Fisher information of the log scale."""
    for c in range(coefficients.shape[0]):
        found = np.float32(0)
        for i in range(coefficients.shape[1]):
            found += min(coefficients[c, i] * coefficients[c, i], np.float32(1e9))
        counts = np.zeros(256, np.int64)
        for i in range(classes.shape[1]):
            counts[classes[c, i]] += 1
        expected = 0.0
        information = 0.0
        for k in range(variances.shape[0]):
            expected += counts[k] * variances[k]
            share = variances[k] / (variances[k] + 1.0 / 12.0)
            information += counts[k] * 2.0 * share * share
        n = max(classes.shape[1], 1)
        out[c, 0] = np.float64(found) / n
        out[c, 1] = expected / n
        out[c, 2] = information


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
    total = np.zeros(COUNT)
    moments = np.empty((len(coefficients), 3))
    shifted = classes
    integers = integer_basis()
    for _ in range(_ROUNDS):
        _moments(coefficients, shifted, ratios**2, moments)
        wanted = 0.5 * np.log((moments[:, 0] + 1 / 12) / (moments[:, 1] + 1 / 12)) / width
        # Near the noise floor of rounding, variance tells of the scale only through its share of the sum.
        share = np.clip(moments[:, 1] / (moments[:, 1] + 1 / 12), 0.05, 1.0)
        wanted = np.clip(wanted / share, -10, 10)
        weight = moments[:, 2] * width**2
        normal = (basis * weight[:, None]).T @ basis + _RIDGE * np.eye(COUNT)
        total = total + np.linalg.solve(normal, basis.T @ (weight * wanted) - _RIDGE * total)
        tilt = np.clip(np.round(2 * total), -LIMIT, LIMIT).astype(np.int64)
        shifted = classes.copy()
        shift(shifted, offsets(tilt, integers), len(ratios) - 1)
    return tilt


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
