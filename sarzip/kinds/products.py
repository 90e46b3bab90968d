"""What products are known by: tags that tell of an acquisition, names of files, satellites. Tables only."""

from __future__ import annotations

import re
from dataclasses import dataclass

TAGS: dict[str, tuple[str, ...]] = {
    "start": (
        "acquisition_start_time", "acquisition_start_utc", "zero_doppler_start_time", "start_datetime",
        "collect.start_timestamp", "first_line_time", "sensing_start", "start_time", "ceos_acquisition_time",
        "nitf_idatim", "acquisition_time",
    ),
    "end": (
        "acquisition_stop_time", "acquisition_end_time", "acquisition_end_utc", "zero_doppler_end_time",
        "end_datetime", "collect.stop_timestamp", "last_line_time", "sensing_stop", "stop_time", "end_time",
    ),
    "platform": (
        "mission_id", "collect.platform", "platform", "satellite_identifier", "satellite_name",
        "ceos_mission_id", "mission", "satellite", "spacecraft", "sensor",
    ),
    "mode": (
        "beam_mode", "sar:instrument_mode", "collect.mode", "acquisition_mode", "instrument_mode",
        "imaging_mode", "mode",
    ),
    "product_type": ("product_type", "sar:product_type", "product:type"),
    "polarizations": (
        "polarizations", "polarisations", "sar:polarizations", "polarization", "polarisation", "pol",
        "polarimetric_interp",
    ),
    "frequency_band": ("radar_band", "sar:frequency_band", "frequency_band"),
    "center_frequency": (
        "carrier_frequency", "center_frequency", "sar:center_frequency", "radar_frequency",
        "collect.radar.center_frequency",
    ),
    "observation_direction": (
        "look_direction", "look_side", "sar:observation_direction", "antenna_pointing",
        "collect.radar.pointing",
    ),
    "orbit_state": (
        "orbit_direction", "orbit_pass_direction", "pass_direction", "sat:orbit_state", "orbit_state",
        "collect.state.direction", "ceos_asc_des", "pass",
    ),
    "absolute_orbit": (
        "absolute_orbit_number", "orbit_number", "sat:absolute_orbit", "abs_orbit", "ceos_orbit_number",
    ),
    "relative_orbit": ("track_number", "relative_orbit_number", "sat:relative_orbit", "rel_orbit"),
    "level": ("product_level", "processing_level", "processing:level"),
}  # fmt: skip
"""Fields of an Acquisition, and the tags that tell them, in lower case; the first that does counts.

A tag that is a JSON document counts as its members, with dots: Capella's TIFFTAG_IMAGEDESCRIPTION.
SOURCE: GDAL drivers SAFE, RS2, RCM, SAR_CEOS and NITF (MIL-STD-2500C, IDATIM); OPERA RTC-S1 product
specification; ICEYE (ICEYE_PROPERTIES holds STAC's own names); Capella SAR product format; SNAP's abstracted
metadata.
"""

NAMING_TAGS = ("tifftag_imagedescription", "product_name", "product_id", "product", "granule", "title")
"""Tags whose value may be the name of a product."""

_TIME = r"\d{8}T\d{6}"
_POL = "HH|HV|VH|VV"
NAMES = tuple(
    re.compile(rf"(?<![A-Za-z0-9]){each}", re.IGNORECASE)
    for each in (
        # SOURCE: Sentinel-1 product specification: products, then the files of their measurements.
        rf"(?P<platform>S1[A-D])_(?P<mode>IW|EW|WV|S[1-6])_(?P<product_type>SLC|GRD)[FHM_]_(?P<level>\d)[SA]"
        rf"(?P<transmitted>[SD][HV]|{_POL})_(?P<start>{_TIME})_(?P<end>{_TIME})_(?P<absolute_orbit>\d{{6}})_",
        rf"(?P<platform>S1[A-D])-(?P<mode>IW|EW|WV|S[1-6])\d?-(?P<product_type>SLC|GRD)-"
        rf"(?P<polarizations>{_POL})-(?P<start>{_TIME})-(?P<end>{_TIME})-(?P<absolute_orbit>\d{{6}})-",
        # SOURCE: the same files' TIFFTAG_IMAGEDESCRIPTION, 'Sentinel-1A IW GRD HR L1'.
        r"(?P<platform>Sentinel-1[A-D]) (?P<mode>IW|EW|WV|S[1-6]) (?P<product_type>SLC|GRD) "
        r"(?:[FHM]R )?L(?P<level>\d)",
        # SOURCE: HyP3 RTC product guide.
        rf"(?P<platform>S1[A-D])_(?P<mode>IW|EW|S[1-6])_(?P<start>{_TIME})_(?P<transmitted>[SD][HV])[PRO]_"
        r"(?P<product_type>RTC)\d\d_",
        # SOURCE: OPERA RTC-S1 product specification.
        rf"OPERA_L(?P<level>2)_(?P<product_type>RTC)-S1_T(?P<relative_orbit>\d{{3}})-\d{{6}}-(?P<mode>IW|EW)\d_"
        rf"(?P<start>{_TIME})Z_{_TIME}Z_(?P<platform>S1[A-D])_",
        # SOURCE: pyroSAR's naming scheme: sensor, mode and orbit, padded with '_'.
        rf"(?P<platform>S1[A-D])__(?P<mode>IW|EW|S[1-6])_+(?P<orbit_state>[AD])_(?P<start>{_TIME})",
        # SOURCE: Umbra's open data; ICEYE and Capella product guides.
        r"(?P<start>\d{4}(?:-\d\d){5})_(?P<platform>UMBRA-\d\d)(?:_(?P<product_type>GEC|CSI|SICD|SIDD))?",
        rf"(?P<platform>ICEYE_X\d+)_(?P<product_type>GRD|SLC)_(?P<mode>[A-Z]{{2,5}})_\d+_(?P<start>{_TIME})",
        rf"(?P<platform>CAPELLA_C\d\d)_(?P<mode>S[MPS])_(?P<product_type>GEO|GEC|SLC)_"
        rf"(?P<polarizations>{_POL})_(?P<start>\d{{14}})_(?P<end>\d{{14}})",
        # SOURCE: TerraSAR-X ground segment product specification; RADARSAT-2 product format definition.
        rf"(?P<platform>TSX1|TDX1|PAZ1)_SAR__(?P<product_type>SSC|MGD|GEC|EEC)_[A-Z_]{{4,6}}_"
        rf"(?P<mode>SM|SL|HS|SC|ST|WS)_[A-Z]_[A-Z]RA_(?P<start>{_TIME})_(?P<end>{_TIME})",
        rf"(?P<platform>RS2)_\w+_(?P<mode>[A-Z0-9]+)_(?P<start>\d{{8}}_\d{{6}})_"
        rf"(?P<polarizations>(?:{_POL})(?:_(?:{_POL}))*)_(?P<product_type>SLC|SGF|SGX|SCN|SCW|SSG|SPG)",
    )
)
"""Names of products; the groups are fields of an Acquisition."""

