"""Measures of structure in dB: edge preservation (Laplacians) and SSIM, as sums over blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SSIM_CELL = 4
SSIM_RANGE_DB = 50.0
"""Dynamic range of SSIM's constants; a fixed one makes values of different scenes comparable."""
_C1 = (0.01 * SSIM_RANGE_DB) ** 2
_C2 = (0.03 * SSIM_RANGE_DB) ** 2


class LaplacianCorrelation:
    """EPI: Pearson correlation of the 4-neighbour Laplacians of both dB images.

    Counts pixels inside the scene whose four neighbours are valid too.
    """

    def __init__(self) -> None:
        self._sums = np.zeros(6)

    def add(
        self, reference: NDArray[np.float32], decoded: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> None:
        """Rows of the block with one neighbouring row above and below, where the scene has them."""
        if min(reference.shape) < 3:
            return
        counted = valid[1:-1, 1:-1] & valid[:-2, 1:-1] & valid[2:, 1:-1] & valid[1:-1, :-2] & valid[1:-1, 2:]
        a = _laplacian(reference)
        b = _laplacian(decoded)
        if not counted.all():
            a, b = a * counted, b * counted
        # Sums of products of float32 planes, accumulated in double precision row by row.
        products = (a.sum(dtype=np.float64), b.sum(dtype=np.float64), _dot(a, a), _dot(b, b), _dot(a, b))
        self._sums += np.array([counted.sum(), *products], dtype=np.float64)

    def result(self) -> float:
        """Correlation; 1 where neither has any structure, nan where only one has or nothing was counted."""
        n, a, b, aa, bb, ab = self._sums
        if n == 0:
            return float("nan")
        var_a, var_b, cov = aa - a * a / n, bb - b * b / n, ab - a * b / n
        tiny = 1e-9 * n
        if var_a <= tiny or var_b <= tiny:
            return 1.0 if var_a <= tiny and var_b <= tiny else float("nan")
        return float(cov / np.sqrt(var_a * var_b))


class StructuralSimilarity:
    """Mean SSIM of the dB images over uniform 8x8 windows every 4 pixels, all 64 pixels valid.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with C1 and
    C2 of a 50 dB range. dB has no natural zero, so the luminance term is taken in the middle of the range, 1
    - d²/(R²/2 + C1) for a difference d of window means: the result does not depend on the calibration.
    """

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def add(
        self, reference: NDArray[np.float32], decoded: NDArray[np.float32], valid: NDArray[np.bool_]
    ) -> None:
        """Rows of the block and 4 rows of the next one where there are; starts at a multiple of 4."""
        rows, width = (size // SSIM_CELL * SSIM_CELL for size in reference.shape)
        if rows < 2 * SSIM_CELL or width < 2 * SSIM_CELL:
            return
        x, y, ok = reference[:rows, :width], decoded[:rows, :width], valid[:rows, :width]
        n = _windows8(ok.astype(np.float32))
        # Centred on the block: the variance is a difference of sums, which float32 could not afford
        # otherwise.
        centre = np.float32(x[ok].mean(dtype=np.float64)) if ok.any() else np.float32(0)
        x, y = np.where(ok, x - centre, np.float32(0)), np.where(ok, y - centre, np.float32(0))
        counted = n == 4 * SSIM_CELL * SSIM_CELL
        mean_x, mean_y = _windows8(x)[counted] / 64, _windows8(y)[counted] / 64
        var_x = np.maximum(_windows8(x * x)[counted] / 64 - mean_x**2, 0)
        var_y = np.maximum(_windows8(y * y)[counted] / 64 - mean_y**2, 0)
        cov = _windows8(x * y)[counted] / 64 - mean_x * mean_y
        luminance = 1 - (mean_x - mean_y) ** 2 / (SSIM_RANGE_DB**2 / 2 + _C1)
        similarity = luminance * (2 * cov + _C2) / (var_x + var_y + _C2)
        self._sum += float(similarity.sum())
        self._count += int(similarity.size)

    def result(self) -> float:
        """Mean over all windows; nan where there is none."""
        return self._sum / self._count if self._count else float("nan")


def _laplacian(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    out = plane[:-2, 1:-1] + plane[2:, 1:-1]
    out += plane[1:-1, :-2]
    out += plane[1:-1, 2:]
    out -= 4 * plane[1:-1, 1:-1]
    return out


def _dot(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    return float(np.einsum("ij,ij->i", a, b).sum(dtype=np.float64))


def _windows8(plane: NDArray[np.float32]) -> NDArray[np.float64]:
    rows, width = plane.shape
    cells = plane.reshape(rows // SSIM_CELL, SSIM_CELL, width // SSIM_CELL, SSIM_CELL)
    sums = cells.sum(axis=(1, 3), dtype=np.float64)
    down = sums[:-1] + sums[1:]
    return down[:, :-1] + down[:, 1:]
