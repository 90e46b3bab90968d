"""Radiometric lock: cell powers come out right, cheaply, and the stream refuses what it cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
from first_format import rice_cells
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sarzip.codec import lock
from sarzip.errors import CorruptError


def smoothed(shape: tuple[int, int], looks: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Original and decoded signal in dB; the decoded one has lost half its fluctuation."""
    rng = np.random.default_rng(seed)
    speckle = 10 * np.log10(rng.gamma(looks, 1 / looks, shape))
    level = 6 * np.sin(np.arange(shape[1]) / 40)
    noise = rng.normal(0, 0.5, shape)
    original = (level + speckle).astype(np.float32)
    return original, (level + speckle.mean() + 0.5 * (speckle - speckle.mean()) + noise).astype(np.float32)


def bias(original: np.ndarray, decoded: np.ndarray, floor: float, valid: np.ndarray) -> np.ndarray:
    powers = [lock.cell_power(lock.relative_power(each, floor, valid)) for each in (decoded, original)]
    return 10 * np.log10(powers[0] / powers[1])


@pytest.mark.parametrize("shape", [(256, 256), (100, 77), (31, 5), (1, 1)])
@pytest.mark.parametrize("looks", [1.0, 4.4])
@pytest.mark.parametrize("floor", [0.0, 1e-3])
def test_cell_power_is_restored(shape, looks, floor):
    original, decoded = smoothed(shape, looks)
    valid = np.random.default_rng(1).random(shape) < 0.9
    valid[0, 0] = True
    power = lock.relative_power(decoded, floor, valid)
    wanted = lock.cell_power(lock.relative_power(original, floor, valid))
    cells = lock.correction(wanted, lock.cell_power(power))
    again = lock.decode_cells(lock.encode_cells(cells), shape)
    locked = decoded.copy()
    if again is not None:
        lock.apply_correction(locked, power, again)
    assert np.abs(bias(original, locked, floor, valid)).max() < 0.08


def test_it_costs_less_error_than_a_constant_gain():
    original, decoded = smoothed((512, 512), 4.4)
    power = lock.relative_power(decoded, 0.0, None)
    cells = lock.correction(lock.cell_power(lock.relative_power(original, 0.0, None)), lock.cell_power(power))
    constant = decoded + np.kron(cells * lock.UNIT_DB, np.ones((32, 32)))
    lock.apply_correction(decoded, power, cells)
    assert np.square(decoded - original).mean() < np.square(constant - original).mean()
    assert 8 * len(lock.encode_cells(cells)) / decoded.size < 0.005


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-300, 300)))
def test_cells_of_the_first_format(cells):
    shape = (32 * cells.shape[0] - 5, 32 * cells.shape[1] - 31)
    np.testing.assert_array_equal(lock.decode_rice_cells(rice_cells(cells), shape), cells)


@given(st.data())
def test_expected_cells_are_subtracted(data):
    size = st.tuples(st.integers(1, 9), st.integers(1, 9))
    cells = data.draw(hnp.arrays(np.int16, size, elements=st.integers(-300, 300)))
    expected = data.draw(hnp.arrays(np.int16, cells.shape, elements=st.integers(-2000, 2000)))
    shape = (32 * cells.shape[0], 32 * cells.shape[1])
    decoded = lock.decode_cells(lock.encode_cells(cells, expected), shape, expected)
    np.testing.assert_array_equal(np.zeros_like(cells) if decoded is None else decoded, cells)
    known = np.clip(expected, -300, 300)
    assert lock.encode_cells(known, expected) == b""
    again = lock.decode_cells(b"", shape, expected)
    np.testing.assert_array_equal(np.zeros_like(cells) if again is None else again, known)


def test_coded_cells_are_smaller_than_rice_codes():
    rng = np.random.default_rng(2)
    for deviation, share in ((0.4, 0.75), (1.0, 0.92), (2.5, 0.98)):
        cells = np.rint(rng.normal(1.5, deviation, (26, 13))).astype(np.int16)
        assert len(lock.encode_cells(cells)) < share * len(rice_cells(cells)), deviation


@given(st.binary(max_size=60))
def test_what_is_accepted_has_one_form(payload):
    try:
        cells = lock.decode_cells(payload, (100, 70))
    except CorruptError:
        return
    assert lock.encode_cells(np.zeros((4, 3), np.int16) if cells is None else cells) == payload


@given(
    hnp.arrays(np.int16, st.tuples(st.integers(1, 40), st.integers(1, 40)), elements=st.integers(-300, 300))
)
def test_stream_round_trip(cells):
    shape = (32 * cells.shape[0] - 5, 32 * cells.shape[1] - 31)
    decoded = lock.decode_cells(lock.encode_cells(cells), shape)
    np.testing.assert_array_equal(np.zeros_like(cells) if decoded is None else decoded, cells)


@given(st.binary(min_size=1, max_size=40))
def test_foreign_streams_are_refused_or_small(payload):
    for decode in (lock.decode_cells, lock.decode_rice_cells):
        try:
            cells = decode(payload, (100, 100))
        except CorruptError:
            continue
        assert cells is None or (cells.shape == (4, 4) and np.abs(cells).max() <= 300)


def test_cells_without_measurements_stay():
    signal = np.zeros((64, 64), np.float32)
    lock.apply_correction(signal, np.zeros_like(signal), np.full((2, 2), 20, np.int16))
    assert not signal.any()
