"""Outliers: which are found, and that they come back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import mini_streams

from sarzip.codec.streams.outliers import (
    MOST_POINTS,
    UNIT_DB,
    decode_outliers,
    encode_outliers,
    find,
    to_units,
)
from sarzip.errors import CorruptError

LITERAL = 3


def _sea(rows: int, columns: int, seed: int = 0, spread: float = 0.3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, (rows, columns)).astype(np.float32)


def test_single_bright_pixels_of_a_calm_scene_are_points():
    signal = _sea(100, 90)
    places = [(5, 7), (40, 41), (90, 60), (64, 0)]
    for place in places:
        signal[place] = 14.0
    classes = np.zeros(signal.shape, np.uint8)
    found = find(signal, classes, LITERAL)
    assert sorted(zip(*np.nonzero(classes == LITERAL), strict=True)) == sorted(places)
    np.testing.assert_array_equal(found.decibels, 14.0)
    assert np.abs(signal).max() < 3  # replaced by the mean of their cells


def test_speckle_and_crowds_are_no_points():
    speckle = 10 * np.log10(np.random.default_rng(1).gamma(4, 0.25, (256, 256))).astype(np.float32)
    classes = np.zeros(speckle.shape, np.uint8)
    assert not find(speckle, classes, LITERAL).places.size
    crowd = _sea(32, 32)
    assert MOST_POINTS < 25
    crowd[10:15, 12:17] = 15.0
    classes = np.zeros(crowd.shape, np.uint8)
    before = crowd.copy()
    assert not find(crowd, classes, LITERAL).places.size
    np.testing.assert_array_equal(crowd, before)


@pytest.mark.parametrize("turned", [False, True])
def test_ramps_at_missing_pixels_are_found_from_every_side(turned):
    signal = _sea(64, 128)
    classes = np.zeros(signal.shape, np.uint8)
    classes[:, :20] = 1
    signal[:, 20:23] = -20.0
    signal[:, -2:] = -25.0  # at the side of the scene
    expected = signal < -15
    if turned:
        signal, classes, expected = (np.ascontiguousarray(x.T) for x in (signal, classes, expected))
        expected[-2:] = False  # a strip does not know whether the scene goes on below
    found = find(signal, classes, LITERAL)
    np.testing.assert_array_equal(classes == LITERAL, expected)
    assert found.decibels.size == expected.sum()
    assert (found.decibels < -15).all()


def test_columns_of_a_strip_in_raster_order():
    signal = _sea(64, 64)
    signal[10, [3, 40]], signal[50, [35, 9]] = (11.0, 12.0), (13.0, 14.0)
    found = find(signal, np.zeros(signal.shape, np.uint8), LITERAL)
    np.testing.assert_array_equal(found.within(slice(0, 64), slice(32, 64)), [12.0, 13.0])


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 200))
def test_values_come_back_to_half_a_unit(seed, share, spread):
    rng = np.random.default_rng(seed)
    marks = rng.random((rng.integers(1, 40), rng.integers(1, 40))) < share
    decibels = (spread * rng.standard_normal(int(marks.sum()))).astype(np.float32)
    payload = encode_outliers(to_units(decibels), marks)
    back = decode_outliers(payload, marks)
    np.testing.assert_allclose(back, np.clip(decibels, -2048, 2048), atol=UNIT_DB / 2 + 1e-4)
    assert (payload == b"") == (decibels.size == 0 or not to_units(decibels).any())


def test_constant_ramps_cost_next_to_nothing():
    marks = np.zeros((200, 50), bool)
    marks[:, 45:] = True
    assert len(encode_outliers(np.full(1000, -210, np.int32), marks)) < 30


def test_damaged_values_are_refused_or_stay_in_range():
    rng = np.random.default_rng(5)
    marks = rng.random((40, 40)) < 0.1
    payload = encode_outliers(rng.integers(-300, 300, int(marks.sum())).astype(np.int32), marks)
    for _ in range(200):
        data = bytearray(payload)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        try:
            assert np.abs(decode_outliers(bytes(data[: rng.integers(1, len(data) + 1)]), marks)).max() <= 2048
        except CorruptError:
            continue
    with pytest.raises(CorruptError):
        decode_outliers(b"\x01", np.zeros((4, 4), bool))


def test_a_few_pixels_are_no_ramp():
    signal = _sea(64, 64)
    signal[20:24, 0] = -25.0
    classes = np.zeros(signal.shape, np.uint8)
    assert not find(signal, classes, LITERAL).places.size
    assert not classes.any()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.floats(0, 60))
def test_a_reader_written_from_the_specification_finds_the_same(seed, share, spread):
    rng = np.random.default_rng(seed)
    marks = rng.random((rng.integers(1, 30), rng.integers(1, 30))) < share
    units = np.clip(spread * rng.standard_cauchy(int(marks.sum())), -16384, 16384).astype(np.int32)
    found = mini_streams.outliers(encode_outliers(units, marks), marks)
    assert list(found.values()) == units.tolist()
