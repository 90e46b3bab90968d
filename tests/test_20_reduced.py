"""Reduced resolution: means of pixels without the pixels, and what a box at the edge counts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.models import released

from sarzip.codec.lapped16.codec import Lapped16
from sarzip.codec.signal.boxes import box_classes, box_mean, box_median


@pytest.mark.parametrize("model", ["lapped16", "lapped16-r1"])
@pytest.mark.parametrize("scale", [1, 2, 4, 8, 16])
def test_reduced_synthesis_is_the_mean_of_the_pixels(model, scale):
    family = Lapped16(*released(model))
    latents = np.random.default_rng(1).normal(size=(256, 9, 12)).astype(np.float32)
    expected = box_mean(family.restore(latents)[0], scale)
    np.testing.assert_allclose(family.restore(latents, scale)[0], expected, atol=2e-5)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 4, 16]), st.integers(0, 99))
def test_boxes_at_the_edges_count_existing_pixels_only(rows, columns, scale, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, columns)).astype(np.float32)
    classes = rng.integers(0, 4, (rows, columns)).astype(np.uint8)
    mean, kinds, median = box_mean(values, scale), box_classes(classes, scale), box_median(classes, scale)
    assert mean.shape == kinds.shape == median.shape == (-(-rows // scale), -(-columns // scale))
    for i in range(mean.shape[0]):
        for j in range(mean.shape[1]):
            box = np.s_[i * scale : (i + 1) * scale, j * scale : (j + 1) * scale]
            assert mean[i, j] == pytest.approx(values[box].mean(), abs=1e-5)
            counts = np.bincount(classes[box].ravel(), minlength=4)
            assert kinds[i, j] == (0 if 2 * counts[0] >= counts.sum() else 1 + counts[1:].argmax())
            assert median[i, j] == np.sort(classes[box].ravel())[counts.sum() // 2]
