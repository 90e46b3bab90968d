"""Names of bands: every kind and every product convention, and that a name alone destroys nothing."""

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

from sarzip.kinds import KINDS, Certainty, Evidence, Kind
from sarzip.kinds.spoken import listen
from sarzip.kinds.words import read_words, tokens

K = Kind
AMPLITUDE, POWER, DB = ((K.BACKSCATTER, domain) for domain in ("amplitude", "power", "db"))


def said(**names: object) -> tuple[Kind | None, str | None]:
    """Kind and domain that the names alone give, the band's own first."""
    heard = listen(Evidence(dtype="float32", **names))  # type: ignore[arg-type]
    claims = [claim for claim in (heard.strong, *heard.weak) if claim is not None]
    if not claims:
        return None, None
    domain = next((c.domain for c in (*claims, *heard.domains) if c.domain), None)
    return claims[0].kind, domain if claims[0].kind is K.BACKSCATTER else None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sigma0_VV_dB", ["sigma0", "vv", "db"]),
        ("Gamma0VVdB", ["gamma0", "vv", "db"]),
        ("localIncidenceAngle", ["local", "incidence", "angle"]),
        ("temporalCoherence", ["temporal", "coherence"]),
        ("gpuned_3DB4_VV", ["gpuned", "3db4", "vv"]),
        ("C12_imag", ["c12", "imag"]),
        ("dataMask", ["data", "mask"]),
    ],
)
def test_tokens(text, words):
    assert tokens(text) == words


@given(st.text(max_size=60))
def test_any_text_is_read(text):
    words = read_words(text)
    assert words.other is None or words.other in KINDS
    assert words.domain in (None, "amplitude", "power", "db")


@given(
    st.sampled_from(["mask", "coherence", "incidence angle", "dem", "date"]),
    st.from_regex(r"[a-z]{2,6}", fullmatch=True),
)
def test_no_substrings(word, more):
    """A name counts as whole words: 'demo' is no elevation model, 'dated' no date."""
    joined = word.split()[0] + more
    if joined not in {" ".join(t) for t in _phrases()}:
        assert read_words(joined).other is None


def _phrases():
    from sarzip.kinds.words import _TABLE

    return _TABLE


@pytest.mark.parametrize(
    ("description", "kind"),
    [
        # SNAP
        ("Sigma0_VV", POWER),
        ("Gamma0_VH_db", DB),
        ("Sigma0_VV_dB", DB),
        ("Beta0_HH", POWER),
        ("Amplitude_VV", AMPLITUDE),
        ("Intensity_VH", POWER),
        ("Intensity_VV_db", DB),
        ("elevation", (K.ELEVATION, None)),
        ("localIncidenceAngle", (K.ANGLE, None)),
        ("projectedLocalIncidenceAngle", (K.ANGLE, None)),
        ("incidenceAngleFromEllipsoid", (K.ANGLE, None)),
        ("layoverShadowMask", (K.CLASS, None)),
        ("latitude", (K.COORDINATE, None)),
        ("Phase_ifg_IW1_VV_12Jan2020_24Jan2020", (K.PHASE, None)),
        ("Unw_Phase_ifg_12Jan2020", (K.PHASE, None)),
        ("coh_IW1_VV_12Jan2020_24Jan2020", (K.COHERENCE, None)),
        ("i_ifg_VV", (K.COMPLEX_PART, None)),
        ("q_VV", (K.COMPLEX_PART, None)),
        ("displacement_VV", (K.SIGNED, None)),
        ("Sigma0_VV_ratio", (K.SIGNED, None)),
        ("VV/VH", (K.SIGNED, None)),
        ("VV-VH", (K.SIGNED, None)),
        # Matrices of PolSARpro and UAVSAR
        ("C11", POWER),
        ("T33", POWER),
        ("C12_real", (K.SIGNED, None)),
        ("T23_imag", (K.SIGNED, None)),
        ("HHHH", POWER),
        ("HHVV", (K.SIGNED, None)),
        ("HVVV_imag", (K.SIGNED, None)),
        ("s12_real", (K.COMPLEX_PART, None)),
        # OPERA and NISAR
        ("numberOfLooks", (K.COUNT, None)),
        ("rtcGammaToSigmaFactor", (K.AUXILIARY, None)),
        ("unwrappedPhase", (K.PHASE, None)),
        ("coherenceMagnitude", (K.COHERENCE, None)),
        ("connectedComponents", (K.CLASS, None)),
        ("connected_component_labels", (K.CLASS, None)),
        ("short_wavelength_displacement", (K.SIGNED, None)),
        ("estimated_phase_quality", (K.AUXILIARY, None)),
        ("los_east", (K.AUXILIARY, None)),
        ("shp_counts", (K.COUNT, None)),
        # Earth Engine, Sentinel Hub, PALSAR mosaics
        ("VV", (K.BACKSCATTER, None)),
        ("angle", (K.ANGLE, None)),
        ("dataMask", (K.CLASS, None)),
        ("shadowMask", (K.CLASS, None)),
        ("scatteringArea", (K.AUXILIARY, None)),
        ("linci", (K.ANGLE, None)),
        ("epoch", (K.DATE, None)),
        ("date", (K.DATE, None)),
        ("qa", (K.CLASS, None)),
        ("VV_stdDev", (K.AUXILIARY, None)),
        ("VV_count", (K.COUNT, None)),
        ("VH_mean", (K.BACKSCATTER, None)),
        # MintPy
        ("velocity", (K.SIGNED, None)),
        ("velocityStd", (K.AUXILIARY, None)),
        ("temporalCoherence", (K.COHERENCE, None)),
        ("maskTempCoh", (K.CLASS, None)),
        ("avgSpatialCoh", (K.COHERENCE, None)),
        ("slantRangeDistance", (K.COORDINATE, None)),
        ("incidenceAngle", (K.ANGLE, None)),
        # Others
        ("amplitude dispersion", (K.AUXILIARY, None)),
        ("NESZ", (K.AUXILIARY, None)),
        ("ENL", (K.COUNT, None)),
        ("log ratio", (K.SIGNED, None)),
        ("land cover", (K.CLASS, None)),
        ("Entropy", (K.AUXILIARY, None)),
        ("Sigma0_VV_std", (K.AUXILIARY, None)),
        ("Band 1", (None, None)),
        ("database", (None, None)),
        ("", (None, None)),
    ],
)
def test_descriptions(description, kind):
    assert said(description=description) == kind


