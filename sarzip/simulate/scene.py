"""Simulated SAR scenes: configuration, windows and row strips.

Every pixel is a pure function of configuration and place, so windows, strips of any height and any number of
threads give the same values, and memory does not grow with the scene.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sarzip.errors import UsageError
from sarzip.simulate.backscatter import FIELDS, LATTICE, POINT_CELL, find_points, half_amplitude, slow_fields
from sarzip.simulate.chance import gaussian_table, key_of
from sarzip.simulate.speckle import (
    REACH,
    add_power,
    add_responses,
    impulse_response,
    look_weights,
    shaped_look,
    shaping_filter,
)

Form = Literal["amplitude", "power", "db", "complex"]
Landscape = Literal["mixed", "flat"]
TILE = 256
_LARGEST = 1 << 20
_CROSS_STREAM = 1 << 10  # beyond those of any number of looks
# Side lobes of a point are followed until they drown in speckle: this far for weak and for bright ones.
_POINT_REACH, _BRIGHT_REACH, _BRIGHT_DB = 8, 32, 15.0


@dataclass(frozen=True)
class SceneConfig:
    """A scene, completely.

    width, height: pixels. looks: equivalent number of independent looks, any number >= 1. multilook: rows and
    columns of single-look samples averaged into a pixel, on top of `looks`. form: amplitude uint16 (0 where
    there is no data), power float32 and db float32 (NaN there), complex int16 (rows, columns, 2; single look
    only). oversampling: down the rows and along them, sampling rate over processed bandwidth. weighting:
    Hamming coefficient of the band, 0.54 (classic) to 1 (none). The defaults of both give the correlation
    measured between pixels of Sentinel-1 IW SLC. noise_db: thermal noise floor, dB of backscatter. gain_db:
    20 log10 of the digital number of backscatter 0 dB. border: the largest width of the slanted margin
    without data, as a fraction of the width. landscape: `mixed`, or `flat` for homogeneous -10 dB. cross: the
    cross-polarised channel (VH) of the same landscape, with speckle of its own.
    """

    width: int
    height: int
    looks: float = 4.4
    form: Form = "amplitude"
    seed: int = 0
    oversampling: tuple[float, float] = (1.4, 1.2)
    weighting: float = 0.7
    multilook: tuple[int, int] = (1, 1)
    noise_db: float = -25.0
    gain_db: float = 53.0
    border: float = 0.0
    landscape: Landscape = "mixed"
    cross: bool = False

    def __post_init__(self) -> None:
        if not (1 <= self.width < _LARGEST and 1 <= self.height < _LARGEST):
            raise UsageError(f"a scene of {self.width} x {self.height} pixels cannot be simulated")
        if not 1 <= self.looks <= 1000:
            raise UsageError(f"looks must be from 1 to 1000, not {self.looks:g}")
        if self.form not in get_args(Form) or self.landscape not in get_args(Landscape):
            raise UsageError(f"unknown form {self.form!r} or landscape {self.landscape!r}")
        if self.form == "complex" and (self.looks != 1 or self.multilook != (1, 1)):
            raise UsageError("a complex scene has one look")
        if not all(1 <= rate <= 4 for rate in self.oversampling):
            raise UsageError("oversampling must be from 1 to 4")
        if not 0.5 <= self.weighting <= 1:
            raise UsageError("the band's weighting must be from 0.5 to 1")
        if not all(1 <= number <= 16 for number in self.multilook) or not 0 <= self.border < 0.5:
            raise UsageError("multilook must be from 1 to 16 and the border from 0 to 0.5")

    @property
    def dtype(self) -> np.dtype:
        """Type of the pixels as arrays hold them."""
        return np.dtype({"amplitude": "uint16", "complex": "int16"}.get(self.form, "float32"))

    @property
    def nodata(self) -> float | None:
        """The value of pixels without data."""
        return {"amplitude": 0.0, "complex": None}.get(self.form, float("nan"))

    @property
    def scale(self) -> float:
        """Size of the landscape's largest features, pixels: a small scene shows a bit of everything, too."""
        return float(np.clip(max(self.width, self.height) * 0.75, 192, 4096))


