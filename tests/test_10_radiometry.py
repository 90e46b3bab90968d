"""Radiometry: the transform inverts, integers survive exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.codec.signal.radiometry import Radiometry, fit_radiometry


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("domain", ["amplitude", "power"])
def test_every_integer_survives(dtype, domain):
    values = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    radiometry = fit_radiometry(values, domain)
    np.testing.assert_array_equal(radiometry.inverse(radiometry.forward(values), dtype), values)


@given(
    st.sampled_from(["amplitude", "power"]),
    st.sampled_from(["float32", "float64"]),
    st.floats(1e-6, 1e12),
    st.integers(0, 2**32 - 1),
)
def test_float_round_trip_to_rounding(domain, dtype, scale, seed):
    values = (scale * np.random.default_rng(seed).exponential(size=400)).astype(dtype)
    radiometry = fit_radiometry(values, domain)
    back = radiometry.inverse(radiometry.forward(values), dtype)
    assert back.dtype == values.dtype and (back > 0).all()
    strong = values > np.percentile(values, 1)
    np.testing.assert_allclose(back[strong], values[strong], rtol=1e-3)


def test_decibels_pass_through():
    values = np.linspace(-40, 20, 300).astype("float32")
    radiometry = fit_radiometry(values, "db")
    np.testing.assert_allclose(radiometry.inverse(radiometry.forward(values), "float32"), values, atol=1e-5)


def test_scaled_integer_decibels_use_the_unit():
    values = np.arange(-4000, 1000, dtype="int16")
    radiometry = fit_radiometry(values, "db", unit=0.01)
    assert np.ptp(radiometry.forward(values)) == pytest.approx(49.99, abs=0.01)
    np.testing.assert_array_equal(radiometry.inverse(radiometry.forward(values), "int16"), values)


@pytest.mark.parametrize("values", [np.array([], "float32"), np.zeros(5, "uint16"), np.full(9, 7.0)])
def test_degenerate_samples_give_finite_parameters(values):
    for domain in ("amplitude", "power", "db"):
        radiometry = fit_radiometry(values, domain)
        assert np.isfinite([radiometry.floor, radiometry.centre]).all()
        assert np.isfinite(radiometry.forward(values)).all()


def test_extreme_magnitudes_stay_finite():
    values = np.array([0, 1e-38, 1.0, 3e38], "float32")
    signal = Radiometry("amplitude", 1e-3, 0.0).forward(values)
    assert np.isfinite(signal).all() and (np.diff(signal) >= 0).all()
    back = Radiometry("amplitude", 1e-3, 0.0).inverse(signal, "float32")
    assert np.isfinite(back).all() and back[3] == pytest.approx(3e38, rel=1e-4)