RTC = "PROCESSING_INFORMATION_OUTPUT_BACKSCATTER"
HYP3 = "S1A_IW_20180128T161201_DVP_RTC10_G_{}_{}_{}.tif"
IFG = "S1AA_20200604T022251_20200616T022252_VVP012_INT80_G_ueF_1A2C_{}.tif"
OPERA = "OPERA_L2_RTC-S1_T069-147170-IW1_20231001T000000Z_S1A_30_v1.0_{}.tif"


@pytest.mark.parametrize(
    ("file_name", "kind"),
    [
        (HYP3.format("gpuned", "3DB4", "VV"), POWER),
        (HYP3.format("gduned", "3DA4", "VV"), DB),
        (HYP3.format("sauned", "AAAA", "VH"), AMPLITUDE),
        (HYP3.format("gpuned", "3DB4", "inc_map"), (K.ANGLE, None)),
        (HYP3.format("gpuned", "3DB4", "ls_map"), (K.CLASS, None)),
        (HYP3.format("gpuned", "3DB4", "dem"), (K.ELEVATION, None)),
        (HYP3.format("gpuned", "3DB4", "area"), (K.AUXILIARY, None)),
        (HYP3.format("gpuned", "3DB4", "rgb"), (K.PICTURE, None)),
        (IFG.format("amp"), AMPLITUDE),
        (IFG.format("corr"), (K.COHERENCE, None)),
        (IFG.format("unw_phase"), (K.PHASE, None)),
        (IFG.format("wrapped_phase"), (K.PHASE, None)),
        (IFG.format("los_disp"), (K.SIGNED, None)),
        (IFG.format("lv_theta"), (K.ANGLE, None)),
        (IFG.format("water_mask"), (K.CLASS, None)),
        (IFG.format("conncomp"), (K.CLASS, None)),
        (OPERA.format("VV"), (K.BACKSCATTER, "power")),
        (OPERA.format("mask"), (K.CLASS, None)),
        ("OPERA_L2_RTC-S1-STATIC_T069-147170-IW1_20140403_S1A_30_v1.0_number_of_looks.tif", (K.COUNT, None)),
        ("OPERA_L2_RTC-S1-STATIC_T069_S1A_30_v1.0_rtc_anf_gamma0_to_beta0.tif", (K.AUXILIARY, None)),
        ("OPERA_L2_RTC-S1-STATIC_T069_S1A_30_v1.0_local_incidence_angle.tif", (K.ANGLE, None)),
        ("s1a-iw-grd-vv-20230601t053000-20230601t053025-048800-05de5b-001.tiff", AMPLITUDE),
        ("C11.bin", POWER),
        ("C12_real.bin", (K.SIGNED, None)),
        ("T22.tif", POWER),
        ("CAPELLA_C12_SM_GEO_HH_20220101000000_20220101000005.tif", (K.BACKSCATTER, None)),
        ("ICEYE_X7_GRD_SM_12345_20210101T000000.tif", AMPLITUDE),
        ("2023-01-01-00-00-00_UMBRA-04_GEC.tif", (K.BACKSCATTER, None)),
        ("N35W120_15_sl_HH_F02DAR.tif", (K.BACKSCATTER, None)),
        ("N35W120_15_date_F02DAR.tif", (K.DATE, None)),
        ("N35W120_15_linci_F02DAR.tif", (K.ANGLE, None)),
        ("N35W120_15_mask_F02DAR.tif", (K.CLASS, None)),
        ("SanAnd_05024_18038_006_180730_L090HHVV_CX_01.grd", (K.SIGNED, None)),
        ("SanAnd_05024_18038_006_180730_L090HHHH_CX_01.grd", POWER),
        ("SanAnd_23511_18001_0012d_s01_L090HH_01.cor.grd", (K.COHERENCE, None)),
        ("filt_fine.unw", (K.PHASE, None)),
        ("hgt.rdr", (K.ELEVATION, None)),
        ("lat.rdr", (K.COORDINATE, None)),
        ("incLocal.rdr", (K.ANGLE, None)),
        ("shadowMask.rdr", (K.CLASS, None)),
        ("geo_velocity.tif", (K.SIGNED, None)),
        ("geo_temporalCoherence.tif", (K.COHERENCE, None)),
        ("study_area_VV.tif", (K.BACKSCATTER, None)),
        ("demo.tif", (None, None)),
        ("INT80.tif", (None, None)),
        ("3DB4.tif", (None, None)),
    ],
)
def test_file_names(file_name, kind):
    assert said(file_name=file_name) == kind


