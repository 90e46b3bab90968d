"""Frequency tables: sums, minima, fitting quality, packing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import reference_rans as reference

from sarzip.codec.entropy.tables import COUNTED, CodeTables, build_tables, integer_frequencies
from sarzip.errors import ModelError

SIGMAS = np.geomspace(0.03, 2000.0, 40)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=3, max_size=129), st.integers(10, 15))
def test_integer_frequencies_sum_and_are_positive(weights: list[float], bits: int) -> None:
    f = integer_frequencies(np.array(weights), bits).astype(int)
    assert f.min() >= 1
    assert f[0] + f[1] + 2 * f[2:].sum() == 1 << bits


def test_integer_frequencies_are_close_to_the_entropy() -> None:
    k = np.arange(40)
    p = np.exp(-0.5 * (k / 9.0) ** 2)
    weights = np.concatenate([[1e-5], p / (p[0] + 2 * p[1:].sum())])
    weights /= weights[:2].sum() + 2 * weights[2:].sum()
    copies = np.where(np.arange(41) < 2, 1, 2)
    f = integer_frequencies(weights, 14).astype(float)
    lost = (copies * weights * (np.log2(weights) - np.log2(f / 2**14))).sum()
    assert 0 <= lost < 0.002


@pytest.mark.parametrize("quantisers", [1, 2])
@pytest.mark.parametrize("shape", [1.0, 2.0])
def test_parametric_tables_are_complete(quantisers: int, shape: float) -> None:
    tables = build_tables(SIGMAS, quantisers, 14, shape)
    assert tables.classes == 40
    assert np.all(np.diff(tables.half.astype(int) << tables.shift.astype(int)) >= 0)
    for c in (0, 17, 39):
        for q in range(quantisers):
            f = reference.table(tables, c, q)
            assert sum(f) == 1 << 14
            assert min(f) >= 1
            assert f[1:] == f[:0:-1]
            t = c * quantisers + q
            rows = slice(int(tables.base[t]), int(tables.base[t]) + len(f))
            assert tables.frequencies[rows].tolist() == f
            assert np.bincount(tables.slots[t << 14 : (t + 1) << 14]).tolist() == f


@pytest.mark.parametrize("sigma", [0.3, 1.0, 8.0, 100.0, 1500.0])
def test_parametric_code_length_is_near_the_entropy_of_its_source(sigma: float) -> None:
    tables = build_tables(np.array([sigma]), 1, 14, 2.0)
    k = np.round(np.random.default_rng(0).standard_normal(200_000) * sigma).astype(int)
    lengths = tables.magnitude_lengths(int(np.abs(k).max()) + 1)[0, 0]
    _, counts = np.unique(k, return_counts=True)
    p = counts / k.size
    entropy = -(p * np.log2(p)).sum()
    assert lengths[np.abs(k)].mean() < 1.02 * entropy + 0.03


def test_lengths_agree_with_the_reference() -> None:
    tables = build_tables(SIGMAS, 2, 13, 1.5)
    lengths = tables.magnitude_lengths(3000)
    for c in (0, 10, 25, 39):
        for q in (0, 1):
            for k in (0, 1, 2, 50, 127, 128, 129, 700, 2999):
                assert lengths[c, q, k] == pytest.approx(reference.code_length(tables, c, q, k), abs=1e-4)


def test_fitting_follows_the_counts() -> None:
    rng = np.random.default_rng(2)
    values = np.minimum(np.abs(np.round(rng.standard_t(3, 100_000) * 2)), COUNTED - 1).astype(int)
    counts = np.bincount(values, minlength=COUNTED).reshape(1, 1, -1)
    start, fitted = (build_tables(np.array([3.4]), 1, 14, 2.0, c) for c in (None, counts))
    mean = [t.magnitude_lengths(COUNTED)[0, 0][values].mean() for t in (start, fitted)]
    p = counts[0, 0] / values.size
    signs = 1 - p[0]
    entropy = -(p[p > 0] * np.log2(p[p > 0])).sum() + signs
    assert mean[1] < entropy + 0.02 < mean[0]


def test_prior_sigma_is_what_the_tables_were_built_for() -> None:
    sigma = np.array([0.4, 2.0, 30.0])
    assert np.allclose(build_tables(sigma, 2, 14, 2.0).prior_sigma(), sigma, rtol=0.35)


def test_pack_and_unpack() -> None:
    tables = build_tables(SIGMAS, 2, 14, 1.5)
    arrays = tables.to_arrays("x.")
    again = CodeTables.from_arrays(arrays, "x.")
    assert np.array_equal(again.intervals, tables.intervals)
    assert again.bits == 14
    assert sum(a.nbytes for a in arrays.values()) < 20_000
    assert {a.dtype.str for a in arrays.values()} <= {"|u1", "<u2"}


def test_inconsistent_arrays_are_model_errors() -> None:
    good = build_tables(SIGMAS[:5], 2, 12, 1.5).to_arrays()
    changed = good["magnitudes"].copy()
    changed[3] += 1
    zero = good["magnitudes"].copy()
    zero[3] = 0
    bad = [
        {k: v for k, v in good.items() if k != "half"},
        {**good, "magnitudes": changed},
        {**good, "magnitudes": zero},
        {**good, "magnitudes": good["magnitudes"][:-1]},
        {**good, "magnitudes": good["magnitudes"].astype(np.int32)},
        {**good, "half": np.full(5, 200, np.uint8)},
        {**good, "half": np.zeros(0, np.uint8)},
        {**good, "shift": np.full(5, 40, np.uint8)},
        {**good, "order": np.full(5, 40, np.uint8)},
        {**good, "tables": np.array([16, 2], np.uint8)},
        {**good, "tables": np.array([12, 3], np.uint8)},
    ]
    for arrays in bad:
        with pytest.raises(ModelError):
            CodeTables.from_arrays(arrays)
