"""Tags and names of products: when, by what and how a scene was taken."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.kinds.acquisition import Acquisition, Told, acquisition_of, band_polarization, moment
from sarzip.kinds.products import NAMES, TAGS

SAFE = {
    "ACQUISITION_START_TIME": "2015-07-05T06:42:41.504840", "ACQUISITION_STOP_TIME": "2015-07-05T06:43:06.5",
    "MISSION_ID": "S1A", "SATELLITE_IDENTIFIER": "SENTINEL-1", "SENSOR_IDENTIFIER": "SAR", "BEAM_MODE": "IW",
    "ORBIT_DIRECTION": "DESCENDING", "ORBIT_NUMBER": "6672", "PRODUCT_TYPE": "GRD",
}  # fmt: skip
OPERA = {
    "ZERO_DOPPLER_START_TIME": "2023-10-01T02:08:16.123456Z", "PLATFORM": "Sentinel-1A", "RADAR_BAND": "C",
    "ACQUISITION_MODE": "Interferometric Wide (IW)", "ORBIT_PASS_DIRECTION": "Ascending",
    "PRODUCT_LEVEL": "L2", "TRACK_NUMBER": "69", "ABSOLUTE_ORBIT_NUMBER": "50600",
    "LOOK_DIRECTION": "Right", "PRODUCT_TYPE": "RTC-S1",
}  # fmt: skip
CAPELLA = {
    "product_type": "GEO",
    "collect": {
        "platform": "capella-2", "mode": "stripmap", "start_timestamp": "2021-01-19T11:48:21.123456789Z",
        "stop_timestamp": "2021-01-19T11:48:25Z", "state": {"direction": "descending"},
        "radar": {
            "center_frequency": 9650000000.0, "pointing": "right", "transmit_polarization": "H",
            "receive_polarization": "H",
        },
    },
}  # fmt: skip
ICEYE = {
    "platform": "ICEYE-X7", "sar:instrument_mode": "SM", "sar:polarizations": ["VV"],
    "sar:center_frequency": 9.65, "sar:observation_direction": "left", "sat:orbit_state": "ascending",
    "start_datetime": "2021-05-25T14:59:17Z", "end_datetime": "2021-05-25T14:59:27Z",
}  # fmt: skip
CASES: list[tuple[dict[str, str], str, dict[str, Any]]] = [
    (SAFE, "scene.tif", {
        "platform": "sentinel-1a", "constellation": "sentinel-1", "instrument": "c-sar", "mode": "IW",
        "frequency_band": "C", "product_type": "GRD", "orbit_state": "descending", "absolute_orbit": 6672,
        "relative_orbit": 125,
    }),
    (OPERA, "x.tif", {
        "platform": "sentinel-1a", "mode": "IW", "orbit_state": "ascending", "relative_orbit": 69,
        "observation_direction": "right", "product_type": "RTC", "level": "L2", "end": None,
    }),
    ({"TIFFTAG_IMAGEDESCRIPTION": json.dumps(CAPELLA)}, "a.tif", {
        "platform": "capella-2", "mode": "stripmap", "polarizations": ("HH",), "center_frequency": 9.65,
        "frequency_band": "X", "orbit_state": "descending", "observation_direction": "right",
    }),
    ({"ICEYE_PROPERTIES": json.dumps(ICEYE)}, "a.tif", {
        "platform": "iceye-x7", "mode": "SM", "polarizations": ("VV",), "observation_direction": "left",
        "center_frequency": 9.65, "orbit_state": "ascending",
    }),
    ({}, "S1B_IW_GRDH_1SSH_20180716T004042_20180716T004107_011831_015C5E_1A2B.tif", {
        "platform": "sentinel-1b", "mode": "IW", "product_type": "GRD", "level": "L1",
        "polarizations": ("HH",), "absolute_orbit": 11831, "relative_orbit": 80,
    }),
    ({}, "s1a-iw-grd-vh-20180716t004042-20180716t004107-022812-02792a-002.tiff", {
        "polarizations": ("VH",), "product_type": "GRD", "absolute_orbit": 22812,
    }),
    ({"TIFFTAG_IMAGEDESCRIPTION": "Sentinel-1A IW GRD HR L1"}, "20180716T004042.tif", {
        "platform": "sentinel-1a", "mode": "IW", "product_type": "GRD", "level": "L1",
    }),
    ({}, "S1A_IW_20210705T021430_DVP_RTC30_G_gpuned_FC78_VH.tif", {
        "polarizations": ("VH",), "product_type": "RTC", "mode": "IW",
    }),
    ({}, "OPERA_L2_RTC-S1_T069-147170-IW1_20231001T000000Z_20231002T000000Z_S1A_30_v1.0_VV.tif", {
        "relative_orbit": 69, "mode": "IW", "level": "L2", "polarizations": ("VV",),
    }),
    ({}, "S1A__IW___A_20180829T170656_VV_gamma0-rtc.tif", {"orbit_state": "ascending", "mode": "IW"}),
    ({}, "2023-02-12-04-38-35_UMBRA-04_GEC.tif", {
        "platform": "umbra-04", "product_type": "GEC", "frequency_band": "X", "mode": "",
    }),
    ({}, "ICEYE_X7_GRD_SM_36535_20210525T145917.tif", {"platform": "iceye-x7", "mode": "SM"}),
    ({}, "CAPELLA_C02_SM_GEO_HH_20210119114821_20210119114825.tif", {
        "platform": "capella-2", "polarizations": ("HH",), "product_type": "GEO",
    }),
    ({}, "TDX1_SAR__MGD_SE___SM_S_SRA_20110101T120000_20110101T120008.tif", {
        "platform": "tandem-x", "mode": "SM", "product_type": "MGD", "frequency_band": "X",
    }),
    ({}, "RS2_OK2084_PK24911_DK25857_FQ14_20080415_143807_HH_VV_HV_VH_SLC.tif", {
        "platform": "radarsat-2", "mode": "FQ14", "frequency_band": "C", "product_type": "SLC",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("tags", "name", "expected"), CASES, ids=[name[:30] for _, name, _ in CASES])
def test_products(tags, name, expected) -> None:
    found = acquisition_of(Told(tags, [("", {})], [name]))
    assert {field: getattr(found, field) for field in expected} == expected
    assert found.start is not None and found.start.tzinfo is timezone.utc
    assert found.end is None or found.end >= found.start


def test_every_name_has_a_case() -> None:
    names = [text for tags, name, _ in CASES for text in (name, *tags.values())]
    assert all(any(pattern.search(name) for name in names) for pattern in NAMES)


def test_tags_come_before_names_and_a_bare_time_last() -> None:
    name = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_1A2B.tif"
    told = acquisition_of(Told({"ACQUISITION_START_TIME": "2020-01-01T00:00:00"}, [("", {})], [name]))
    assert told.start == datetime(2020, 1, 1, tzinfo=timezone.utc) and told.platform == "sentinel-1a"
    assert told.end is None  # before the start: of something else
    bare = acquisition_of(Told({}, [("", {})], ["mosaic_20180716T004042_v2.tif"]))
    assert bare.start is not None and "something like a time" in bare.time_from
    assert acquisition_of(Told({}, [("", {})], ["a_20180716T004042_20180717T004042.tif"])) == Acquisition()


def test_relative_orbits_follow_from_absolute_ones() -> None:
    """As in the example of STAC's SAR extension: S1A's orbit 24430 is on track 33."""
    name = "S1A_EW_GRDM_1SSH_20181103T235855_20181103T235955_024430_02AD5D_5616"
    assert acquisition_of(Told({}, [("", {})], [name])).relative_orbit == 33
    other = acquisition_of(Told({}, [("", {})], [name.replace("S1A", "S1C")]))
    assert (other.absolute_orbit, other.relative_orbit) == (24430, None)


def test_nothing_is_made_up() -> None:
    tags = {
        "ACQUISITION_START_TIME": "UNK", "BEAM_MODE": "UNK", "ORBIT_NUMBER": "many", "POL": "VV?",
        "PLATFORM": "an aeroplane", "RADAR_BAND": "7", "CARRIER_FREQUENCY": "fast", "PASS": "no",
        "TIFFTAG_DATETIME": "2018:07:16 00:40:42", "ICEYE_PROPERTIES": "{broken",
    }  # fmt: skip
    assert acquisition_of(Told(tags, [("", {})], ["scene.tif"])) == Acquisition()


def test_polarizations_are_those_of_the_bands() -> None:
    dual = "S1A_IW_GRDH_1SDV_20180716T004042_20180716T004107_022812_02792A_1A2B"
    of = [
        ([("Sigma0_VV", {}), ("Sigma0_VH", {})], ("VV", "VH")),
        ([("", {"POLARISATION": "VH"})], ("VH",)),
        ([("", {}), ("", {})], ("VV", "VH")),
        ([("", {})], ()),  # one of the two, and nobody says which
        ([("Intensity_VH", {}), ("incidence", {})], ("VH",)),
    ]
    for bands, expected in of:
        assert acquisition_of(Told({}, bands, [dual])).polarizations == expected
    assert band_polarization("VV/VH ratio", {}) == "" and band_polarization("HVAC", {}) == ""


@given(st.datetimes(datetime(1978, 1, 1), datetime(2100, 1, 1)))
def test_times_in_all_spellings(time) -> None:
    exact, whole = time.replace(tzinfo=timezone.utc), time.replace(microsecond=0, tzinfo=timezone.utc)
    assert moment(time.isoformat(timespec="microseconds") + "Z") == exact
    assert moment(time.isoformat(" ", timespec="microseconds") + "+00:00") == exact
    assert moment(f"{time:%Y%m%d%H%M%S%f}") == exact
    for spelling in ("%Y%m%dT%H%M%S", "%Y%m%dt%H%M%S", "%Y-%m-%d-%H-%M-%S", "%Y%m%d_%H%M%S"):
        assert moment(time.strftime(spelling)) == whole


@settings(max_examples=80)
@given(
    st.dictionaries(st.sampled_from([key for keys in TAGS.values() for key in keys]), st.text()), st.text()
)
def test_whatever_tags_say(tags, name) -> None:
    found = acquisition_of(Told(tags, [(name, tags)], [name]))
    assert found.frequency_band in ("", "P", "L", "S", "C", "X", "Ku", "K", "Ka")