def test_two_bands_of_isce():
    two = {"file_name": "filt_fine.unw", "descriptions": ("", "")}
    assert said(band=0, **two) == AMPLITUDE
    assert said(band=1, **two) == (K.PHASE, None)
    assert said(file_name="los.rdr", descriptions=("", ""), band=1)[0] is K.ANGLE


@pytest.mark.parametrize(
    ("tags", "domain"),
    [
        (
            {"PROCESSING_INFORMATION_OUTPUT_BACKSCATTER_EXPRESSION_CONVENTION": "linear power/intensity"},
            "power",
        ),
        (
            {"PROCESSING_INFORMATION_OUTPUT_BACKSCATTER_EXPRESSION_CONVENTION": "linear amplitude"},
            "amplitude",
        ),
        ({"PROCESSING_INFORMATION_OUTPUT_BACKSCATTER_DECIBEL_CONVERSION_EQUATION": "dB = 10*log10(x)"}, None),
        ({"outputBackscatterExpressionConvention": "backscatter intensity (linear)"}, "power"),
        ({"DECIBEL": "no"}, None),
        ({"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD HR L1"}, "amplitude"),
        ({"CALIBRATION_FACTOR": "1.2e-5"}, "amplitude"),
        (
            {"TIFFTAG_IMAGEDESCRIPTION": '{"software": "capella", "image": {"scale_factor": 0.001}}'},
            "amplitude",
        ),
        ({"SOURCE": "db.example", "DB_VERSION": "7"}, None),
    ],
)
def test_dataset_tags_tell_the_domain(tags, domain):
    assert said(description="VV", dataset_tags=tags) == (K.BACKSCATTER, domain)


def test_tags_of_a_product_do_not_make_its_mask_backscatter():
    tags = {f"{RTC}_EXPRESSION_CONVENTION": "linear power/intensity"}
    verdict = look_at(classes([0, 1, 2, 3, 255]), "uint8", dataset_tags=tags, file_name=OPERA.format("mask"))
    assert verdict.kind is K.CLASS and verdict.treatment.method == "exact"
    angle = look_at(local_incidence(), dataset_tags=tags, description="local incidence angle")
    assert angle.kind is K.ANGLE


