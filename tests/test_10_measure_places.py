"""Measures that say where and how an image differs, against values worked out by hand or from theory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.measure import QualityAccumulator, Strip
from sarzip.measure.autocorrelation import LAGS, Autocorrelation
from sarzip.measure.cells import bias_by_class, ratio_bias
from sarzip.measure.histogram import Histogram
from sarzip.measure.impulse import impulse_response


def speckle(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(4, 0.25, shape)


def measured(reference: np.ndarray, decoded: np.ndarray, rows: int = 50) -> QualityAccumulator:
    accumulator = QualityAccumulator(reference.shape[1], "power", 1e-6)
    valid = np.ones(reference.shape, bool)
    for top in range(0, len(reference), rows):
        part = slice(top, top + rows)
        accumulator.add(Strip(reference[part], decoded[part], valid[part]))
    accumulator.result()
    return accumulator


def test_the_greatest_error_is_told_with_its_place() -> None:
    reference = speckle((150, 70))
    decoded = reference * 1.1
    decoded[131, 17] *= 3
    reference[40, 60] = 500
    decoded[40, 60] = 510  # the greatest in power, not in dB
    accumulator = QualityAccumulator(70, "power", 1e-6)
    accumulator.add(Strip(reference, decoded, np.ones(reference.shape, bool)))
    quality = accumulator.result()
    assert quality.max_error_at == (17, 131) and quality.max_error_value_at == (60, 40)
    assert quality.max_error_db == pytest.approx(10 * np.log10(3.3))
    same = measured(reference, reference.copy()).result()
    assert same.max_error_at is None and same.max_error_value_at is None


def test_cells_are_maps_of_the_scene() -> None:
    reference = speckle((100, 130))
    decoded = reference.copy()
    decoded[32:64, 96:128] *= 2
    cells = measured(reference, decoded).cells()
    assert cells.shape == (4, 5)
    bias = cells.bias_db
    assert bias[1, 3] == pytest.approx(10 * np.log10(2))
    assert np.isnan(bias[3]).all() and np.isnan(bias[:, 4]).all()  # less than half of a window
    assert np.nan_to_num(bias).sum() == pytest.approx(10 * np.log10(2))
    assert np.nanmean(cells.variation) == pytest.approx(0.25, abs=0.03)


def test_bias_by_class_sees_a_bias_of_dark_areas_only() -> None:
    reference = speckle((256, 256))
    reference[:, :128] *= 0.01
    decoded = reference.copy()
    decoded[:, :128] *= 10**0.02
    classes = list(bias_by_class(measured(reference, decoded).cells()))
    assert sum(each.windows for each in classes) == 64
    for each in classes:
        assert each.mean_db == pytest.approx(0.2 if each.high_db < -10 else 0.0, abs=1e-9)
        assert each.p5_db <= each.mean_db + 1e-12 and each.mean_db <= each.p95_db + 1e-12


def test_ratio_of_bands() -> None:
    first, second = speckle((128, 128)), speckle((128, 128), 1) * 0.1
    found = ratio_bias(measured(first, first).cells(), measured(second, second * 10**0.03).cells())
    assert found is not None and found.windows == 16
    assert found.mean_reference_db == pytest.approx(-10, abs=0.2)
    assert found.bias_mean_db == pytest.approx(0.3) and found.bias_p95_db == pytest.approx(0.3)
    none = measured(first[:8], first[:8]).cells()
    assert ratio_bias(none, none) is None


@settings(max_examples=20)
@given(rows=st.integers(1, 200), holes=st.floats(0, 0.9))
def test_autocorrelation_does_not_depend_on_strips_or_holes(rows: int, holes: float) -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(5, 1, (192, 520))
    field = (noise + np.roll(noise, 1, axis=1)) / np.sqrt(2)  # correlated by a half with its neighbour
    valid = rng.random(field.shape) >= holes
    whole = Autocorrelation(field.shape)
    whole.add(field, valid, 0)
    found = whole.result()
    count = valid.sum()
    assert found.pixels == count and found.by_column[0] == 1
    assert found.by_column[1] == pytest.approx(0.5, abs=20 / np.sqrt(count))
    assert np.abs(found.by_row[1:3]).max() < 20 / np.sqrt(count)
    cut = Autocorrelation(field.shape)
    for top in range(0, 192, step := 32 * (1 + rows // 40)):
        cut.add(field[top : top + step], valid[top : top + step], top)
    assert np.allclose(cut.result().coefficients, found.coefficients, atol=1e-9, equal_nan=True)
    assert found.coefficients.shape == (2 * LAGS + 1,) * 2


def test_autocorrelation_of_nothing() -> None:
    empty = Autocorrelation((10, 10))
    empty.add(np.zeros((10, 10)), np.zeros((10, 10), bool), 0)
    assert np.isnan(empty.result().coefficients).all() and empty.result().pixels == 0


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.3, -0.2), (0.5, 0.5)])
def test_impulse_response_of_a_sinc(shift: tuple[float, float]) -> None:
    """Half power width 0.886 / bandwidth, PSLR -13.26 dB, ISLR about -10 dB, for any place of the peak."""
    along = np.arange(32) - 16
    row, column = np.sinc(0.4 * (along - shift[0])), np.sinc(0.5 * (along - shift[1]))
    found = impulse_response(7 * np.outer(row, column) ** 2)
    assert found.along_row.width == pytest.approx(0.886 / 0.5, rel=0.01)
    assert found.along_column.width == pytest.approx(0.886 / 0.4, rel=0.01)
    for cut in (found.along_row, found.along_column):
        assert cut.pslr_db == pytest.approx(-13.26, abs=0.1)
        assert cut.islr_db == pytest.approx(-10.3, abs=0.3)
    assert found.profile.max() == pytest.approx(0, abs=1e-9)


def test_impulse_response_without_side_lobes_to_measure() -> None:
    flat = impulse_response(np.ones((32, 32)))
    assert np.isnan(flat.along_row.width) and np.isnan(flat.along_row.pslr_db)


def test_point_targets_are_told_with_their_places() -> None:
    reference = speckle((200, 90)) * 0.01
    reference[90, 33] = reference[150, 60] = 30
    reference[90, 33] = 40
    decoded = reference.copy()
    decoded[90, 33] *= 10**-0.05
    targets = measured(reference, decoded, rows=33).targets()
    assert [(each.row, each.column) for each in targets] == [(90, 33), (150, 60)]
    assert targets[0].error_db == pytest.approx(-0.5, abs=1e-3)
    assert targets[0].contrast_db == pytest.approx(36, abs=0.5)


def test_histogram() -> None:
    histogram = Histogram(0.05)
    histogram.add(np.linspace(-10, 10, 100_001))
    assert histogram.total == 100_001
    assert histogram.percentile(75) == pytest.approx(5, abs=0.06)
    middles, shares = histogram.share(-12, 12, 24)
    assert middles.size == shares.size == 24
    assert shares.sum() * (middles[1] - middles[0]) == pytest.approx(1)
    assert np.isnan(Histogram(1.0).percentile(50))