TRANSMITTED = {"SH": ("HH",), "SV": ("VV",), "DH": ("HH", "HV"), "DV": ("VV", "VH")}
"""Sentinel-1's codes of polarizations: single or dual, and what is transmitted."""


@dataclass(frozen=True)
class Satellite:
    """What is fixed by the platform alone. name: of a satellite in STAC's manner, '{}' for its number or
    letter; '' where the words name a constellation only.
    """

    words: re.Pattern[str]
    name: str
    constellation: str = ""
    instrument: str = ""
    band: str = ""


SATELLITES = tuple(
    Satellite(re.compile(rf"(?<![A-Z0-9]){words}(?![A-Z0-9])", re.IGNORECASE), *rest)
    for words, *rest in (
        (r"S(?:entinel)?[-_ ]?1[-_ ]?([A-D])", "sentinel-1{}", "sentinel-1", "c-sar", "C"),
        (r"Sentinel[-_ ]?1", "", "sentinel-1", "c-sar", "C"),
        (r"ICEYE[-_ ]?X(\d+)", "iceye-x{}", "iceye", "", "X"),
        (r"Umbra[-_ ]?(\d+)", "umbra-{}", "umbra", "", "X"),
        (r"Umbra", "", "umbra", "", "X"),
        (r"Capella[-_ ]?C?0*(\d+)", "capella-{}", "capella", "", "X"),
        (r"RCM[-_ ]?([1-3])", "rcm-{}", "rcm", "", "C"),
        (r"(?:RADARSAT[-_ ]?|RS)([12])", "radarsat-{}", "", "", "C"),
        (r"(?:TSX1?|TerraSAR-X)", "terrasar-x", "", "", "X"),
        (r"(?:TDX1?|TanDEM-X)", "tandem-x", "", "", "X"),
        (r"PAZ1?", "paz", "", "", "X"),
        (r"CSKS?([1-4])", "cosmo-skymed-{}", "cosmo-skymed", "", "X"),
        (r"COSMO-SkyMed", "", "cosmo-skymed", "", "X"),
        (r"KOMPSAT-5", "kompsat-5", "", "", "X"),
        (r"ENVISAT(?: ASAR)?", "envisat", "", "asar", "C"),
        (r"ERS[-_ ]?([12])", "ers-{}", "ers", "", "C"),
        (r"ALOS[-_ ]?([24])", "alos-{}", "", "palsar", "L"),
        (r"ALOS", "alos", "", "palsar", "L"),
        (r"JERS[-_ ]?1", "jers-1", "", "", "L"),
        (r"SAOCOM[-_ ]?1([AB])", "saocom-1{}", "saocom-1", "", "L"),
        (r"NovaSAR(?:-1)?", "novasar-1", "", "", "S"),
        (r"UAVSAR", "", "", "uavsar", "L"),
    )
)
"""SOURCE of the bands: STAC's SAR extension, common frequency band names; the missions' own pages."""

FIRST_TRACKS = {"sentinel-1a": 73, "sentinel-1b": 27}
"""Sentinel-1: relative orbit = (absolute orbit - this) mod 175 + 1 (Sentinel-1 product definition)."""
