"""Latents of lapped16 from FORMAT.md 9.3 alone, in numpy and plain Python: slow, and nothing else.

`model` is the content of model.safetensors as arrays by name. Numbers in comments are sections of FORMAT.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any
from zlib import crc32

import numpy as np

from support.mini_reader import need, varint

Model = Mapping[str, Any]
FEEDBACK = {4: 2, 8: 7, 16: 9, 32: 18, 64: 47}
SELECT = {4: 1, 8: 2, 16: 4, 32: 12, 64: 25}


def parity(number: int) -> int:
    return bin(number).count("1") & 1


class Bits:
    """Numbers out of bytes, lowest bit first."""

    def __init__(self, data: bytes) -> None:
        self.bits = [byte >> k & 1 for byte in data for k in range(8)]
        self.at = 0

    def take(self, count: int) -> int:
        need(self.at + count <= len(self.bits), "raw bits")
        self.at += count
        return sum(bit << k for k, bit in enumerate(self.bits[self.at - count : self.at]))


def lattice(model: Model, prefix: str, stream: bytes, classes: np.ndarray) -> np.ndarray:  # 9.3.1
    """Lattice points of entropy-coded values, int64, for their classes."""
    points = np.zeros(len(classes), np.int64)
    if not len(classes):
        need(not stream, "values where there are none")
        return points
    states, first = int(model[prefix + "head"][0]), int(model[prefix + "head"][3])
    need(stream and stream[0] == states, "number of states")
    count, at = varint(stream, 1)
    exceptions, position = {}, -1
    for _ in range(count):
        gap, at = varint(stream, at)
        code, at = varint(stream, at)
        position += gap + 1
        need(position < len(classes) and classes[position] < first, "place of an exception")
        need(code + 1 >> 1 <= 1 << 28, "size of an exception")
        exceptions[position] = -(code + 1 >> 1) if code & 1 else code >> 1
    raw_size, at = varint(stream, at)
    need(at + raw_size <= len(stream), "raw bytes")
    raw, coded = Bits(stream[len(stream) - raw_size :]), stream[at : len(stream) - raw_size]
    order = [i for c in range(first, 256) for i in np.flatnonzero(classes == c)]
    if order:
        need(len(coded) >= 16 and len(coded) % 2 == 0, "states and words")
        indices(model, prefix, coded, raw, [int(classes[i]) for i in order], points, order)
    else:
        need(not coded and not raw_size, "values where there are none")
    for place, point in exceptions.items():
        points[place] = point
    return points


def indices(
    model: Model,
    prefix: str,
    coded: bytes,
    raw: Bits,
    classes: list[int],
    points: np.ndarray,
    order: list[int],
) -> None:
    beta, quantisers = (int(v) for v in model[prefix + "tables"])
    half, shift, escape = (model[prefix + name].astype(int).tolist() for name in ("half", "shift", "order"))
    magnitudes, tables, start = model[prefix + "magnitudes"].astype(int).tolist(), {}, 0
    for c, reach in enumerate(half):
        for q in range(quantisers):
            row = magnitudes[start : start + reach + 2]
            tables[c, q] = [row[0], *reversed(row[2:]), *row[1:]]
            start += reach + 2
    states = int(model[prefix + "head"][0])
    x = list(struct.unpack("<4I", coded[:16]))
    words = list(struct.unpack(f"<{len(coded) // 2 - 8}H", coded[16:]))
    need(min(x) >= 1 << 16, "initial states")
    trellis, used = [0] * 16, 0
    for i, c in enumerate(classes):
        s = trellis[i % 16]
        q = parity(s & SELECT[states]) if states > 1 else 0
        frequencies, slot = tables[c, q], x[i % 4] % (1 << beta)
        symbol = before = 0
        while slot >= before + frequencies[symbol]:
            before += frequencies[symbol]
            symbol += 1
        new = frequencies[symbol] * (x[i % 4] >> beta) + slot - before
        if new < 1 << 16:
            need(used < len(words), "words")
            new = new << 16 | words[used]
            used += 1
        x[i % 4] = new
        low, value = raw.take(shift[c]), symbol - 1 - half[c]
        if symbol == 0:
            negative, digits = raw.take(1), escape[c]
            while raw.take(1):
                digits += 1
                need(digits <= 33, "escape")
            value = (1 << digits) + raw.take(digits) - (1 << escape[c]) + half[c] + 1
            value = -value if negative else value
        k = (value << shift[c]) + low - (1 << shift[c] >> 1)
        need(abs(k) <= 1 << 28, "size of an index")
        sign = (k > 0) - (k < 0)
        points[order[i]] = 2 * k - q * sign if states > 1 else k
        if states > 1:
            trellis[i % 16] = (2 * s + ((k & 1) ^ parity(s & FEEDBACK[states]))) % states
    need(x == [1 << 16] * 4 and used == len(words), "left-over words")
    need(len(raw.bits) - raw.at < 8 and not any(raw.bits[raw.at :]), "left-over bits")


def values(model: Model, prefix: str, points: np.ndarray, classes: np.ndarray) -> np.ndarray:  # 9.3.1
    spacing, shifts = float(model[prefix + "head"][1]), model[prefix + "centroids"].astype(float)
    size = np.abs(points)
    moved = size + shifts[classes, np.clip(size, 1, 4) - 1] / 128
    return spacing * np.sign(points) * moved


def step_index(step: float) -> int:  # 9.3
    mantissa, exponent = math.frexp(step)
    above = sum(2 * mantissa >= 2.0 ** (j / 16 - 1 / 32) for j in range(1, 17))
    return 16 * (exponent - 1 + 2) + above


def at_step(knots: np.ndarray, index: int) -> tuple[np.ndarray, int]:
    """The row of a table of knots at a step index, and B."""
    knots = knots.astype(np.int64)
    i = min(max(index, 0), 16 * (len(knots) - 1))
    low = min(i >> 4, len(knots) - 2)
    t = i - 16 * low
    return knots[low] * (16 - t) + knots[low + 1] * t >> 4, -((index - i) * 317 >> 10)


def head(stream: bytes, sizes: tuple[int, ...]) -> tuple[list[list[int]], int]:
    """Vectors at the beginning of a side stream, and how many bytes they take."""
    bits = "".join(f"{byte:08b}" for byte in stream)
    at, vectors = 0, []
    for size in sizes:
        need(at < len(bits), "head of the side stream")
        at += 1
        numbers = [0] * size
        if bits[at - 1] == "1":
            for n in range(size):
                one = bits.find("1", at)
                need(one >= 0 and 2 * one - at < len(bits), "head of the side stream")
                u = int(bits[one : 2 * one - at + 1], 2) - 1
                numbers[n] = u + 1 >> 1 if u & 1 else -(u >> 1)
                at = 2 * one - at + 1
        need(max(map(abs, numbers)) <= 60, "number in the head of the side stream")
        vectors.append(numbers)
    return vectors, -(-at // 8)


def neighbourhoods(planes: np.ndarray) -> np.ndarray:
    """(S, H, W) to (9 S, H, W): each place's 3×3 neighbours, outermost values continued."""
    _, rows, cols = planes.shape
    wide = np.pad(planes, ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifted = [wide[:, a : a + rows, b : b + cols] for a in range(3) for b in range(3)]
    return np.stack(shifted, 1).reshape(-1, rows, cols)


def spread(planes: np.ndarray) -> np.ndarray:
    """Four channels to one of twice the rows and columns."""
    channels, rows, cols = planes.shape
    out = np.zeros((channels // 4, 2 * rows, 2 * cols), planes.dtype)
    for a in range(2):
        for b in range(2):
            out[:, a::2, b::2] = planes[2 * a + b :: 4]
    return out


def integers(
    model: Model, side: bytes, stream: bytes, size: tuple[int, int], step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # 9.3
    """Hyper-latents (S, H, W), lattice points and classes (256, h, w) of a group of `size` pixels."""
    h, w = -(-size[0] // 16), -(-size[1] // 16)
    rows, cols = -(-h // 2), -(-w // 2)
    index = step_index(step)
    prediction = model["hyper.side.prediction"].astype(np.int64)
    number = len(prediction)
    (tilt, moves), begin = head(side, (16, number))
    base, beyond = at_step(model["hyper.side.knots"], index)
    classes = np.clip(np.clip((base + 512 >> 10) + beyond, 0, 63) + 2 * np.array(moves), 0, 63)
    y = lattice(model, "side.", side[begin:], np.repeat(classes, rows * cols)).reshape(number, rows, cols)
    for c, i, j in np.ndindex(*y.shape):
        left, above = y[c, i, j - 1] if j else 0, y[c, i - 1, j] if i else 0
        corner = y[c, i - 1, j - 1] if i and j else 0
        y[c, i, j] += int(prediction[c] @ [left, above, corner]) + 8 >> 4
    need(np.abs(y).max() <= 1023, "size of a hyper-latent")
    classes = scale_classes(model, y, index)[:, :h, :w]
    moved = model["hyper.tilt.basis"].astype(np.int64) @ np.array(tilt) + 32 >> 6
    classes = np.clip(classes + moved[:, None, None], 0, 63)
    need(stream and stream[0] in (1, *FEEDBACK), "number of states")
    points = lattice(model, f"latents{stream[0]}.", stream, classes.reshape(-1))
    return y, points.reshape(256, h, w), classes


def latents(
    model: Model, side: bytes, stream: bytes, size: tuple[int, int], step: float
) -> np.ndarray:  # 9.3
    """Latents float64 (256, h, w) of a group; size: its rows and columns of pixels."""
    y, points, classes = integers(model, side, stream, size, step)
    _, h, w = points.shape
    found = values(model, f"latents{stream[0]}.", points, classes)
    plane = found[0]
    for i in range(0, h - 1, 2):
        for j in range(0, w - 1, 2):
            a, b, c, d = plane[i, j], plane[i, j + 1], plane[i + 1, j], plane[i + 1, j + 1]
            plane[i, j], plane[i, j + 1] = (a + b + c + d) / 2, (a - b + c - d) / 2
            plane[i + 1, j], plane[i + 1, j + 1] = (a + b - c - d) / 2, (a - b - c + d) / 2
    weight = model["mean.weight"].astype(np.float64).reshape(-1, 9 * len(y))
    means = spread(np.tensordot(weight, neighbourhoods(y), 1))
    found[: len(means)] += means[:, :h, :w]
    return found * step


def halves(side: bytes, stream: bytes) -> tuple[list[int], list[tuple[bytes, bytes]]]:  # 9.3.2
    """Factors, and side and latents stream of each of two bands."""
    (factors,), begin = head(side, (16,))
    found = []
    for data, at in ((side, begin), (stream, 0)):
        length, at = varint(data, at)
        need(at + length <= len(data), "stream of the first band")
        found.append((data[at : at + length], data[at + length :]))
    return factors, list(zip(*found, strict=True))


def pair_integers(
    model: Model, side: bytes, stream: bytes, size: tuple[int, int], step: float
) -> np.ndarray:  # 9.3.2
    """All integers of a group of two bands: factors, hyper-latents and lattice points of the bands."""
    factors, bands = halves(side, stream)
    found = [integers(model, *band, size, step)[:2] for band in bands]
    return np.concatenate([np.array(factors), *(each.reshape(-1) for both in found for each in both)])


def checks(ordinal: int, streams: dict[int, bytes]) -> bytes:  # 9.13
    """What the stream 128 of a frame of two bands must be."""
    _, ((side, stream), _) = halves(streams[3], streams[2])
    covered = [varint_bytes(ordinal), varint_bytes(ordinal)]
    for kind in sorted(each for each in streams if each < 128):
        joined = streams[kind]
        if kind in (2, 3):
            taken = (stream if kind == 2 else side), joined
        elif kind in (6, 9):
            taken = joined, joined
        else:
            length, at = varint(joined, 0)
            taken = joined[at : at + length], joined[at + length :]
        covered = [
            each + bytes([kind]) + varint_bytes(len(part)) + part
            for each, part in zip(covered, taken, strict=True)
        ]
    return struct.pack("<2I", *map(crc32, covered))


def varint_bytes(number: int) -> bytes:  # 1
    low = [number >> shift & 127 for shift in range(0, max(number.bit_length(), 1), 7)]
    return bytes([each | 128 for each in low[:-1]] + low[-1:])


def pair(model: Model, side: bytes, stream: bytes, size: tuple[int, int], step: float) -> np.ndarray:  # 9.3.2
    """Latents float64 (512, h, w) of a group of two bands."""
    factors, bands = halves(side, stream)
    first, second = (latents(model, *band, size, step) for band in bands)
    zones = [zone for zone in range(16) for _ in range(2 * zone + 1)]
    ratio = np.array([factors[zone] for zone in zones]) / 32
    return np.concatenate([first, second + ratio[:, None, None] * first])


def scale_classes(model: Model, y: np.ndarray, index: int) -> np.ndarray:  # 9.3
    def layer(name: str, planes: np.ndarray, factor: int = 1) -> np.ndarray:
        weight = model[f"hyper.{name}.weight"].astype(np.int64)
        return factor * np.tensordot(weight.reshape(len(weight), -1), planes, 1)

    def act(sums: np.ndarray) -> np.ndarray:
        return np.clip(sums >> 6, 0, 255)

    def column(values: np.ndarray) -> np.ndarray:
        return values.astype(np.int64)[:, None, None]

    first, _ = at_step(model["hyper.first.knots"], index)
    last, beyond = at_step(model["hyper.last.knots"], index)
    x = act(layer("first", neighbourhoods(np.clip(y, -31, 31)), 16) + column(first))
    x = act(layer("up", x) + column(model["hyper.up.bias"]))
    x = act(layer("mid", spread(x)) + column(model["hyper.mid.bias"]))
    return np.clip((layer("last", x) + column(last) + 512 >> 10) + beyond, 0, 63)
