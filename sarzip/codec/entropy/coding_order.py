"""The loops of entropy.py: between coefficients in their places and indices in coding order.

Coefficients of a class follow one another in coding order. `start`, int64 (256,), says where each class
starts; classes below `zero_below` are not coded, and theirs is the place behind the last coded one.
"""

from __future__ import annotations

import numpy as np

from sarzip.codec.entropy.rans import LANES, symbol
from sarzip.codec.entropy.trellis import LIMIT, nearest
from sarzip.jit.compile import compiled, inlined
from sarzip.native import kernel

CENTROIDS = 4
"""Lattice points whose reconstruction has a shift of its own: |t| = 1, 2, 3, and more."""


@inlined
def clean(x):  # type: ignore[no-untyped-def]
    """A coefficient in spacings without what no index can stand for."""
    x = x if x == x else np.float32(0)
    return min(max(x, -np.float32(LIMIT)), np.float32(LIMIT))


@inlined
def value(a, c, spacing, centroids):  # type: ignore[no-untyped-def]
    """Magnitude of a lattice point at a of class c, moved by its centroid, times the spacing."""
    return spacing * (np.float32(a) + centroids[c, min(a, np.int32(CENTROIDS))])


@compiled("int64(float32[::1], uint8[::1], int64[::1], int64, float32, float32, float32[::1])")
def gather(coef, cls, start, zero_below, scale, outlier, u):  # type: ignore[no-untyped-def]
    """Scaled and cleaned coefficients in coding order (u, from start[class] on); returns the number of
    outliers in classes that are not coded, for which start points to scratch behind the coded ones."""
    at = start.copy()
    outliers = np.int64(0)
    for i in range(coef.shape[0]):
        x = clean(coef[i] * scale)
        c = np.int64(cls[i])
        coded = c >= zero_below
        u[at[c]] = x
        at[c] += np.int64(coded)
        outliers += np.int64(not coded) & np.int64(abs(x) > outlier)
    return outliers


@compiled("void(int32[::1], uint8[::1], int64[::1], int64, int32[::1])")
def scatter(points, cls, start, zero_below, out):  # type: ignore[no-untyped-def]
    """Lattice points from coding order to their places; classes that are not coded point to a zero behind the
    rest."""
    at = start.copy()
    for i in range(cls.shape[0]):
        c = np.int64(cls[i])
        out[i] = points[at[c]]
        at[c] += np.int64(c >= zero_below)


histogram = kernel("histogram", "void(const uint8[::1], int64, int64[:,::1])")
"""Number of each class, from n classes: adds to counts (4, 256), whose rows take turns."""


@compiled("void(float32[::1], uint8[::1], int64[::1], int64, float32[::1])")
def scatter_values(values, cls, start, zero_below, out):  # type: ignore[no-untyped-def]
    """The same for reconstructed values."""
    at = start.copy()
    for i in range(cls.shape[0]):
        c = np.int64(cls[i])
        out[i] = values[at[c]]
        at[c] += np.int64(c >= zero_below)


@compiled(
    "void(float32[::1], uint8[::1], int64[::1], int64, float32, float32, float32[:,::1], float32[::1],"
    " uint32[::1], int32[::1], uint8[::1], uint8[::1], float32, float32[:,::1],"
    " uint32[::1], int32[::1], float32[::1], int64[::1])"
)
def uniform(  # type: ignore[no-untyped-def]
    coef, cls, start, zero_below, scale, outlier, rounding, dead, base, half, shift, order, spacing,
    centroids, rows, index, out, counts
):  # fmt: skip
    """All of it at once for a uniform quantiser: symbol rows and indices in coding order, values in place.
    counts: outliers (see gather) and raw bits.
    """
    at = start.copy()
    outliers, total = np.int64(0), np.int64(0)
    for i in range(cls.shape[0]):
        x = clean(coef[i] * scale)
        c = np.int64(cls[i])
        if c < zero_below:
            out[i] = np.float32(0)
            outliers += np.int64(abs(x) > outlier)
            continue
        place = at[c]
        at[c] = place + 1
        k = nearest(x, c, rounding, dead)
        rows[place], raw = symbol(np.int64(k), c, c, base, half, shift, order)
        index[place] = k
        total += raw
        sign = np.float32(1) - np.float32(2) * np.float32(k < 0)
        out[i] = sign * value(abs(k), c, spacing, centroids)
    counts[0], counts[1] = outliers, total


@compiled("void(int32[::1], uint8[::1], uint8[::1], uint8[::1], float32, float32[:,::1], float32[::1])")
def values_of(index, cls, following, quantiser, spacing, centroids, out):  # type: ignore[no-untyped-def]
    """Values of indices in coding order: their lattice points moved by the centroids, times the spacing."""
    state = np.zeros(LANES, np.int64)
    dependent = quantiser.shape[0] > 1
    for i in range(cls.shape[0]):
        k = index[i]
        a = abs(k)
        if dependent:
            s = state[i & (LANES - 1)]
            a = a + a - np.int32((k != 0) & (quantiser[s] != 0))
            state[i & (LANES - 1)] = following[2 * s + np.int64(k & np.int32(1))]
        v = value(a, cls[i], spacing, centroids)
        out[i] = -v if k < 0 else v
