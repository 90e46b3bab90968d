"""The loops of coder.py: between coefficients in their places and indices in coding order.

Coefficients of a class follow one another in coding order. `start`, int64 (256,), says where each class
starts; classes below `zero_below` are not coded, and theirs is the place behind the last coded one. Arrays
of coefficients are followed by their number.
"""

from __future__ import annotations

from sarzip.native import kernel

CENTROIDS = 4
"""Lattice points whose reconstruction has a shift of its own: |t| = 1, 2, 3, and more."""

histogram = kernel("histogram", "void(const uint8[::1], int64, int64[:,::1])")
"""Number of each class, from n classes: adds to counts (4, 256), whose rows take turns."""

gather = kernel(
    "gather",
    "int64(const float32[::1], const uint8[::1], int64, const int64[::1], int64, float32, float32,"
    " float32[::1])",
)
"""(coef, cls, n, start, zero_below, scale, outlier, u): scaled and cleaned coefficients in coding order, u.

Returns the number of outliers in classes that are not coded, whose values go to u behind the coded ones.
"""

scatter = kernel(
    "scatter", "void(const int32[::1], const uint8[::1], int64, const int64[::1], int64, int32[::1])"
)
"""(points, cls, n, start, zero_below, out): lattice points from coding order to their places; points has one
more behind the rest, for what is not coded."""

scatter_values = kernel(
    "scatter", "void(const float32[::1], const uint8[::1], int64, const int64[::1], int64, float32[::1])"
)
"""The same for reconstructed values."""

uniform = kernel(
    "uniform",
    "void(const float32[::1], const uint8[::1], int64, const int64[::1], int64, float32, float32,"
    " const float32[:,::1], const float32[::1], int64, const uint32[::1], const int32[::1],"
    " const uint8[::1], const uint8[::1], float32, const float32[:,::1], uint32[::1], int32[::1],"
    " float32[::1], int64[::1])",
)
"""(coef, cls, n, start, zero_below, scale, outlier, rounding, dead, width, base, half, shift, order, spacing,
centroids, rows, index, out, counts): all at once for a uniform quantiser.

Symbol rows and indices in coding order, values in place. counts: outliers (see gather) and raw bits.
"""

values_of = kernel(
    "values_of",
    "void(const int32[::1], const uint8[::1], int64, const uint8[::1], const uint8[::1], int64, float32,"
    " const float32[:,::1], float32[::1])",
)
"""(index, cls, n, next, quantiser, states, spacing, centroids, out): values of indices in coding order, that
is their lattice points moved by the centroids, times the spacing."""
