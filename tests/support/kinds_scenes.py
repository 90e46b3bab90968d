"""Small simulated bands of every kind, for the tests of `sarzip.kinds`."""

from __future__ import annotations

from typing import Any

import numpy as np

from sarzip.kinds import Evidence, Verdict, detect

SIDE = 128


def texture(seed: int = 1, side: int = SIDE, roughness: float = 1.6) -> np.ndarray:
    """A smooth random field of zero mean and unit variance."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij"))
    spectrum = np.fft.fft2(rng.normal(size=(side, side))) / (frequency + 0.01) ** roughness
    field = np.fft.ifft2(spectrum).real
    return (field - field.mean()) / field.std()


def power(looks: float = 4, seed: int = 1, mean_db: float = -12, contrast_db: float = 3) -> np.ndarray:
    """Backscatter as linear power with speckle."""
    rng = np.random.default_rng(seed)
    clean = 10 ** ((mean_db + contrast_db * texture(seed)) / 10)
    return clean * rng.gamma(looks, 1 / looks, clean.shape)


def decibels(looks: float = 4, **scene: Any) -> np.ndarray:
    return 10 * np.log10(power(looks, **scene))


def ramp(low: float, high: float, axis: int = 1) -> np.ndarray:
    line = np.linspace(low, high, SIDE)
    return np.broadcast_to(line if axis else line[:, None], (SIDE, SIDE)).copy()


def covariance(seed: int = 3, looks: int = 9) -> np.ndarray:
    """An off-diagonal element of a covariance matrix, complex."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(size=(4, looks, SIDE, SIDE))
    first = parts[0] + 1j * parts[1]
    second = 0.6 * first + 0.8 * (parts[2] + 1j * parts[3])
    return (first * second.conj()).mean(axis=0) * 10 ** ((-14 + 3 * texture()) / 10)


def wrapped(noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(4)
    phase = ramp(0, 40) + 4 * texture(5) + noise * rng.normal(size=(SIDE, SIDE))
    return np.angle(np.exp(1j * phase))


def coherence(looks: int = 8) -> np.ndarray:
    rng = np.random.default_rng(6)
    true = np.clip(0.5 + 0.25 * texture(7), 0.05, 0.97)
    a, b = (rng.normal(size=(2, looks, SIDE, SIDE)) for _ in "ab")
    first, other = a[0] + 1j * a[1], b[0] + 1j * b[1]
    second = true * first + np.sqrt(1 - true**2) * other
    cross = (first * second.conj()).sum(axis=0)
    return np.abs(cross) / np.sqrt((np.abs(first) ** 2).sum(axis=0) * (np.abs(second) ** 2).sum(axis=0))


def classes(values: list[int], dtype: str = "uint8") -> np.ndarray:
    levels = np.linspace(-1.5, 1.5, len(values) - 1)
    return np.array(values, dtype)[np.digitize(texture(8), levels)]


def local_incidence() -> np.ndarray:
    """Degrees, over rough terrain: not as smooth as an ellipsoid's."""
    rng = np.random.default_rng(9)
    return np.clip(ramp(30, 46) + 12 * texture(10, roughness=1.1) + rng.normal(0, 1, (SIDE, SIDE)), 1, 89.9)


def look_at(
    values: np.ndarray, dtype: str = "float32", mask: np.ndarray | None = None, **said: Any
) -> Verdict:
    """The verdict on values of `dtype`; said: fields of Evidence."""
    stored = values.astype(dtype)
    return detect(Evidence(dtype=stored.dtype.name, **said), stored, mask)
