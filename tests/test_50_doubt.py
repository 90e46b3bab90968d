"""A codec that notices: what must not be coded as backscatter although it was called that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from support.scenes import speckled

import sarzip
from sarzip.grid import Grid
from sarzip.pipeline.band_plan import PlanOptions
from sarzip.pipeline.doubt import Objections, Watch


@pytest.fixture
def round_trip(write_raster, tmp_path: Path):
    """Function that compresses and decompresses a plane: the report and what came back."""

    def go(values, name="sigma0_VV", **options):
        path = write_raster(values[None])
        with rasterio.open(path, "r+") as dataset:
            dataset.descriptions = (name,)
        report = sarzip.compress(path, tmp_path / "a.sarz", sarzip.CompressOptions(**options))
        sarzip.decompress(tmp_path / "a.sarz", tmp_path / "back.tif")
        with rasterio.open(tmp_path / "back.tif") as dataset:
            return report, dataset.read(1)

    return go


def power(rows: int, columns: int, negative: int = 0) -> np.ndarray:
    """Four looks; some values, anywhere, below zero as resampling leaves them."""
    values = speckled(rows, columns, "float32")
    values.ravel()[np.random.default_rng(7).choice(values.size, negative, replace=False)] *= -1
    return values


@pytest.mark.parametrize("size", [(12, 12), (90, 100), (300, 320)])
def test_a_smooth_field_is_noticed_whatever_its_size(size, round_trip):
    values = (20 + 0.01 * np.add.outer(*map(np.arange, size))).astype(np.float32)
    report, back = round_trip(values, band_kinds=("1=power",))
    assert "neighbouring pixels" in report.plan[0].reason
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("forced", [{"band_kinds": ("1=amplitude",)}, {"domain": "amplitude"}])
def test_labels_are_noticed(forced, round_trip):
    """A batch with --domain meets a map of classes that nobody named."""
    values = np.digitize(power(96, 96), [0.03, 0.06, 0.12]).astype(np.uint8) + 1
    report, back = round_trip(values, "VV", **forced)
    assert "different values would change" in report.plan[0].reason
    assert any("kept exactly" in note for note in report.notes)
    np.testing.assert_array_equal(back, values)


def test_the_domain_of_a_batch_leaves_masks_alone(round_trip):
    values = np.digitize(power(96, 96), [0.03, 0.06, 0.12]).astype(np.uint8)
    report, back = round_trip(values, "layover_shadow_mask", domain="amplitude")
    assert (report.plan[0].kind, report.plan[0].treatment) == ("class", "exact")
    np.testing.assert_array_equal(back, values)


@pytest.mark.parametrize("size", [(96, 96), (1200, 1100)])
def test_few_values_below_zero_come_back_one_by_one(size, round_trip):
    """Also those that neither the sample nor the thinned groups show."""
    values = power(*size)
    below = {(5, 7): -0.125, (50, 61): -0.25, (91, 33): -1e-9}
    for place, value in below.items():
        values[place] = value
    report, back = round_trip(values)
    assert report.plan[0].treatment == "lossy" and report.bpp < 4
    assert {place: back[place] for place in below} == {p: np.float32(v) for p, v in below.items()}
    assert np.count_nonzero(back < 0) == 3


def test_some_values_below_zero_are_counted_in_a_note(round_trip):
    values = power(400, 400, negative=50)
    report, back = round_trip(values)
    assert report.plan[0].treatment == "lossy"
    assert any("50 values below zero" in note and "1=exact" in note for note in report.notes)
    assert back.mean() == pytest.approx(values.mean(), rel=2e-3)


def test_a_fill_among_values_below_zero_is_kept(round_trip):
    values = power(1200, 1100, negative=200)
    values[701:709, 802:811] = -9999
    report, back = round_trip(values)
    assert report.plan[0].treatment == "lossy" and report.plan[0].special == ("-9999 (fill)",)
    np.testing.assert_array_equal(back == -9999, values == -9999)


def test_values_that_found_no_room_make_a_band_exact():
    """Planned once more with them, and still there: a third plan must not be the second one again."""
    once = PlanOptions().after(Objections(kept={1: (-1.0,)}))
    assert (once.fills, once.exact) == ({1: (-1.0,)}, {})
    assert "below zero" in once.after(Objections(kept={1: (-1.0,)})).exact[1]


def test_decibels_and_speckle_raise_no_objection():
    """Errors as large as the speckle itself, as at quality 0; decibels of either sign."""
    rng = np.random.default_rng(0)
    original = rng.gamma(1, 1, (64, 64)).astype(np.float32)
    watch = Watch({0: True, 1: False}, Grid(64, 64, 256))
    everywhere = np.ones(original.shape, bool)
    watch.below_zero(1, original - 1, np.zeros(original.shape, np.uint8))
    watch.add(0, original, np.ones_like(original), everywhere)
    watch.add(1, original - 1, np.zeros_like(original), everywhere)
    assert not watch.objections() and not watch.objections().lost
