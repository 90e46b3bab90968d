"""The tilt of a group's spectrum: coding, fitting, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.codec import lapped_tilt
from sarzip.codec.lapped_export import ratios
from sarzip.errors import CorruptError

WIDTH = 0.14


@given(st.lists(st.integers(-lapped_tilt.LIMIT, lapped_tilt.LIMIT), min_size=16, max_size=16), st.binary())
def test_packing_inverts_and_ends_where_it_says(values, rest):
    data = lapped_tilt.pack(np.array(values))
    tilt, used = lapped_tilt.unpack(data + rest)
    assert used == len(data)
    assert tilt.tolist() == values


@given(st.binary(max_size=40))
def test_any_bytes_unpack_or_are_corrupt(data):
    try:
        tilt, used = lapped_tilt.unpack(data)
    except CorruptError:
        return
    assert used <= len(data)
    assert np.abs(tilt).max() <= lapped_tilt.LIMIT


def test_no_tilt_costs_two_bytes_and_moves_nothing():
    zero = np.zeros(16, np.int64)
    assert len(lapped_tilt.pack(zero)) == 2
    assert not lapped_tilt.offsets(zero, lapped_tilt.integer_basis()).any()


@pytest.mark.parametrize("sigma", [0.4, 3.0])
def test_fit_finds_a_tilted_spectrum(sigma):
    rng = np.random.default_rng(0)
    true = np.zeros(16, np.int64)
    true[[0, 1, 4]] = 3, -6, 4
    moved = lapped_tilt.offsets(true, lapped_tilt.integer_basis())
    k = round(np.log(sigma / 0.06) / WIDTH)
    scale = ratios()[k + moved]
    coefficients = (rng.standard_normal((256, 900)) * scale[:, None]).astype(np.float32)
    classes = np.full(coefficients.shape, k, np.uint8)
    tilt = lapped_tilt.fit(coefficients, classes, ratios(), WIDTH)
    found = lapped_tilt.offsets(tilt, lapped_tilt.integer_basis())
    assert np.abs(found - moved).mean() < 0.5


def test_fit_stays_at_zero_without_evidence():
    rng = np.random.default_rng(1)
    coefficients = rng.standard_normal((256, 4)).astype(np.float32)
    k = np.full(coefficients.shape, round(np.log(1 / 0.06) / WIDTH), np.uint8)
    assert np.abs(lapped_tilt.fit(coefficients, k, ratios(), WIDTH)).max() <= 1
