"""Values of bands without a name: nothing but speckle is lossy, and what stays open is called a guess."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.kinds_scenes import (
    SIDE,
    classes,
    coherence,
    covariance,
    decibels,
    local_incidence,
    look_at,
    power,
    ramp,
    texture,
    wrapped,
)

from sarzip.kinds import Certainty, Evidence, Kind, detect, find_specials, measure
from sarzip.kinds.statistics import looks_of, tetragamma, trigamma

K = Kind
DTYPES = ["float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]


@pytest.mark.parametrize(
    ("x", "first", "second"),
    [
        (1.0, math.pi**2 / 6, -2.4041138),
        (4.0, 0.28382296, -0.080039732),
        (0.5, 4.9348022005, -16.8287966),
    ],
)
def test_polygamma(x, first, second):
    assert trigamma(x) == pytest.approx(first, rel=1e-7)
    assert tetragamma(x) == pytest.approx(second, rel=1e-6)


@given(st.floats(0.5, 500))
def test_looks_invert_the_log_variance(looks):
    assert looks_of(trigamma(looks)) == pytest.approx(looks, rel=1e-6)


@pytest.mark.parametrize("looks", [1, 4, 16])
def test_looks_are_measured_within_texture(looks):
    """6 dB of texture leave the looks within a factor of 1.5; without windows they would be about 0.7."""
    values = power(looks, contrast_db=1.5)
    stats = measure(values, np.ones(values.shape, bool))
    assert looks / 1.7 < stats.looks_as_power < 1.3 * looks
    root = measure(np.sqrt(values), np.ones(values.shape, bool))
    assert root.looks_as_amplitude == pytest.approx(stats.looks_as_power, rel=0.01)


def test_noise_slope_tells_multiplicative_from_additive():
    everywhere = np.ones((SIDE, SIDE), bool)
    assert measure(power(), everywhere).noise_slope == pytest.approx(1, abs=0.3)
    assert abs(measure(decibels() + 60, everywhere).noise_slope) < 0.4


def test_statistics_of_little():
    assert measure(np.zeros((4, 4)), np.zeros((4, 4), bool)).count == 0
    one = measure(np.full((3, 3), 7, "uint8"), np.ones((3, 3), bool))
    assert (one.distinct, one.minimum, one.integer) == (1, 7.0, True)


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(
        st.sampled_from(
            ["float32", "float64", "int16", "uint8", "uint16", "int32", "uint32", "int8", "int64"]
        ),
        arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24),
    ),
    st.none() | st.floats(),
)
def test_any_band_gets_a_verdict(values, nodata):
    verdict = detect(Evidence(values.dtype.name, nodata=nodata), values)
    assert verdict.reason and verdict.kind in K
    if verdict.treatment.method == "lossy":
        assert verdict.kind is K.BACKSCATTER and verdict.domain


NOT_BACKSCATTER = {
    "covariance real": (covariance().real, "float32"),
    "covariance imaginary": (covariance().imag, "float32"),
    "covariance of digital numbers": (4e5 * covariance().imag, "float32"),
    "wrapped phase": (wrapped(), "float32"),
    "noisy phase": (wrapped(3.0), "float32"),
    "phase from 0": (wrapped() % (2 * np.pi), "float32"),
    "unwrapped phase": (ramp(-40, 90) + texture(), "float32"),
    "coherence": (coherence(), "float32"),
    "coherence of many looks": (coherence(40), "float32"),
    "coherence in bytes": (255 * coherence(), "uint8"),
    "local incidence": (local_incidence(), "float32"),
    "local incidence in radians": (np.radians(local_incidence()), "float32"),
    "incidence in hundredths": (100 * local_incidence(), "uint16"),
    "ellipsoid incidence": (ramp(30, 46), "float32"),
    "latitude": (ramp(45.2, 45.1, 0), "float64"),
    "longitude": (ramp(-122.3, -122.1), "float64"),
    "elevation": (400 + 90 * texture(roughness=2.2), "float32"),
    "elevation in whole metres": (400 + 90 * texture(roughness=2.2), "int16"),
    "displacement": (0.02 * texture(roughness=2.0), "float32"),
    "velocity": (8 * texture() + np.random.default_rng(1).normal(0, 1, (SIDE, SIDE)), "float32"),
    "log ratio": (decibels() - decibels(seed=2), "float32"),
    "layover and shadow": (classes([0, 1, 5, 17, 21, 255]), "uint8"),
    "mask as float": (classes([0, 1]), "float32"),
    "mask of 0 and 255": (classes([0, 255]), "uint8"),
    "land cover": (classes(list(range(10, 110, 10))), "uint8"),
    "labels": (classes(list(range(1, 41))), "uint16"),
    "days since launch": (classes([2300, 2314, 2328, 2342], "uint16"), "uint16"),
    "dates": (20200101 + np.digitize(texture(), [-1, 0, 1]) * 100, "int32"),
    "looks": (np.rint(20 + 3 * texture(roughness=2.2)), "float32"),
    "quicklook of dB": (np.clip(decibels() * 6 + 180, 0, 255), "uint8"),
    "real part": (100 * np.random.default_rng(2).normal(size=(SIDE, SIDE)), "int16"),
    "real part as float": (np.random.default_rng(2).normal(size=(SIDE, SIDE)), "float32"),
    "constant": (np.full((SIDE, SIDE), 3.5), "float32"),
    "temperature": (-12 + texture(roughness=2.2), "float32"),
}


@pytest.mark.parametrize("name", NOT_BACKSCATTER)
def test_nothing_without_speckle_is_lossy(name):
    values, dtype = NOT_BACKSCATTER[name]
    verdict = look_at(values, dtype)
    assert verdict.treatment.method == "exact", verdict
    assert verdict.kind is not K.BACKSCATTER


@pytest.mark.parametrize("name", ["wrapped phase", "layover and shadow", "mask as float", "dates"])
def test_what_the_values_do_tell(name):
    values, dtype = NOT_BACKSCATTER[name]
    kinds = {"wrapped phase": K.PHASE, "dates": K.DATE}
    verdict = look_at(values, dtype)
    assert verdict.kind is kinds.get(name, K.CLASS) and verdict.certainty is Certainty.LIKELY


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("make", "dtype", "domain"),
    [
        (lambda seed: decibels(4, seed=seed), "float32", "db"),
        (lambda seed: decibels(1, seed=seed), "float32", "db"),
        (lambda seed: decibels(30, seed=seed, mean_db=-18), "float64", "db"),
        (lambda seed: 900 * np.sqrt(power(4, seed=seed)), "uint16", "amplitude"),
        (lambda seed: 900 * np.sqrt(power(1, seed=seed)), "uint16", "amplitude"),
        (lambda seed: 4000 * np.sqrt(power(16, seed=seed)), "int16", "amplitude"),
        (lambda seed: 300 * np.sqrt(power(1, seed=seed)), "float32", "amplitude"),
    ],
)
def test_backscatter_that_needs_no_name(make, dtype, domain, seed):
    verdict = look_at(make(seed), dtype)
    assert (verdict.kind, verdict.domain, verdict.treatment.method) == (K.BACKSCATTER, domain, "lossy")


@pytest.mark.parametrize("looks", [1, 2, 4, 9, 16, 60])
@pytest.mark.parametrize("gain", [1.0, 1e3, 1e6])
def test_amplitude_and_power_are_right_or_a_guess(looks, gain):
    values = power(looks) * gain
    for domain, stored in (("power", values), ("amplitude", np.sqrt(values))):
        verdict = look_at(stored)
        assert verdict.kind is K.BACKSCATTER
        assert verdict.domain == domain or verdict.certainty is Certainty.GUESS
        assert verdict.alternative in ("amplitude", "power")


def test_single_look_amplitude_is_recognised_at_any_gain():
    for gain in (0.01, 1.0, 1e4):
        verdict = look_at(gain * np.sqrt(power(1, contrast_db=1)))
        assert verdict.domain == "amplitude" and verdict.certainty is Certainty.LIKELY


def test_positive_decibels_without_a_name_are_not_touched():
    verdict = look_at(decibels() + 60)
    assert verdict.treatment.method == "exact" and verdict.alternative == "db"
    named = look_at(decibels() + 60, description="VV_dB")
    assert (named.domain, named.treatment.method) == ("db", "lossy")


def test_a_sample_of_strips_is_as_good_as_the_whole():
    whole = power(4)
    strips = np.concatenate([whole[row : row + 4, :64] for row in range(0, SIDE, 8)])
    everywhere = np.ones(strips.shape, bool)
    assert measure(strips, everywhere).log_variance == pytest.approx(
        measure(whole, np.ones(whole.shape, bool)).log_variance, rel=0.15
    )


def test_a_mask_keeps_fill_out():
    values = decibels()
    values[:, :50] = 0.5
    mask = np.ones(values.shape, bool)
    mask[:, :50] = False
    assert look_at(values, mask=mask).domain == "db"


# Fill


@pytest.mark.parametrize("fill", [-9999, -32768, -3.4028234663852886e38, 1e20, -999, -99999, 9.96921e36])
@pytest.mark.parametrize("rows", [1, 3, 60])
def test_undeclared_fill_is_found_and_the_rest_judged_without_it(fill, rows):
    values = power().astype("float32")
    values[:rows] = fill
    verdict = detect(Evidence("float32", description="Sigma0_VV"), values)
    assert [special.role for special in verdict.specials] == ["fill"]
    assert np.float32(verdict.specials[0].value) == np.float32(fill)
    assert (verdict.domain, verdict.treatment.method, verdict.contradictions) == ("power", "lossy", ())


@pytest.mark.parametrize(
    ("make", "dtype", "fill"),
    [
        (decibels, "float32", -9999),
        (decibels, "float32", -50),
        (lambda: 100 * decibels(), "int16", -32768),
        (lambda: 900 * np.sqrt(power()), "uint16", 65535),
        (lambda: np.clip(250 * np.sqrt(power()), 0, 254), "uint8", 255),
        (lambda: 900 * np.sqrt(power()), "int16", -1),
        (power, "float64", 0),
        (lambda: decibels() + 8, "float32", 0),
    ],
)
def test_fill_of_each_dtype(make, dtype, fill):
    values = make().astype(dtype)
    values[20:60, 30:90] = fill
    found = find_specials(values, None)
    assert fill in [special.value for special in found]


def test_declared_nodata_and_another_fill():
    values = power().astype("float32")
    values[:20], values[100:] = 0, -9999
    assert [(each.value, each.role) for each in find_specials(values, 0)] == [
        (0, "nodata"),
        (-9999.0, "fill"),
    ]
    values[50, 50], values[51, 51] = np.nan, np.inf
    assert len(find_specials(values, 0)) == 2


@pytest.mark.parametrize(
    ("make", "dtype"),
    [
        (lambda looks: 900 * np.sqrt(power(looks)), "uint16"),
        (lambda looks: 12 * np.sqrt(power(looks)), "uint8"),
        (lambda looks: 40 * np.sqrt(power(looks)), "uint8"),
        (lambda looks: 100 * decibels(looks), "int16"),
        (decibels, "float32"),
        (power, "float32"),
        (lambda looks: np.sqrt(power(looks, contrast_db=8)), "float64"),
    ],
)
@pytest.mark.parametrize("looks", [1, 4, 50])
def test_ordinary_dark_and_bright_pixels_are_no_fill(make, dtype, looks):
    assert find_specials(make(looks).astype(dtype), None) == ()


def test_an_isolated_bright_target_is_no_fill():
    values = power().astype("float32")
    values[60, 60], values[90, 90:92] = 9e3, 5e3
    assert find_specials(values, None) == ()


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 65535), ("uint8", 255), ("int16", 32767)])
def test_saturated_maxima(dtype, top):
    amplitude = np.sqrt(power(1, contrast_db=5))
    scaled = amplitude * top / np.quantile(amplitude, 0.995)
    found = find_specials(np.minimum(scaled, top).astype(dtype), None)
    assert [(each.value, each.role) for each in found] == [(top, "saturated")]


def test_saturation_below_the_top_of_the_dtype():
    amplitude = np.sqrt(power(1, contrast_db=5))
    clipped = np.minimum(amplitude, np.quantile(amplitude, 0.99)).astype("float32")
    (found,) = find_specials(clipped, None)
    assert found.role == "saturated" and found.value == clipped.max()


def test_masks_and_classes_have_no_fill_but_sentinels():
    assert find_specials(classes([0, 1]), None) == ()
    assert find_specials(classes([0, 1, 5, 17, 21]), None) == ()
