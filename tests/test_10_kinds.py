"""Names of bands: every kind and every product convention, and that a name alone destroys nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kinds_scenes import (
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
