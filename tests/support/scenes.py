"""Scenes that tests run on: simulated bands, and the real data where it is there."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

DATA = Path(os.environ.get("SARZIP_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


def real_scenes() -> list[Path]:
    """Test scenes of real sensors that are not complex; empty without the data."""
    return [
        path for path in sorted((DATA / "test").glob("*.tif")) if "_SLC_" not in path.name.replace("-", "_")
    ]


def speckled(rows: int, columns: int, dtype: str = "uint16", seed: int = 0) -> np.ndarray:
    """One band of textured four-look speckle: amplitude for integers, power for floats."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:rows, :columns]
    power = (2 + np.sin(x / 37) + np.cos(y / 53)) * rng.gamma(4, 0.25, (rows, columns))
    if np.dtype(dtype).kind in "iu":
        return np.clip(60 * np.sqrt(power), 1, np.iinfo(dtype).max).astype(dtype)
    return (0.05 * power).astype(dtype)