@pytest.mark.parametrize(
    ("tags", "kind"),
    [
        ({"NITF_ISUBCAT": "Q"}, K.COMPLEX_PART),
        ({"NITF_ISUBCAT": "P"}, K.PHASE),
        ({"long_name": "interferometric coherence"}, K.COHERENCE),
        ({"NETCDF_VARNAME": "connected_component_labels"}, K.CLASS),
        ({"POLARIMETRIC_INTERP": "VV"}, K.BACKSCATTER),
    ],
)
def test_band_tags(tags, kind):
    assert said(band_tags=tags)[0] is kind


@pytest.mark.parametrize(
    ("unit", "description", "kind"),
    [
        ("dB", "", DB),
        ("intensity_db", "Intensity_VV", DB),
        ("dB", "VV minus VH", (K.SIGNED, None)),
        ("dB", "log ratio", (K.SIGNED, None)),
        ("m", "", (K.SIGNED, None)),
        ("m", "height", (K.ELEVATION, None)),
        ("m/year", "velocity", (K.SIGNED, None)),
        ("radian", "", (K.PHASE, None)),
        ("radians", "incidence angle", (K.ANGLE, None)),
        ("degree", "", (K.ANGLE, None)),
        ("degrees_north", "", (K.COORDINATE, None)),
        ("deg", "latitude", (K.COORDINATE, None)),
        ("1", "Sigma0_VV", POWER),
        ("amplitude", "VV", AMPLITUDE),
        ("days", "", (K.DATE, None)),
        ("class", "", (K.CLASS, None)),
    ],
)
def test_units(unit, description, kind):
    assert said(unit=unit, description=description) == kind


def test_unit_and_description_that_contradict_are_reported_and_never_lossy():
    verdict = look_at(ramp(0.1, 40), unit="m", description="Sigma0_VV")
    assert verdict.treatment.method == "exact"
    assert any("different kinds" in each for each in verdict.contradictions)
    assert verdict.certainty is not Certainty.CERTAIN


def test_named_kinds_and_their_treatment():
    cases = [
        (covariance().real, "C12_real", K.SIGNED, "exact"),
        (wrapped(), "wrapped phase", K.PHASE, "bound"),
        (ramp(-40, 90) + texture(), "unwrapped phase", K.PHASE, "bound"),
        (coherence(), "coherence", K.COHERENCE, "bound"),
        (local_incidence(), "local incidence angle", K.ANGLE, "bound"),
        (np.radians(local_incidence()), "incidence", K.ANGLE, "bound"),
        (ramp(44, 45), "latitude", K.COORDINATE, "exact"),
        (400 + 90 * texture(), "elevation", K.ELEVATION, "exact"),
        (0.02 * texture(), "displacement", K.SIGNED, "exact"),
        (decibels() - decibels(seed=2), "log_ratio", K.SIGNED, "exact"),
        (power(), "scattering area", K.AUXILIARY, "exact"),
    ]
    for values, description, kind, method in cases:
        verdict = look_at(values, description=description)
        assert (verdict.kind, verdict.treatment.method) == (kind, method), description
        assert verdict.certainty is Certainty.CERTAIN and not verdict.contradictions, description


def test_bounds_are_in_the_units_of_the_band():
    phase = look_at(wrapped(), description="wrapped phase").treatment
    assert phase.bound == 0.001 and phase.period == pytest.approx(2 * np.pi)
    assert phase.limits == pytest.approx((-np.pi, np.pi)) and phase.limits[1] >= np.float32(np.pi)
    assert look_at(ramp(-40, 90), description="unwrapped phase").treatment.period is None
    degrees = look_at(local_incidence(), unit="degree").treatment
    radians = look_at(np.radians(local_incidence()), description="local incidence angle").treatment
    assert degrees.bound == 0.001 and radians.bound == pytest.approx(np.radians(0.001), rel=0.01)
    assert look_at(coherence(), description="coherence").treatment.limits == (0.0, 1.0)
    # A bound that is no small part of the spread, another unit, or integers: exact.
    assert look_at(30 + 1e-3 * texture(), description="incidence angle").treatment.method == "exact"
    assert look_at(np.degrees(wrapped()), unit="degree", description="phase").treatment.method == "exact"
    for wrong in ("phase", "coherence"):
        assert look_at(0.3 * power(), file_name=f"{wrong}.tif").treatment.method == "exact"
    assert look_at(100 * coherence(), "uint8", description="coherence").treatment.method == "exact"


def test_coherence_out_of_range_is_reported_and_exact():
    verdict = look_at(100 * coherence(), description="coherence")
    assert verdict.kind is K.COHERENCE and verdict.treatment.method == "exact" and verdict.contradictions
