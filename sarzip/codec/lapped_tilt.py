"""The tilt: how the spectrum of one group differs from what the hyper-latents can say.

A resampled, filtered or anisotropic product has a spectrum of its own, the same all over a group. Sixteen
integers per group move the scale class of every channel by a smooth function of its row and column frequency,

    classes += (sum over i, j < 4 of tilt[i, j] · basis[i, j](channel) + 32) >> 6

where basis holds products of the lowest cosines over the 16 frequencies, in 1/32 rounded to integers; one
unit of tilt is half a class. The encoder fits it by weighted least squares; it is coded as signed
exponential-Golomb numbers.
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


def pack(tilt: NDArray[np.int64]) -> bytes:
    """Sixteen signed integers to bytes: exponential-Golomb codes of 2|t| - (t > 0), most significant bit
    first.
    """
    bits = "".join(_golomb(2 * abs(int(t)) - (t > 0)) for t in tilt)
    bits += "0" * (-len(bits) % 8)
    return int("1" + bits, 2).to_bytes(len(bits) // 8 + 1, "big")[1:]


def _golomb(value: int) -> str:
    binary = format(value + 1, "b")
    return "0" * (len(binary) - 1) + binary


def unpack(data: bytes) -> tuple[NDArray[np.int64], int]:
    """Tilt int64 (16,) and the number of bytes it took; CorruptError when they make no sense."""
    bits = "".join(format(byte, "08b") for byte in data[: 2 * COUNT])
    at, out = 0, []
    for _ in range(COUNT):
        one = bits.find("1", at)
        length = one - at + 1
        if one < 0 or length > 8 or one + length > len(bits):
            raise CorruptError("side information ends within its tilt")
        value = int(bits[one : one + length], 2) - 1
        at = one + length
        out.append((value + 1) // 2 if value % 2 else -(value // 2))
    if max(map(abs, out)) > LIMIT:
        raise CorruptError("side information holds an impossible tilt")
    return np.array(out, np.int64), -(-at // 8)
