"""The tilt of a group's spectrum: coding, fitting, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sarzip.codec.lapped16 import tilt as lapped_tilt
from sarzip.codec.lapped16.scale_classes import ratios
from sarzip.errors import CorruptError
from sarzip.training.lapped16 import network as net
from sarzip.training.lapped16.rd_cost import code_lengths

WIDTH = 0.14
WEIGHT = 8.0


@pytest.fixture(scope="module")
def lengths() -> np.ndarray:
    return code_lengths(ratios(), WEIGHT)


VALUES = st.integers(-lapped_tilt.LIMIT, lapped_tilt.LIMIT)


@given(
    st.lists(VALUES, min_size=16, max_size=16),
    st.one_of(st.just([0] * 24), st.lists(VALUES, min_size=24, max_size=24)),
    st.binary(),
)
def test_packing_inverts_and_ends_where_it_says(tilt, moves, rest):
    data = lapped_tilt.pack(np.array(tilt), np.array(moves))
    found, used = lapped_tilt.unpack(data + rest, (16, 24))
    assert used == len(data)
    assert [v.tolist() for v in found] == [tilt, moves]


@given(st.binary(max_size=60))
def test_any_bytes_unpack_or_are_corrupt(data):
    try:
        vectors, used = lapped_tilt.unpack(data, (16, 24))
    except CorruptError:
        return
    assert used <= len(data)
    assert max(np.abs(v).max() for v in vectors) <= lapped_tilt.LIMIT


def test_nothing_to_move_costs_one_byte_and_moves_nothing():
    zero = np.zeros(16, np.int64)
    assert len(lapped_tilt.pack(zero, zero)) == 1
    assert not lapped_tilt.offsets(zero, lapped_tilt.integer_basis()).any()


def test_side_classes_follow_what_is_coded(lengths):
    rng = np.random.default_rng(2)
    spread = np.array([0.2, 1.0, 5.0, 40.0])
    residual = np.round(rng.standard_normal((4, 4000)) * spread[:, None]).astype(np.int32)
    start = np.full(4, 20, np.uint8)
    moves = lapped_tilt.fit_side(residual, start, lengths) * lapped_tilt.SIDE_UNIT
    scale = ratios()[np.clip(start + moves, 0, 63)]
    np.testing.assert_allclose(np.log(scale[1:] / spread[1:]), 0, atol=0.3)
    assert scale[0] < 0.5


@pytest.mark.parametrize("sigma", [0.8, 3.0])
def test_fit_finds_a_tilted_spectrum(lengths, sigma):
    rng = np.random.default_rng(0)
    true = np.zeros(16, np.int64)
    true[[0, 1, 4]] = 3, -6, 4
    moved = lapped_tilt.offsets(true, lapped_tilt.integer_basis())
    k = round(np.log(sigma / 0.06) / WIDTH)
    scale = ratios()[k + moved]
    coefficients = (rng.standard_normal((256, 900)) * scale[:, None]).astype(np.float32)
    classes = np.full(coefficients.shape, k, np.uint8)
    tilt = lapped_tilt.fit(coefficients, classes, lengths, WEIGHT)
    found = lapped_tilt.offsets(tilt, lapped_tilt.integer_basis())
    assert np.abs(found - moved).mean() < 0.5


def test_fit_stays_at_zero_without_evidence(lengths):
    rng = np.random.default_rng(1)
    coefficients = rng.standard_normal((256, 4)).astype(np.float32)
    k = np.full(coefficients.shape, round(np.log(1 / 0.06) / WIDTH), np.uint8)
    assert np.abs(lapped_tilt.fit(coefficients, k, lengths, WEIGHT)).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (5, 4), (6, 7)])
def test_squares_swap_back_and_gather_what_is_smooth(shape):
    plane = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    there = plane.copy()
    lapped_tilt.swap_squares(there)
    assert np.sum(there**2) == pytest.approx(np.sum(plane**2), rel=1e-5)
    if min(shape) % 2 == 0 and max(shape) % 2 == 0:
        same = net.swap_squares(torch.from_numpy(plane)[None, None])
        np.testing.assert_allclose(same[0, 0].numpy(), there, atol=1e-6)
    lapped_tilt.swap_squares(there)
    np.testing.assert_allclose(there, plane, atol=1e-6)
    flat = np.ones((4, 4), np.float32)
    lapped_tilt.swap_squares(flat)
    assert np.count_nonzero(np.abs(flat) > 1e-6) == 4
