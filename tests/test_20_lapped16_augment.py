"""Changed and made-up crops for training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sarzip.training.lapped16 import augment as la


def test_augmented_crops_are_finite_of_the_same_shape_and_reproducible():
    batch = torch.from_numpy(np.random.default_rng(0).normal(0, 5, (64, 1, 64, 96)).astype(np.float32))
    torch.manual_seed(5)
    first = la.augment(batch)
    torch.manual_seed(5)
    assert torch.equal(first, la.augment(batch))
    assert first.shape == batch.shape
    assert first.dtype == torch.float32
    assert torch.isfinite(first).all()
    assert not torch.equal(first, batch)


@pytest.mark.parametrize("seed", range(6))
def test_smooth_scenes_are_smooth(seed):
    scene = la.smooth_scene((64, 96), np.random.default_rng(seed))
    assert scene.shape == (64, 96)
    assert np.isfinite(scene).all()
    assert abs(np.median(scene)) < 1e-3
    inner = scene[16:, 16:]
    # 20 looks have 1 dB of speckle; half a digital number of ten adds as much.
    assert np.median(np.abs(np.diff(inner, axis=1))) < 2.0
