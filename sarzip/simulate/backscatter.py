"""A made-up landscape in dB of backscatter, as a pure function of the pixel's place.

Slow fields (height, forest, settlement, moisture, the lines rivers and roads follow) are fractal value noise
on a lattice of every eighth pixel; from them and from hashed parcels every pixel gets its cover: sea with
wind and swell, rivers, fields with straight edges, forest, built-up blocks with streets, relief that is
bright towards the sensor and dark behind. Levels are typical of C-band VV.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from sarzip.simulate.chance import bits, uniform
from sarzip.simulate.loops import compiled

LATTICE = 8
FIELDS = 6
HEIGHT, FOREST, SETTLEMENT, RIVER, ROAD, WIND = range(FIELDS)
SEA, WATER, FIELD, WOOD, TOWN, WAY = range(6)
"""Covers."""

# Wavelength of a field's largest octave as a fraction of the landscape's scale, and its number of octaves.
_WAVELENGTH = np.array([1.0, 0.30, 0.35, 0.7, 0.25, 0.4])
_OCTAVES = np.array([7, 4, 4, 3, 3, 4])
_LINE = 48.0  # makes rivers and roads a few pixels wide whatever the scale
_REGION = 768  # parcels keep their direction over regions of this many pixels
_NEPER = math.log(10.0) / 10.0
POINT_CELL = 16
# Probability, by cover, that a cell of 16x16 pixels holds a point target.
_POINT_CHANCE = np.array([0.0005, 0.0, 0.006, 0.002, 0.3, 0.004])


@compiled
def _smooth(t: float) -> float:
    return t * t * t * (t * (6.0 * t - 15.0) + 10.0)


@compiled
def value_noise(key: np.uint64, row: float, column: float) -> float:
    """Smooth noise in [-1, 1] with a lattice of whole numbers."""
    r, c = math.floor(row), math.floor(column)
    a, b = _smooth(row - r), _smooth(column - c)
    r, c = int(r), int(c)
    top = uniform(key, r, c) * (1 - b) + uniform(key, r, c + 1) * b
    bottom = uniform(key, r + 1, c) * (1 - b) + uniform(key, r + 1, c + 1) * b
    return 2.0 * (top * (1 - a) + bottom * a) - 1.0


@compiled
def slow_fields(
    key: np.uint64, scale: float, first: tuple[int, int], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """The fields on lattice points first + (0.. shape), each about unit spread: (FIELDS, shape...)."""
    out = np.zeros((FIELDS, shape[0], shape[1]), np.float32)
    for field in range(FIELDS):
        wavelength, gain = scale * _WAVELENGTH[field], 1.0
        total = 0.0
        for octave in range(_OCTAVES[field]):
            if wavelength < 2 * LATTICE:
                break
            lane = key + np.uint64(1 + field * 16 + octave) * np.uint64(0xD1342543DE82EF95)
            for i in range(shape[0]):
                for j in range(shape[1]):
                    row, column = (first[0] + i) * LATTICE, (first[1] + j) * LATTICE
                    out[field, i, j] += gain * value_noise(lane, row / wavelength, column / wavelength)
            total += gain * gain
            wavelength *= 0.5
            gain *= 0.55
        # Value noise has a standard deviation of about 0.33.
        norm = 1.0 / (0.33 * math.sqrt(total))
        for i in range(shape[0]):
            for j in range(shape[1]):
                out[field, i, j] *= norm
    return out


@compiled
def _at(fields: NDArray[np.float32], field: int, row: float, column: float) -> float:
    r, c = int(row), int(column)
    a, b = row - r, column - c
    plane = fields[field]
    top = plane[r, c] * (1 - b) + plane[r, c + 1] * b
    bottom = plane[r + 1, c] * (1 - b) + plane[r + 1, c + 1] * b
    return top * (1 - a) + bottom * a


@compiled
def _parcel(key: np.uint64, row: int, column: int, sides: tuple[float, float]) -> tuple[np.uint64, float]:
    """The parcel a pixel lies in: its random bits, and the distance to its nearest edge in pixels."""
    region = bits(key, row // _REGION, column // _REGION)
    angle = float(region & np.uint64(1023)) * (math.pi / 1024)
    stretch = 0.6 + float((region >> np.uint64(10)) & np.uint64(1023)) / 1024
    u = row * math.cos(angle) + column * math.sin(angle)
    v = column * math.cos(angle) - row * math.sin(angle)
    high, wide = sides[0] * stretch, sides[1] * stretch
    lane = math.floor(u / high)
    # Parcels of neighbouring lanes do not line up.
    v += wide * uniform(key + np.uint64(7), int(lane), 0)
    place = math.floor(v / wide)
    du, dv = u - lane * high, v - place * wide
    return bits(region, int(lane), int(place)), min(min(du, high - du), min(dv, wide - dv))


@compiled
def _byte(word: np.uint64, number: int) -> float:
    return float((word >> np.uint64(8 * number)) & np.uint64(255)) / 255.0


@compiled
def _cover(
    key: np.uint64, scale: float, fields: NDArray[np.float32], first: tuple[int, int], place: tuple[int, int]
) -> tuple[int, float]:
    """Cover and backscatter in dB of the pixel at `place`; `fields` begin at lattice point `first`."""
    row, column = place
    line = _LINE / scale
    y, x = row / LATTICE - first[0], column / LATTICE - first[1]
    fine = value_noise(key + np.uint64(11), row / 5.0, column / 5.0)
    height = _at(fields, HEIGHT, y, x) + 0.03 * fine
    if height < -0.55:
        wind = _at(fields, WIND, y, x)
        swell = math.sin(0.31 * column + 0.17 * row + 2.0 * wind)
        return SEA, -20.5 + 1.8 * wind + 0.7 * swell
    if abs(_at(fields, RIVER, y, x)) < line * (1.0 + 0.15 * fine):
        return WATER, -21.0 + 0.5 * fine
    slope = _at(fields, HEIGHT, y, x + 1.0) - _at(fields, HEIGHT, y, x)
    steep = min(max(height - 0.6, 0.0), 1.0)
    relief = min(max(90.0 * steep * slope, -9.0), 8.0)
    if abs(_at(fields, ROAD, y, x)) < line:
        return WAY, -16.5 + relief
    if _at(fields, SETTLEMENT, y, x) > 1.25 + 0.1 * fine and height < 0.9:
        block, edge = _parcel(key + np.uint64(13), row, column, (26.0, 40.0))
        if edge < 1.6:
            return TOWN, -15.0
        house, _ = _parcel(key + np.uint64(17), row, column, (4.0, 6.0))
        front = _byte(house, 0)
        return TOWN, -9.0 + 4.0 * _byte(block, 1) + 14.0 * front * front * front * front
    if _at(fields, FOREST, y, x) > 0.5 + 0.15 * fine:
        crown = value_noise(key + np.uint64(19), row / 2.5, column / 2.5)
        return WOOD, -9.5 + 1.0 * fine + 1.8 * crown + relief
    parcel, edge = _parcel(key + np.uint64(23), row, column, (34.0, 61.0))
    level = -15.5 + 7.0 * _byte(parcel, 0) + 0.4 * fine
    if edge < 0.9 and _byte(parcel, 1) > 0.6:
        level = -8.5  # a hedge or a row of trees
    return FIELD, level + relief


@compiled
def half_amplitude(
    key: np.uint64,
    scale: float,
    fields: NDArray[np.float32],
    first: tuple[int, int],
    area: tuple[int, int, int, int],
    extra: tuple[float, int, int],
) -> NDArray[np.float32]:
    """Square root of half of backscatter plus noise, over an area (row, column, rows, columns) of samples.

    extra: noise power (linear), and how many times rows and columns are finer than pixels (spatial
    multilook).
    """
    noise, down, right = extra
    out = np.empty((area[2], area[3]), np.float32)
    for i in range(area[2]):
        row = (area[0] + i) // down
        for j in range(area[3]):
            column = (area[1] + j) // right
            if j > 0 and (area[1] + j - 1) // right == column:
                out[i, j] = out[i, j - 1]
                continue
            level = _cover(key, scale, fields, first, (row, column))[1]
            out[i, j] = math.sqrt(0.5 * (math.exp(_NEPER * level) + noise))
    return out


@compiled
def find_points(
    key: np.uint64,
    scale: float,
    fields: NDArray[np.float32],
    first: tuple[int, int],
    cells: tuple[int, int, int, int],
) -> NDArray[np.float64]:
    """Point targets of cells (row, column, rows, columns): (n, 4) row, column, dB, phase in turns.

    A cell holds at most one, more probably in towns and hardly ever at sea; peaks are spread exponentially.
    """
    out = np.empty((cells[2] * cells[3], 4), np.float64)
    count = 0
    for i in range(cells[0], cells[0] + cells[2]):
        for j in range(cells[1], cells[1] + cells[3]):
            word = bits(key + np.uint64(29), i, j)
            chance = _byte(word, 0) * 256 + _byte(word, 1)
            if chance > 256 * 0.35:
                continue  # no cover has that many
            row, column = (i + _byte(word, 2)) * POINT_CELL, (j + _byte(word, 3)) * POINT_CELL
            kind, level = _cover(key, scale, fields, first, (int(row), int(column)))
            if chance > 256 * _POINT_CHANCE[kind]:
                continue
            out[count, 0] = row + _byte(word, 4) / 16
            out[count, 1] = column + _byte(word, 5) / 16
            out[count, 2] = level + 9.0 - 7.0 * math.log(1.0 - uniform(key + np.uint64(31), i, j))
            out[count, 3] = _byte(word, 6)
            count += 1
    return out[:count].copy()
