"""Scenes made after the pattern of products: their size, statistics and place on the ground."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sarzip.errors import UsageError
from sarzip.simulate.scene import SceneConfig

# Sentinel-1 IW GRDH: a slice of 25 788 x 16 685 pixels of 10 m, 4.4 looks, about 20 m x 22 m resolution.
_S1_GRDH = SceneConfig(
    width=25788,
    height=16685,
    looks=4.4,
    oversampling=(2.0, 1.8),
    noise_db=-24.0,
    border=0.012,
)
_PRESETS = {"s1-grdh": _S1_GRDH}
PRESETS = tuple(_PRESETS)

PIXEL_METRES = 10.0
UTM_EPSG = 32632
GEOGRAPHIC_EPSG = 4326
_UTM_ORIGIN = (412_340.0, 5_310_780.0)
_GRID = (10, 21)
_CORNER = (12.4, 48.6)
_BEND = 1.2e-8  # radians per metre along the track
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class GroundPoint:
    """A ground control point: pixel row and column, longitude and latitude in degrees, height in metres."""

    row: float
    column: float
    longitude: float
    latitude: float
    height: float


def preset(name: str, size: int | None = None, seed: int = 0) -> SceneConfig:
    """The scene called `name`; `size` asks for another width, the height follows in proportion."""
    if name not in _PRESETS:
        raise UsageError(f"unknown pattern {name!r}: one of {', '.join(PRESETS)}")
    config = replace(_PRESETS[name], seed=seed)
    if size is None:
        return config
    return replace(config, width=size, height=max(1, round(size * config.height / config.width)))


def utm_transform() -> tuple[float, float, float, float, float, float]:
    """Affine coefficients in EPSG:32632: x = a column + b row + c, y = d column + e row + f."""
    return (PIXEL_METRES, 0.0, _UTM_ORIGIN[0], 0.0, -PIXEL_METRES, _UTM_ORIGIN[1])


def ground_points(config: SceneConfig) -> tuple[GroundPoint, ...]:
    """210 points, 10 rows of 21, in EPSG:4326, as a descending right-looking Sentinel-1 pass lays them out.

    Rows follow each other south-south-west, columns westwards; meridians converge and the track bends, so
    that no affine transform fits them exactly. A smaller scene covers the same ground in coarser pixels.
    """
    rows = np.linspace(0, config.height - 1, _GRID[0])
    columns = np.linspace(0, config.width - 1, _GRID[1])
    spacing = PIXEL_METRES * _S1_GRDH.width / config.width
    points = []
    for i, row in enumerate(rows):
        along = row * spacing
        heading = np.radians(193.0) + along * _BEND
        side = heading + np.pi / 2
        for j, column in enumerate(columns):
            across = column * spacing
            latitude = _CORNER[1] + (along * np.cos(heading) + across * np.cos(side)) / _METRES_PER_DEGREE
            parallel = _METRES_PER_DEGREE * np.cos(np.radians(latitude))
            longitude = _CORNER[0] + (along * np.sin(heading) + across * np.sin(side)) / parallel
            height = 240.0 + 160.0 * np.sin(1.7 * i) * np.cos(0.9 * j)
            place = (float(row), float(column), float(longitude), float(latitude), float(height))
            points.append(GroundPoint(*place))
    return tuple(points)
