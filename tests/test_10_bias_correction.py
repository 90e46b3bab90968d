"""Radiometric lock: cell powers come out right, cheaply, and the stream refuses what it cannot hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.formats_1_0 import rice_cells

from sarzip.codec.signal.cell_power import cell_power, shift_cells
from sarzip.codec.streams import bias_correction as lock
from sarzip.errors import CorruptError


def smoothed(shape: tuple[int, int], looks: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Original and decoded signal in dB; the decoded one has lost half its fluctuation."""
    rng = np.random.default_rng(seed)
    speckle = 10 * np.log10(rng.gamma(looks, 1 / looks, shape))
    level = 6 * np.sin(np.arange(shape[1]) / 40)
    noise = rng.normal(0, 0.5, shape)
    original = (level + speckle).astype(np.float32)
    return original, (level + speckle.mean() + 0.5 * (speckle - speckle.mean()) + noise).astype(np.float32)


def bias(original: np.ndarray, decoded: np.ndarray, floor: float, classes: np.ndarray) -> np.ndarray:
    powers = [_direct(each, floor, classes) for each in (decoded, original)]
    return 10 * np.log10(powers[0] / powers[1])


def _direct(signal: np.ndarray, floor: float, classes: np.ndarray) -> np.ndarray:
    """Power of the cells, in double precision."""
    power = np.maximum(10 ** (signal.astype(np.float64) / 10) - floor, 0) * (classes == 0)
    rows, columns = (np.arange(0, size, 32) for size in signal.shape)
    return np.add.reduceat(np.add.reduceat(power, columns, axis=1), rows, axis=0)


@given(st.integers(1, 70), st.integers(1, 70), st.floats(0, 40), st.floats(0, 1), st.integers(0, 99))
def test_cell_power_is_the_sum_of_powers(rows, columns, spread, share, seed):
    rng = np.random.default_rng(seed)
    signal = rng.normal(0, spread, (rows, columns)).astype(np.float32)
    classes = (rng.random(signal.shape) < share).astype(np.uint8)
    found = cell_power(signal, 0.01, classes)
    np.testing.assert_allclose(found, _direct(signal, 0.01, classes), rtol=2e-5, atol=1e-6)
    part = cell_power(signal[1:, 1:], 0.01, classes[1:, 1:])
    np.testing.assert_array_equal(cell_power(signal, 0.01, classes[1:, 1:], (1, 1)), part)


@pytest.mark.parametrize("shape", [(256, 256), (100, 77), (31, 5), (1, 1)])
@pytest.mark.parametrize("looks", [1.0, 4.4])
@pytest.mark.parametrize("floor", [0.0, 1e-3])
def test_cell_power_is_restored(shape, looks, floor):
    original, decoded = smoothed(shape, looks)
    classes = (np.random.default_rng(1).random(shape) < 0.1).astype(np.uint8)
    classes[0, 0] = 0
    cells = lock.correction(cell_power(original, floor, classes), cell_power(decoded, floor, classes))
    again = lock.decode_cells(lock.encode_cells(cells), shape)
    locked = decoded.copy()
    if again is not None:
        shift_cells(locked, floor, classes, again)
    assert np.abs(bias(original, locked, floor, classes)).max() < 0.08


def test_it_costs_less_error_than_a_constant_gain():
    original, decoded = smoothed((512, 512), 4.4)
    every = np.zeros(original.shape, np.uint8)
    cells = lock.correction(cell_power(original, 0.0, every), cell_power(decoded, 0.0, every))
    constant = decoded + np.kron(cells * lock.UNIT_DB, np.ones((32, 32)))
    shift_cells(decoded, 0.0, None, cells)
    assert np.square(decoded - original).mean() < np.square(constant - original).mean()
    assert 8 * len(lock.encode_cells(cells)) / decoded.size < 0.005


@given(hnp.arrays(np.int16, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.integers(-300, 300)))
def test_cells_of_the_first_format(cells):
    shape = (32 * cells.shape[0] - 5, 32 * cells.shape[1] - 31)
    np.testing.assert_array_equal(lock.decode_rice_cells(rice_cells(cells), shape), cells)


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
    shift_cells(signal, 0.0, np.ones(signal.shape, np.uint8), np.full((2, 2), 20, np.int16))
    assert not signal.any()