@dataclass(frozen=True)
class _Responses:
    """Point targets of a tile as `add_responses` takes them, with their amplitude in the first look."""

    centres: NDArray[np.int64]
    profiles: NDArray[np.float32]
    amplitude: NDArray[np.complex128]

    def strengths(self, look: int) -> NDArray[np.float32]:
        """Real and imaginary amplitudes (n, 2); the looks see a point with unrelated phases."""
        turned = self.amplitude * np.exp(2j * np.pi * 0.618033988749895 * look)
        return np.stack([turned.real, turned.imag], axis=1).astype(np.float32)


class Simulator:
    """Makes any part of one scene."""

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self._land = key_of(config.seed, 0)
        vertical, horizontal = config.oversampling
        self._filters = (
            shaping_filter(vertical, config.weighting),
            shaping_filter(horizontal, config.weighting),
        )
        self._weights = look_weights(config.looks)
        first = _CROSS_STREAM if config.cross else 1
        self._keys = [key_of(config.seed, first + lane) for lane in range((len(self._weights) + 1) // 2)]
        self._noise = 10.0 ** (config.noise_db / 10)

    def window(self, row: int, column: int, rows: int, columns: int) -> NDArray:
        """Pixels of a window inside the scene: (rows, columns), for complex (rows, columns, 2)."""
        if row < 0 or column < 0 or row + rows > self.config.height or column + columns > self.config.width:
            raise UsageError("the window reaches beyond the scene")
        dimensions = (rows, columns, 2) if self.config.form == "complex" else (rows, columns)
        out = np.empty(dimensions, self.config.dtype)
        for i in range(0, rows, TILE):
            for j in range(0, columns, TILE):
                high, wide = min(TILE, rows - i), min(TILE, columns - j)
                out[i : i + high, j : j + wide] = self._tile(row + i, column + j, high, wide)
        return out

    def strips(self, rows: int = TILE, threads: int = 1) -> Iterator[NDArray]:
        """The scene from top to bottom in strips of `rows` rows; the last may have fewer."""
        if rows < 1:
            raise UsageError("a strip has at least one row")
        config = self.config
        with ThreadPoolExecutor(max(threads, 1)) as pool:
            for row in range(0, config.height, rows):
                high = min(rows, config.height - row)
                columns = range(0, config.width, TILE)
                parts = pool.map(
                    lambda c, r=row, h=high: self.window(r, c, h, min(TILE, config.width - c)), columns
                )
                yield np.concatenate(list(parts), axis=1)

    def valid(self, row: int, column: int, rows: int, columns: int) -> NDArray[np.bool_]:
        """Where a window has data: inside the slanted borders, (rows, columns)."""
        config = self.config
        if config.border == 0:
            return np.ones((rows, columns), bool)
        margin = config.border * config.width
        y, x = np.arange(row, row + rows)[:, None], np.arange(column, column + columns)[None, :]
        down = y / config.height
        # As in ground range products: the sides slant, and each of three sub-swaths begins and ends
        # elsewhere.
        swath = 3 * x // config.width
        inside = (x >= margin * (1 - down)) & (x < config.width - margin * (0.2 + 0.8 * down))
        return inside & (y >= 0.03 * margin * (1 + swath)) & (y < config.height - 0.03 * margin * (3 - swath))

    def _tile(self, row: int, column: int, rows: int, columns: int) -> NDArray:
        config = self.config
        down, right = config.multilook
        amplitude, found = self._landscape(row, column, rows, columns)
        points = self._responses(found, row, column)
        power = np.zeros((rows, columns), np.float32)
        for look, weight in enumerate(self._weights):
            origin = (row * down - REACH, column * right - REACH)
            real, imaginary = shaped_look(
                amplitude, origin, self._keys[look // 2], look % 2, self._filters, gaussian_table()
            )
            add_responses(real, imaginary, points.centres, points.profiles, points.strengths(look))
            if config.form == "complex":
                return self._complex(real, imaginary)
            add_power(power, real, imaginary, float(weight), config.multilook)
        valid = self.valid(row, column, rows, columns)
        if config.form == "amplitude":
            number = np.rint(np.sqrt(power) * np.float32(10 ** (config.gain_db / 20)))
            return np.where(valid, np.clip(number, 1, 65535), 0).astype(np.uint16)
        # Speckle of one look comes as near to zero as it likes; a dB product holds no -inf.
        np.maximum(power, np.float32(1e-9), out=power)
        if config.form == "db":
            power = np.float32(10) * np.log10(power)
        return np.where(valid, power, np.float32(np.nan))

    def _complex(self, real: NDArray[np.float32], imaginary: NDArray[np.float32]) -> NDArray[np.int16]:
        both = np.stack([real, imaginary], axis=-1) * np.float32(10 ** (self.config.gain_db / 20))
        return np.clip(np.rint(both), -32768, 32767).astype(np.int16)

    def _landscape(
        self, row: int, column: int, rows: int, columns: int
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Half amplitude of the tile's samples and their margin, and the points that reach into it."""
        config = self.config
        down, right = config.multilook
        shape = (rows * down + 2 * REACH, columns * right + 2 * REACH)
        if config.landscape == "flat":
            level = np.sqrt(0.5 * (0.1 + self._noise))
            return np.full(shape, level, np.float32), np.empty((0, 4))
        margin = _BRIGHT_REACH + POINT_CELL
        first = ((row - margin) // LATTICE, (column - margin) // LATTICE)
        last = ((row + rows + margin) // LATTICE + 3, (column + columns + margin) // LATTICE + 3)
        fields = slow_fields(self._land, config.scale, first, (last[0] - first[0], last[1] - first[1]))
        assert fields.shape[0] == FIELDS
        area = (row * down - REACH, column * right - REACH, *shape)
        amplitude = half_amplitude(
            self._land, config.scale, fields, first, area, (self._noise, down, right, config.cross)
        )
        top, left = (row - _BRIGHT_REACH) // POINT_CELL, (column - _BRIGHT_REACH) // POINT_CELL
        cells = (
            top,
            left,
            (row + rows + _BRIGHT_REACH) // POINT_CELL + 1 - top,
            (column + columns + _BRIGHT_REACH) // POINT_CELL + 1 - left,
        )
        return amplitude, find_points(self._land, config.scale, fields, first, cells, config.cross)

    def _responses(self, points: NDArray[np.float64], row: int, column: int) -> _Responses:
        """What `add_responses` needs of the points, for a tile that begins at row and column."""
        reach = np.where(points[:, 2] > _BRIGHT_DB, _BRIGHT_REACH, _POINT_REACH)
        offsets = np.arange(-_BRIGHT_REACH, _BRIGHT_REACH + 1)
        places, profiles = [], []
        for axis, start in enumerate((row, column)):
            fine, rate = self.config.multilook[axis], self.config.oversampling[axis]
            centre = (points[:, axis] + 0.5) * fine - 0.5
            nearest = np.floor(centre + 0.5)
            places.append(nearest.astype(np.int64) - start * fine)
            distance = (nearest - centre)[:, None] + offsets
            profiles.append(impulse_response(distance, rate, self.config.weighting))
        return _Responses(
            np.stack([*places, reach.astype(np.int64)], axis=1),
            np.stack(profiles, axis=1).astype(np.float32),
            10 ** (points[:, 2] / 20) * np.exp(2j * np.pi * points[:, 3]),
        )


def simulate(config: SceneConfig) -> NDArray:
    """A whole scene in memory."""
    return Simulator(config).window(0, 0, config.height, config.width)
