"""Conventions of products: the few tags and file names that say what a band holds, each with its source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from sarzip.kinds.evidence import Claim, Evidence
from sarzip.kinds.kind import Kind
from sarzip.kinds.words import Words, read_words, tokens

_K = Kind
_LONGEST_VALUE = 300
_SUFFIXES = re.compile(
    r"\.(tiff?|vrt|img|bin|dat|envi|h5|nc|jp2|ntf|nitf|cos|xml|geo|zip|gz|png|grib|hdr)$", re.I
)

# Tags of one band whose value names it like a description does.
# SOURCE: GDAL netCDF driver (NETCDF_VARNAME, long_name, standard_name); GDAL RS2/RCM/RPF drivers
# (POLARIMETRIC_INTERP); GDAL SAFE driver (POLARISATION, POLARIZATION); Sentinel Hub and STAC exports (name).
_BAND_NAMES = (
    "name", "band_name", "bandname", "description", "long_name", "standard_name", "netcdf_varname",
    "polarimetric_interp", "polarisation", "polarization", "pol", "layer", "layer_name", "file_type",
)  # fmt: skip
# SOURCE: MIL-STD-2500C table A-3, ISUBCATn of SAR imagery and SICD: I and Q parts, magnitude, phase.
_NITF_SUBCATEGORY = {
    "i": Claim(_K.COMPLEX_PART, "tag NITF_ISUBCAT", "I"),
    "q": Claim(_K.COMPLEX_PART, "tag NITF_ISUBCAT", "Q"),
    "m": Claim(_K.BACKSCATTER, "tag NITF_ISUBCAT", "M", "amplitude"),
    "p": Claim(_K.PHASE, "tag NITF_ISUBCAT", "P"),
}
# Tags of a dataset whose *value* tells the radiometry of its backscatter. They stand on masks and angles of
# the same product, too, and therefore never make a band backscatter against its own name.
# SOURCE: opera-adt/RTC src/rtc/h5_prep.py (…BACKSCATTER_EXPRESSION_CONVENTION: 'linear power/intensity');
# isce3 GCOV (outputBackscatterExpressionConvention: 'backscatter intensity (linear)');
# MintPy's attribute FILE_TYPE; Sentinel-1 measurement TIFFs (TIFFTAG_IMAGEDESCRIPTION 'Sentinel-1A IW GRD HR
# L1'); NITF_ISUBCAT as above; the others are what exports of SNAP, pyroSAR and openEO write.
_RADIOMETRY_TAGS = (
    "processing_information_output_backscatter_expression_convention",
    "output_backscatter_expression_convention",
    "outputbackscatterexpressionconvention", "backscatter_expression_convention",
    "backscatter_convention", "backscatter_coefficient", "radiometric_scale", "radiometry", "scaling",
    "backscatter_scale", "backscatter_unit", "data_scale", "measurement_type", "calibration", "product",
    "product_type", "product_level", "data_type_name", "tifftag_imagedescription", "layer", "title",
)  # fmt: skip
# Calibration constants that multiply the square of the stored values, so that these are amplitudes.
# SOURCE: ICEYE product guide (sigma0 = CALIBRATION_FACTOR · DN²); Capella SAR product format specification
# (sigma0 = (scale_factor · DN)², in the JSON of the image description).
_SQUARED = re.compile(r"calibration_factor|scale_factor")
# SOURCE: HyP3 RTC product guide: …_RTCzz_u_defklm_ssss with d = gamma0/sigma0, e = power/decibel/amplitude.
_HYP3_RTC = re.compile(r"_RTC\d\d_[GS]_[gs]([pda])[uw][nf][ec][dm]_[0-9A-F]{4}", re.I)
_HYP3_SCALE = {"p": "power", "d": "db", "a": "amplitude"}
# SOURCE: OPERA RTC-S1 product specification: gamma0 in linear power.
_OPERA_RTC = re.compile(r"OPERA_L2_RTC-S1(-STATIC)?_", re.I)

# SOURCE: HyP3 RTC and InSAR product guides, names of the layers behind the four-digit id.
_HYP3_LAYER = re.compile(r"_[0-9A-F]{4}_([A-Za-z_]+)$")
_HYP3_LAYERS = {
    "area": Claim(_K.AUXILIARY, "file name", "area"),
    "rgb": Claim(_K.PICTURE, "file name", "rgb"),
    "water": Claim(_K.CLASS, "file name", "water"),
    "lv_theta": Claim(_K.ANGLE, "file name", "lv_theta", radians=True),
    "lv_phi": Claim(_K.ANGLE, "file name", "lv_phi", radians=True),
    "inc_map": Claim(_K.ANGLE, "file name", "inc_map", radians=True),
    "inc_map_ell": Claim(_K.ANGLE, "file name", "inc_map_ell", radians=True),
}
# SOURCE: ISCE2 (isceobj/Image): .unw and .cor are two bands, amplitude then phase or correlation; los.rdr has
# incidence, then azimuth; UAVSAR InSAR and polarimetric products (.ann files): one band a file.
_BY_SUFFIX: dict[str, tuple[Claim, ...]] = {
    "unw": (
        Claim(_K.BACKSCATTER, "file name", ".unw, first of two bands", "amplitude"),
        Claim(_K.PHASE, "file name", ".unw"),
    ),
    "cor": (
        Claim(_K.BACKSCATTER, "file name", ".cor, first of two bands", "amplitude"),
        Claim(_K.COHERENCE, "file name", ".cor"),
    ),
    "los": (Claim(_K.ANGLE, "file name", "los"), Claim(_K.ANGLE, "file name", "los")),
    "conncomp": (Claim(_K.CLASS, "file name", ".conncomp"),),
    "hgt": (Claim(_K.ELEVATION, "file name", ".hgt"),),
    "slope": (Claim(_K.AUXILIARY, "file name", ".slope"),),
    "inc": (Claim(_K.ANGLE, "file name", ".inc", radians=True),),
    "amp1": (Claim(_K.BACKSCATTER, "file name", ".amp1", "amplitude"),),
    "amp2": (Claim(_K.BACKSCATTER, "file name", ".amp2", "amplitude"),),
    "cc": (Claim(_K.COHERENCE, "file name", ".cc"),),
    "mli": (Claim(_K.BACKSCATTER, "file name", ".mli", "power"),),
}
# SOURCE: PolSARpro C3, T3, C4, T4 and S2 folders: C11.bin, C12_real.bin, C12_imag.bin.
_MATRIX_FILE = re.compile(r"[CT][1-4][1-4](_(real|imag))?", re.I)
# SOURCE: UAVSAR polarimetric products: _HHHV_CX_01.grd, .mlc.
_CROSS_FILE = re.compile(r"(?:^|[_.])L?\d*([HV]{2})([HV]{2})(?=[_.]|$)")

# Words that stand in names of files for other reasons than to say what these hold.
_VAGUE = frozenset((
    "area", "index", "year", "date", "dates", "change", "samples", "offset", "alpha", "valid",
    "composite", "trend", "difference", "diff", "component", "components", "error", "var", "sd", "cv",
    "preview", "water", "segmentation", "class", "classes", "label", "labels", "cluster", "time", "red",
    "green", "blue", "texture", "corr", "delta", "heading", "aspect", "slope", "epoch",
))  # fmt: skip


def band_tag_claims(evidence: Evidence) -> Iterator[Claim]:
    """What the tags of the band itself say it is."""
    lowered = {key.lower(): value for key, value in evidence.band_tags.items()}
    subcategory = lowered.get("nitf_isubcat", "").strip().lower()
    if subcategory in _NITF_SUBCATEGORY:
        yield _NITF_SUBCATEGORY[subcategory]
    for key in _BAND_NAMES:
        if key in lowered and (claim := read_words(lowered[key][:_LONGEST_VALUE]).claim(f"tag {key}")):
            yield claim
    # SOURCE: MintPy's attribute FILE_TYPE (velocity, temporalCoherence, …) names what the whole file holds.
    file_type = {key.lower(): value for key, value in evidence.dataset_tags.items()}.get("file_type", "")
    if claim := read_words(file_type[:_LONGEST_VALUE]).claim("tag FILE_TYPE"):
        yield claim


def radiometry_claims(evidence: Evidence) -> Iterator[Claim]:
    """What tags of the band or the dataset say of the radiometry, should the band be backscatter."""
    for tags, whose in ((evidence.band_tags, "band tag"), (evidence.dataset_tags, "tag")):
        lowered = {key.lower(): value for key, value in tags.items()}
        for key in _RADIOMETRY_TAGS:
            words = _value_words(lowered.get(key, ""))
            if words.echo:
                yield Claim(_K.BACKSCATTER, f"{whose} {key.upper()}", words.echo_text, words.domain)
        if "calibration_factor" in lowered:
            yield Claim(_K.BACKSCATTER, f"{whose} CALIBRATION_FACTOR", "of squared values", "amplitude")
        image = lowered.get("tifftag_imagedescription", "")
        if "capella" in image.lower() and _SQUARED.search(image):
            yield Claim(_K.BACKSCATTER, f"{whose} TIFFTAG_IMAGEDESCRIPTION", "scale_factor", "amplitude")


def _value_words(value: str) -> Words:
    words = read_words(value[:_LONGEST_VALUE], matrices=False)
    # 'linear power/intensity' and 'linear amplitude': the word beside 'linear' decides.
    if "linear" in words.echo_text and "amplitude" in tokens(value):
        return Words(echo=True, echo_text="linear amplitude", domain="amplitude")
    return words


def file_name_claims(evidence: Evidence) -> Iterator[Claim]:
    """What the name of the file says, a kind other than backscatter first."""
    path = PurePath(evidence.file_name)
    stem = path.name
    while _SUFFIXES.search(stem):
        stem = _SUFFIXES.sub("", stem)
    layer = _HYP3_LAYER.search(stem)
    rtc = _HYP3_RTC.search(stem)
    if layer and layer.group(1).lower() in _HYP3_LAYERS:
        yield _HYP3_LAYERS[layer.group(1).lower()]
        return
    yield from _by_suffix(stem, evidence)
    cross = _CROSS_FILE.search(stem)
    if _MATRIX_FILE.fullmatch(stem) or (cross and cross.group(0)):
        text = stem if cross is None else cross.group(1) + cross.group(2)
        if claim := read_words(text).claim("file name"):
            yield claim
            return
    words = read_words(layer.group(1) if layer else stem, matrices=False)
    if words.other is not None and not (words.echo and words.other_text in _VAGUE):
        yield Claim(words.other, "file name", words.other_text)
    if rtc:
        domain: str | None = _HYP3_SCALE[rtc.group(1).lower()]
        yield Claim(_K.BACKSCATTER, "file name", f"HyP3 scale '{rtc.group(1)}'", domain)
    elif words.echo:
        domain = words.domain or ("power" if _OPERA_RTC.match(stem) else None)
        yield Claim(_K.BACKSCATTER, "file name", words.echo_text, domain)


def _by_suffix(stem: str, evidence: Evidence) -> Iterator[Claim]:
    name, dot, suffix = stem.rpartition(".")
    key = suffix.lower() if dot else ""
    if key in ("rdr", "full"):
        key = tokens(name)[-1] if tokens(name) else ""
    claims = _BY_SUFFIX.get(key, ())
    bands = max(1, len(evidence.descriptions))
    if len(claims) == 2 and bands == 1:
        claims = claims[1:]
    if len(claims) == bands and evidence.band < bands:
        yield claims[evidence.band]
