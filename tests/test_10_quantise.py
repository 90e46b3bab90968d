"""Uniform quantisation: half a step of error at most, and no value that breaks it."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sarzip.codec.ae16.quantise import LARGEST_INDEX, dequantise, quantise

WIDTHS = np.array([0.5, 1.0, 3.0], np.float32)


@settings(max_examples=80, deadline=None)
@given(arrays(np.float32, (3, 2, 2), elements=st.floats(-1e5, 1e5, width=32)))
def test_error_is_at_most_half_a_width(latents: np.ndarray) -> None:
    decoded = dequantise(quantise(latents, WIDTHS), WIDTHS)
    slack = 1e-6 * np.abs(latents)
    assert np.all(np.abs(decoded - latents) <= WIDTHS[:, None, None] * 0.5 + slack)


@settings(max_examples=80, deadline=None)
@given(
    arrays(np.float32, (3, 2, 2), elements=st.floats(width=32)),
    st.floats(2**-140, 2**100, width=32, allow_subnormal=True),
)
def test_any_value_and_any_width_stay_finite(latents: np.ndarray, width: float) -> None:
    widths = np.full(3, width, np.float32)
    indices = quantise(latents, widths)
    assert np.all(np.abs(indices) <= LARGEST_INDEX)
    assert np.isfinite(dequantise(indices, widths)).all()


def test_quantising_again_changes_nothing() -> None:
    latents = np.random.default_rng(0).normal(0, 20, (3, 16, 16)).astype(np.float32)
    indices = quantise(latents, WIDTHS)
    np.testing.assert_array_equal(quantise(dequantise(indices, WIDTHS), WIDTHS), indices)
