"""The start transform and the symmetries the codec relies on."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sarzip.codec.lapped16 import transform as lt


def test_basis_is_an_orthonormal_lapped_transform():
    rows = lt.basis()
    blocks = 5
    size = lt.STRIDE * blocks
    matrix = np.zeros((size, size))
    for block in range(blocks):
        at = (block * lt.STRIDE - 8 + np.arange(lt.TAPS)) % size
        matrix[block * lt.STRIDE : (block + 1) * lt.STRIDE, at] = rows
    assert_allclose(matrix @ matrix.T, np.eye(size), atol=1e-12)


def test_basis_functions_are_even_or_odd_and_constants_do_not_leak():
    rows = lt.basis()
    signs = 1 - 2 * (np.arange(lt.STRIDE) % 2)
    assert_allclose(rows[:, ::-1], rows * signs[:, None], atol=1e-12)
    assert_allclose(rows.sum(1)[1:], 0, atol=1e-12)


@pytest.mark.parametrize("scale", [1, 2, 4, 8])
def test_first_channels_are_the_low_frequencies(scale: int):
    order = lt.channel_order()
    assert sorted(map(tuple, order)) == [(u, v) for u in range(16) for v in range(16)]
    n = 16 // scale
    assert order[: n * n].max() == n - 1


def test_kernels_follow_order_and_signs():
    rows, order, signs = lt.basis(), lt.channel_order(), lt.mirror_signs()
    kernels = np.einsum("ci,cj->cij", rows[order[:, 0]], rows[order[:, 1]])
    assert_allclose(kernels[:, ::-1], kernels * signs[0][:, None, None], atol=1e-6)
    assert_allclose(kernels[:, :, ::-1], kernels * signs[1][:, None, None], atol=1e-6)
    assert_allclose((kernels**2).sum((1, 2)), 1, atol=1e-5)
