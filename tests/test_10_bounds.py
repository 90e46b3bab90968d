"""What a bound on the error counts as an error."""

import numpy as np
import pytest

from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.errors import UsageError

TWICE = 10 * np.log10(2)


@pytest.mark.parametrize(("domain", "error"), [("amplitude", 2 * TWICE), ("power", TWICE)])
def test_decibels_of_linear_samples(domain, error):
    errors = Bound(1.0).errors(np.array([3.0, 2, 1]), np.array([3.0, 4, 0]), Radiometry(domain))
    assert errors == pytest.approx([0, error, np.inf])


def test_packed_decibels_count_in_their_unit():
    stored = np.array([-1250, -900], np.int16)
    assert Bound(0.1).errors(stored, stored + np.int16(10), Radiometry("db", unit=0.01)) == pytest.approx(0.1)


def test_units_of_the_data():
    bound = Bound(2, decibels=False)
    values = np.array([0, 250, 7], np.uint8)
    assert bound.holds(values, np.array([2, 253, 5], np.uint8), Radiometry("exact")).tolist() == [1, 0, 1]


def test_what_is_no_number_is_equal_or_infinitely_wrong():
    errors = Bound(1.0, False).errors(np.array([np.nan, np.inf]), np.array([0, np.inf]), Radiometry("exact"))
    assert errors.tolist() == [np.inf, 0]


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf])
def test_a_bound_is_a_positive_number(size):
    with pytest.raises(UsageError, match="max_error"):
        Bound(size, decibels=False)
