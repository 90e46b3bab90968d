"""BD-rate against curves whose difference is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.errors import UsageError
from sarzip.measure import bd_rate, interpolate_rate

RATES = [0.1, 0.25, 0.6, 1.3, 2.9]
ERRORS = [4.0, 2.6, 1.7, 1.0, 0.4]


def test_the_same_curve_differs_by_nothing() -> None:
    assert bd_rate(RATES, ERRORS, RATES, ERRORS) == pytest.approx(0.0, abs=1e-12)


@given(st.floats(0.2, 5.0))
def test_a_constant_factor_in_rate_is_returned_exactly(factor: float) -> None:
    scaled = [factor * rate for rate in RATES]
    assert bd_rate(RATES, ERRORS, scaled, ERRORS) == pytest.approx(factor - 1)


def test_straight_lines_have_the_analytic_difference() -> None:
    # ln R = a - b x with x = 20 log10 D: PCHIP is exact on straight lines, whatever the points.
    def rates(errors: list[float], a: float, b: float) -> list[float]:
        return [float(np.exp(a - b * 20 * np.log10(error))) for error in errors]

    first, second = [0.3, 0.5, 1.1, 2.0], [0.4, 0.9, 1.3, 4.0]
    low, high = 20 * np.log10(0.4), 20 * np.log10(2.0)
    mean_x = (low + high) / 2
    expected = np.exp((0.2 - 0.1) - (0.11 - 0.12) * mean_x) - 1
    got = bd_rate(rates(first, 0.1, 0.12), first, rates(second, 0.2, 0.11), second)
    assert got == pytest.approx(expected, rel=1e-9)


def test_exchanging_the_curves_inverts_the_factor() -> None:
    other = [0.09, 0.3, 0.5, 1.2, 2.0]
    there = bd_rate(RATES, ERRORS, other, [4.1, 2.4, 1.8, 1.1, 0.5])
    back = bd_rate(other, [4.1, 2.4, 1.8, 1.1, 0.5], RATES, ERRORS)
    assert (1 + there) * (1 + back) == pytest.approx(1.0)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 10), st.floats(0.01, 10)), min_size=3, max_size=9),
    st.floats(0.01, 10),
)
def test_interpolation_agrees_with_scipy(points: list[tuple[float, float]], at: float) -> None:
    interpolate = pytest.importorskip("scipy.interpolate")
    rates = np.sort(np.unique([round(rate, 3) for rate, _ in points]))
    errors = np.sort(np.unique([round(error, 3) for _, error in points]))[::-1]
    count = min(len(rates), len(errors))
    if count < 2:
        return
    rates, errors = rates[:count], errors[:count]
    got = interpolate_rate(list(rates), list(errors), at)
    x = 20 * np.log10(errors[::-1])
    if x[0] <= 20 * np.log10(at) <= x[-1]:
        expected = np.exp(interpolate.PchipInterpolator(x, np.log(rates[::-1]))(20 * np.log10(at)))
        assert got == pytest.approx(float(expected), rel=1e-6)
    else:
        assert np.isnan(got)


def test_the_figures_of_other_implementations() -> None:
    """By PCHIP after Fritsch and Butland written out by hand, of two curves and of lines of two points."""
    other, errors = [0.09, 0.3, 0.5, 1.2, 2.0], [4.1, 2.4, 1.8, 1.1, 0.5]
    assert bd_rate(RATES, ERRORS, other, errors) == pytest.approx(-0.03050738602467633, rel=1e-9)
    lines = RATES[:2], ERRORS[:2], other[:3], errors[:3]
    assert bd_rate(*lines) == pytest.approx(0.0071245290203625425, rel=1e-9)
    assert interpolate_rate(RATES, ERRORS, 1.3) == pytest.approx(0.9229933679370036, rel=1e-9)


def test_dominated_points_and_order_do_not_matter() -> None:
    order = [3, 0, 4, 2, 1]
    rates = [RATES[i] for i in order] + [3.5]
    errors = [ERRORS[i] for i in order] + [0.5]  # more bits than 2.9 for a larger error
    assert bd_rate(RATES, ERRORS, rates, errors) == pytest.approx(0.0, abs=1e-12)


def test_curves_without_common_errors_have_no_difference() -> None:
    assert np.isnan(bd_rate([1, 2], [0.5, 0.4], [1, 2], [3.0, 2.0]))


@pytest.mark.parametrize(
    ("rates", "errors"),
    [([1.0], [1.0]), ([1, 2], [1, 1]), ([1, -2], [2, 1]), ([1, 2], [2, 0]), ([1, 2], [1])],
)
def test_what_is_no_curve_is_refused(rates: list[float], errors: list[float]) -> None:
    with pytest.raises(UsageError):
        bd_rate(RATES, ERRORS, rates, errors)
