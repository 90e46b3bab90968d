"""Fitting the static tables, centroids and silent classes of an entropy model to training coefficients."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.entropy.coder import CENTROIDS, SHIFT_UNIT, EntropyModel
from sarzip.codec.entropy.rans import MACHINES
from sarzip.codec.entropy.tables import COUNTED, build_tables
from sarzip.native import kernel

# Lattice spacing in steps, by number of states: at equal step the three then give about the same distortion.
SPACING = {1: 1.0, 4: 0.62, 8: 0.62, 16: 0.62, 32: 0.62, 64: 0.62}
# Lagrange multiplier in squared lattice spacings per bit: the measured optimum on lapped transform
# coefficients of Sentinel-1 training scenes, from 0.1 to 3 bits per coefficient. Much more makes fitting
# collapse towards zeros.
LAMBDA = {1: 0.12, 4: 0.3, 8: 0.3, 16: 0.3, 32: 0.3, 64: 0.3}


_count = kernel(
    "count_symbols",
    "void(const int32[::1], const uint8[::1], int64, const uint8[::1], const uint8[::1], const uint8[::1], "
    "int64[:,:,::1], int64, int64)",
)


@dataclass(frozen=True)
class FitConfig:
    """How tables are fitted: precision of the tables, shape of the start tables (2 Gaussian, 1 Laplacian),
    rounds of quantise-count-rebuild, and the share of nonzero values below which a class is not coded at
    all."""

    bits: int = 14
    shape: float = 1.5
    rounds: int = 6
    zero_share: float = 3e-4


def parametric_model(
    ratios: NDArray[np.float64], n_states: int, config: FitConfig = FitConfig(), lam: float | None = None
) -> EntropyModel:
    """Model without data: class k is a generalised Gaussian with sigma/step = ratios[k]; every class is
    coded."""
    spacing = SPACING[n_states]
    quantisers = 1 if n_states == 1 else 2
    # each of the two quantisers of the trellis has twice the lattice's spacing
    sigma = np.asarray(ratios, np.float64) / (spacing * quantisers)
    tables = build_tables(sigma, quantisers, config.bits, config.shape)
    centroids = np.zeros((tables.classes, CENTROIDS), np.int8)
    return EntropyModel(tables, n_states, spacing, LAMBDA[n_states] if lam is None else lam, 0, centroids)


def fit_model(
    coef: NDArray[np.float32], cls: NDArray[np.uint8], start: EntropyModel, config: FitConfig = FitConfig()
) -> EntropyModel:
    """Fit tables, centroid shifts and zero classes of `start` to training coefficients (n,) with their
    classes.

    Alternates quantising with the current tables and counting what came out. Classes without data keep
    `start`'s scale as a prior. coef in steps, at many steps mixed, as they will be coded.
    """
    model = replace(start, zero_below=0, centroids=np.zeros_like(start.centroids))
    classes, quantisers = model.tables.classes, model.tables.quantisers
    number = np.bincount(cls, minlength=classes)[:classes]
    power = np.bincount(cls, weights=coef.astype(np.float64) ** 2, minlength=classes)[:classes]
    sigma = model.tables.prior_sigma()
    measured = np.sqrt(power / np.maximum(number, 1)) / (model.spacing * quantisers)
    sigma = np.where(number >= 1000, np.maximum(measured, 0.02), sigma)
    model = replace(model, tables=build_tables(sigma, quantisers, config.bits, config.shape))
    machine = MACHINES[model.n_states]
    lattice = np.zeros(cls.size, np.int32)
    counts = np.zeros((classes, quantisers, COUNTED), np.int64)
    for _ in range(config.rounds):
        order = model._order(cls)
        index, _ = model._search(coef, cls, order, model.lam)
        lattice = model._place(index, cls, order, [])
        counts = np.zeros((classes, quantisers, COUNTED), np.int64)
        rules = (model.tables.shift, machine.next, machine.quantiser)
        _count(index, order.classes, index.size, *rules, counts, *counts.shape[1:])
        model = replace(model, tables=build_tables(sigma, quantisers, config.bits, config.shape, counts))
    centroids = _fit_centroids(coef / np.float32(model.spacing), cls, lattice, classes)
    seen = np.maximum(counts.sum(axis=(1, 2)), 1)
    quiet = (counts[:, :, 1:].sum(axis=(1, 2)) / seen < config.zero_share) & (number >= 1000)
    # all classes up to the last of the quiet ones that come before any that is not; classes without data say
    # nothing
    known = [c for c in range(classes) if number[c] >= 1000]
    loud = next((c for c in known if not quiet[c]), classes)
    below = max((c + 1 for c in known if c < loud), default=0)
    return replace(model, zero_below=below, centroids=centroids)


def _fit_centroids(
    u: NDArray[np.float32], cls: NDArray[np.uint8], lattice: NDArray[np.int32], classes: int
) -> NDArray[np.int8]:
    """Mean of |u| - |t| by class and |t| = 1, 2, 3, >= 4, shrunk towards 0 where few were seen: int8
    (classes, 4)."""
    nonzero = lattice != 0
    t = np.abs(lattice[nonzero]).astype(np.int64)
    error = (u[nonzero] * np.sign(lattice[nonzero]) - t).astype(np.float64)
    cell = cls[nonzero].astype(np.int64) * CENTROIDS + np.minimum(t, CENTROIDS) - 1
    total = np.bincount(cell, weights=error, minlength=classes * CENTROIDS)
    number = np.bincount(cell, minlength=classes * CENTROIDS)
    mean = total / (number + 50.0)
    return np.clip(np.round(mean / SHIFT_UNIT), -127, 127).astype(np.int8).reshape(classes, CENTROIDS)
