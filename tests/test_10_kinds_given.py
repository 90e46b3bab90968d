"""Names against values, bands of products together, and kinds that are given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.kinds_scenes import (
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

from sarzip.errors import UsageError
from sarzip.kinds import BAND_KINDS, KINDS, BandKind, Certainty, Evidence, Kind, detect, parse_band_kinds

K = Kind
AMPLITUDE, POWER, DB = ((K.BACKSCATTER, domain) for domain in ("amplitude", "power", "db"))
RTC = "PROCESSING_INFORMATION_OUTPUT_BACKSCATTER"
OPERA = "OPERA_L2_RTC-S1_T069-147170-IW1_20231001T000000Z_S1A_30_v1.0_{}.tif"


@pytest.mark.parametrize(
    ("values", "dtype", "names"),
    [
        (classes([0, 1, 2]), "float32", {"description": "VV"}),
        (classes([0, 1]), "uint8", {"description": "Sigma0_VV"}),
        (covariance().imag, "float32", {"description": "VV"}),
        (covariance().imag, "float32", {"file_name": "VV.tif"}),
        (coherence(), "float32", {"description": "VV dB"}),
        (0.02 * texture(), "float32", {"description": "amplitude"}),
        (ramp(11.2, 11.3), "float32", {"file_name": "S1_VV.tif"}),
        (local_incidence(), "float32", {"file_name": "S1_VV.tif"}),
        (coherence(), "float32", {"file_name": "S1_VV.tif"}),
        (wrapped(), "float32", {"file_name": "S1_sigma0.tif"}),
        (500 + 90 * texture(), "int16", {"file_name": "S1_VV.tif"}),
        (5000 * covariance().imag, "int16", {"description": "VV"}),
        (100 + 10 * decibels(), "uint8", {"description": "VV_dB"}),
    ],
)
def test_a_name_that_would_destroy_data_loses(values, dtype, names):
    verdict = look_at(values, dtype, **names)
    assert verdict.treatment.method == "exact"
    assert verdict.contradictions and verdict.certainty is Certainty.GUESS


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (coherence(), {"description": "VV"}),
        (local_incidence(), {"description": "VV"}),
        (local_incidence(), {"file_name": "S1_dB.tif", "descriptions": ("", "", ""), "band": 2}),
        (local_incidence(), {"file_name": "S1_GRD.tif", "descriptions": ("", "", ""), "band": 2}),
        (100 * local_incidence(), {"file_name": "S1_GRD.tif", "descriptions": ("", ""), "band": 1}),
        (100 * local_incidence(), {"dataset_tags": {"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD HR L1"}}),
        (coherence(), {"dataset_tags": {"PRODUCT": "RTC gamma0 power"}}),
        (power(), {"description": "VV", "file_name": "S1_coherence_VV.tif"}),
        (power(), {"description": "VV", "file_name": "S1_displacement_20200101.tif"}),
    ],
)
def test_a_channel_or_the_name_of_a_file_alone_takes_nothing_else_for_backscatter(values, names):
    assert look_at(values, **names).treatment.method != "lossy"


def test_stretched_decibels_in_bytes_are_a_picture():
    stretched = np.clip(6 * decibels() + 180, 0, 255)
    verdict = look_at(stretched, "uint8", description="VV")
    assert verdict.kind is K.PICTURE and verdict.contradictions
    assert look_at(300 * np.sqrt(power()), "uint8", description="VV").domain == "amplitude"


def test_stack_of_terrain_corrected_bands():
    bands = {
        "Sigma0_VV": (power(), POWER),
        "Sigma0_VH": (power(seed=2, mean_db=-19), POWER),
        "elevation": (400 + 90 * texture(roughness=2.2), (K.ELEVATION, "")),
        "localIncidenceAngle": (local_incidence(), (K.ANGLE, "")),
        "layoverShadowMask": (classes([0, 1, 2]), (K.CLASS, "")),
    }
    for band, (description, (values, expected)) in enumerate(bands.items()):
        verdict = look_at(values, description=description, descriptions=tuple(bands), band=band, nodata=0)
        assert (verdict.kind, verdict.domain) == expected, description


def test_a_product_that_names_channel_and_scale_is_believed_over_calm_water():
    """Without texture the growth of noise with the level cannot be seen, nor much skewness of many looks."""
    tags = {f"{RTC}_EXPRESSION_CONVENTION": "linear power/intensity"}
    sea = np.random.default_rng(3).gamma(150, 1 / 150, (128, 128)) * 1e-3
    verdict = look_at(sea, dataset_tags=tags, file_name=OPERA.format("VH"))
    assert (verdict.kind, verdict.domain, verdict.treatment.method) == (*POWER, "lossy")


def test_stack_without_descriptions_and_a_data_mask():
    bands = [power(), power(seed=2, mean_db=-19), np.ones((128, 128)), classes([0, 1])]
    verdicts = [
        look_at(values, file_name="response.tiff", descriptions=("",) * 4, band=band)
        for band, values in enumerate(bands)
    ]
    assert [each.treatment.method for each in verdicts] == ["lossy", "lossy", "exact", "exact"]
    assert verdicts[0].certainty is Certainty.GUESS


def test_decibels_under_a_linear_name():
    verdict = look_at(decibels(), description="Sigma0_VV")
    assert (verdict.kind, verdict.domain) == DB and verdict.contradictions
    assert look_at(decibels(), description="VV").domain == "db"
    assert look_at(decibels(), file_name="S1_VV.tif").domain == "db"


@pytest.mark.parametrize(
    "names", [{"description": "VV"}, {"file_name": "S1_VV.tif"}, {"file_name": "sigma0.tif"}]
)
def test_a_log_ratio_under_the_name_of_a_channel_is_kept(names):
    assert look_at(decibels() - decibels(seed=2) - 2.5, **names).treatment.method == "exact"


def test_a_velocity_under_the_name_of_a_channel_is_at_most_a_guess():
    velocity = -12 + 2 * texture() + np.random.default_rng(1).normal(0, 1, (128, 128))
    for names in ({"description": "VV"}, {"file_name": "S1_VV.tif"}):
        assert look_at(velocity, **names).certainty is Certainty.GUESS


def test_linear_values_under_the_name_of_decibels():
    verdict = look_at(power(), description="Sigma0_VV_dB")
    assert (verdict.kind, verdict.domain) == POWER
    assert verdict.certainty is Certainty.GUESS and verdict.contradictions


def test_negative_power_is_kept():
    rng = np.random.default_rng(7)
    q = 0.02 * power()
    for values in (
        q + 0.0007 * rng.gamma(4, 0.25, q.shape) - 0.0007,
        np.where(rng.random(q.shape) < 0.03, -q, q),
    ):
        verdict = look_at(values, description="Sigma0_VH")
        assert (verdict.kind, verdict.domain) == POWER
        assert verdict.treatment.method == "exact" and "negative" in verdict.contradictions[0]


def test_packed_decibels():
    db = decibels()
    packed = look_at(100 * db, "int16", scale=0.01, unit="dB", description="sigma0_VV_dB")
    assert (packed.domain, packed.unit_scale, packed.unit_offset) == ("db", 0.01, 0.0)
    assert packed.certainty is Certainty.CERTAIN
    shifted = look_at((db + 60) / 0.001, "uint16", scale=0.001, offset=-60.0, unit="dB")
    assert (shifted.domain, shifted.unit_scale, shifted.unit_offset) == ("db", 0.001, -60.0)
    eight = look_at((db + 50) * 4, "uint8", scale=0.25, offset=-50.0, description="VV_dB")
    assert (eight.domain, eight.unit_scale) == ("db", 0.25)
    bare = look_at(100 * db, "int16", description="Sigma0_VV_dB")
    assert (bare.domain, bare.unit_scale) == ("db", 0.01) and bare.contradictions
    unnamed = look_at(100 * db, "int16", scale=0.01, file_name="S1_VV.tif")
    assert (unnamed.domain, unnamed.unit_scale) == ("db", 0.01)


def test_packed_linear_values():
    verdict = look_at(1e4 * power(), "uint16", scale=1e-4, description="Sigma0_VV")
    assert (verdict.kind, verdict.domain, verdict.treatment.method) == (*POWER, "lossy")
    offset = look_at(1e4 * power() + 100, "uint16", scale=1e-4, offset=-0.01, description="Sigma0_VV")
    assert offset.treatment.method == "exact" and offset.contradictions


def test_integers_called_intensity_are_digital_numbers_by_a_guess():
    verdict = look_at(900 * np.sqrt(power()), "uint16", description="Intensity_VV")
    assert verdict.domain == "amplitude" and verdict.certainty is Certainty.GUESS
    assert verdict.alternative == "power" and verdict.contradictions


def test_colours_palettes_and_alpha():
    grey = 120 + 40 * texture()
    assert look_at(grey, "uint8", colour="alpha").kind is K.CLASS
    assert look_at(grey, "uint8", categories=True).kind is K.CLASS
    for colour in ("red", "green", "blue"):
        assert look_at(300 * np.sqrt(power()), "uint8", colour=colour).kind is K.PICTURE
    # GDAL calls any three bytes red, green and blue: a name of the band counts more.
    assert look_at(300 * np.sqrt(power()), "uint8", colour="red", description="VV").kind is K.BACKSCATTER


def test_every_kind_but_backscatter_is_exact_or_tightly_bounded():
    for kind, rule in KINDS.items():
        assert (rule.treatment.method == "lossy") is (kind is K.BACKSCATTER)
        assert rule.title and rule.why
        assert (rule.treatment.bound is not None) is (rule.treatment.method == "bound")


@given(st.text(max_size=12), st.text(max_size=12), st.text(max_size=20))
def test_names_never_make_signed_fields_lossy(unit, description, file_name):
    verdict = look_at(SIGNED_FIELD, unit=unit, description=description, file_name=file_name)
    assert verdict.treatment.method != "lossy"


SIGNED_FIELD = covariance()[:32, :64].real.copy()


def test_band_kinds_are_parsed():
    assert parse_band_kinds(["3=phase", " 1 = DB "], 3) == {
        2: BandKind(K.PHASE),
        0: BandKind(K.BACKSCATTER, "db"),
    }
    assert parse_band_kinds(["1=complex_part"], 1) == {0: BandKind(K.COMPLEX_PART)}
    assert parse_band_kinds([], 4) == {}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["phase"], "expected BAND=KIND"),
        (["1=colour"], "coherence"),
        (["0=phase"], "bands 1 to 3"),
        (["4=phase"], "bands 1 to 3"),
        (["x=phase"], "there is no band 'x'"),
        (["²=phase"], "there is no band"),
        (["1=phase", "1=db"], "twice"),
    ],
)
def test_bad_band_kinds_name_what_is_valid(texts, words):
    with pytest.raises(UsageError, match=words):
        parse_band_kinds(texts, 3)
    if "expected" in words:
        with pytest.raises(UsageError) as caught:
            parse_band_kinds(texts, 3)
        assert all(name in str(caught.value) for name in BAND_KINDS)


@given(st.text(max_size=20))
def test_any_band_kind_is_taken_or_refused(text):
    try:
        found = parse_band_kinds([text], 2)
    except UsageError as error:
        assert text in str(error)
    else:
        assert set(found) <= {0, 1}


def test_a_given_kind_decides_and_contradictions_are_told():
    values = wrapped().astype("float32")
    evidence = Evidence("float32", description="wrapped phase")
    forced = detect(evidence, values, given=BandKind(K.BACKSCATTER, "amplitude"))
    assert (forced.kind, forced.domain, forced.treatment.method) == (*AMPLITUDE, "lossy")
    assert any("phase" in each for each in forced.contradictions)
    phase = detect(Evidence("float32"), values, given=BandKind(K.PHASE))
    assert phase.treatment.method == "bound" and phase.certainty is Certainty.CERTAIN


def test_given_decibels_of_integers_and_given_power_with_negatives():
    stored = (100 * decibels()).astype("int16")
    db = detect(Evidence("int16"), stored, given=BandKind(K.BACKSCATTER, "db"))
    assert (db.domain, db.unit_scale) == ("db", 0.01) and any(
        "steps of 0.01" in each for each in db.contradictions
    )
    packed = detect(Evidence("int16", scale=0.01), stored, given=BandKind(K.BACKSCATTER, "db"))
    assert packed.unit_scale == 0.01
    signed = detect(Evidence("float64"), power() - 0.02, given=BandKind(K.BACKSCATTER, "power"))
    assert any("negative" in each for each in signed.contradictions)
