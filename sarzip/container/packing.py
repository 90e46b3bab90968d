"""Packed metadata (FORMAT.md 5.4): JSON deflated with a preset dictionary, and binary values apart from it.

A scene of a few kilobytes has metadata of a few hundred bytes, of which a general compressor finds little to
shorten. The dictionary holds what the JSON of a `.sarz` usually consists of; strings that are base64 (hashes,
ground control points) lie behind the deflated text as the bytes they stand for.
"""

from __future__ import annotations

import zlib
from typing import Any

from sarzip.container import limits
from sarzip.container.jsonsafe import dump_json, load_json
from sarzip.container.metadata_values import from_base64, to_base64
from sarzip.errors import CorruptError, InputError

BINARY_KEY = "$"
"""An object with this key alone, its value a number of bytes, stands for a string of base64. Other keys that
begin with it have it twice."""

_SHORTEST = (11, 40)
"""Shortest strings taken for base64, whichever gives less: short ones may be words of the dictionary."""
_MOST_BINARY = 256
_ALPHABETS = (str.isupper, str.islower, str.isdigit)

DICTIONARY = "".join(
    (
        "UAVSAR ALOS PALSAR ENVISAT ASAR ERS RADARSAT-2 RCM COSMO-SkyMed SAOCOM NISAR ICEYE Capella Umbra T",
        "erraSAR-X TanDEM-X PAZ KOMPSAT-5 Gaofen-3 Stripmap ScanSAR Spotlight TOPS L-band C-band X-band res",
        "ampled geocoded calibrated filtered averaged speckle despeckled decimated radiometric terrain flat",
        'tened corrected terrain-corrected multilooked multilook single-look looks detected complex64 "LINE',
        '_OFF":"","SAMP_OFF":"","LAT_OFF":"","LONG_OFF":"","HEIGHT_OFF":"","LINE_SCALE":"","SAMP_SCALE":"",',
        '"LAT_SCALE":"","LONG_SCALE":"","HEIGHT_SCALE":"","LINE_NUM_COEFF":"","LINE_DEN_COEFF":"",',
        '"SAMP_NUM_COEFF":"","SAMP_DEN_COEFF":"","MIN_LONG":"","MAX_LONG":"","MIN_LAT":"","MAX_LAT":"",',
        '"ERR_BIAS":"","ERR_RAND":"","RPC":{"PROJCS["WGS 84 / UTM zone ",GEOGCS["WGS 84",DATUM["WGS_1984",',
        'SPHEROID["WGS 84",6378137,298.257223563,AUTHORITY["EPSG","7030"]],AUTHORITY["EPSG","6326"]],',
        'PRIMEM["Greenwich",0,AUTHORITY["EPSG","8901"]],UNIT["degree",0.0174532925199433,AUTHORITY["EPSG",',
        '"9122"]],AUTHORITY["EPSG","4326"]],PROJECTION["Transverse_Mercator"],',
        'PARAMETER["latitude_of_origin",0],PARAMETER["central_meridian",],PARAMETER["scale_factor",0.9996],',
        'PARAMETER["false_easting",500000],PARAMETER["false_northing",0],UNIT["metre",1,AUTHORITY["EPSG",',
        '"9001"]],AXIS["Easting",EAST],AXIS["Northing",NORTH]]"STATISTICS_MAXIMUM":"","STATISTICS_MEAN":"",',
        '"STATISTICS_MINIMUM":"","STATISTICS_STDDEV":"","STATISTICS_VALID_PERCENT":"100""TIFFTAG_IMAGEDESCR',
        'IPTION":"Sentinel-1A IW GRD HR L1","TIFFTAG_DATETIME":"20","TIFFTAG_SOFTWARE":"Sentinel-1 IPF 003"',
        ',"TIFFTAG_XRESOLUTION":"1","TIFFTAG_YRESOLUTION":"1","TIFFTAG_RESOLUTIONUNIT":"1 (unitless)",',
        '"ACQUISITION_START_TIME":"20","ACQUISITION_STOP_TIME":"20","MISSION_ID":"S1A","MODE":"IW",',
        '"BEAM_MODE":"IW","BEAM_SWATH":"IW","ORBIT_DIRECTION":"DESCENDING","ASCENDING","ORBIT_NUMBER":"",',
        '"PIXEL_SPACING":"10","LINE_SPACING":"10","PRODUCT_TYPE":"GRD","SATELLITE_IDENTIFIER":"SENTINEL-1",',
        '"SENSOR_IDENTIFIER":"SAR","SWATH":"IW1","POLARISATION":"VV","POLARIZATION":""LAYOUT":"COG",',
        '"OVERVIEW_RESAMPLING":"NEAREST","SOURCE":"","NOTE":"Amplitude_VH_db Amplitude_VV_db Beta0_VV Beta0',
        '_VH "d":["Gamma0_VV","Gamma0_VH"],"d":["Sigma0_VV_db","Sigma0_VH_db"],"d":["Sigma0_VV",',
        '"Sigma0_VH"],"d":["Amplitude_VV","Amplitude_VH"],"d":["Intensity_VV","Intensity_VH"],"d":["VV",',
        '"VH"],"d":["HH","HV"],"u":["dB","dB"],"u":["intensity","amplitude"],"c":[1,0],"c":[3,4,5,6],',
        '"s":[1,1],"o":[0,0],"g":{"n":210,"p":{"$":1500},"w":21,"e":4326},"n":65535,"n":-32768,"n":-9999,',
        '"n":0,"n":"nan","int16","unit":100,"uint8","float64","complex_int16","d":"exact","d":"complex",',
        '"d":"power","f":0.001,"m":null,"x":{"q":"r":{"e":3857,"t":[0.00035932611364780653,0,',
        '"r":{"e":32733,"t":[20,0,5"r":{"e":32633,"t":[10,0,500000,0,-10,"r":{"e":4326,',
        '"t":[8.983152841195215e-05,0,1.5,0,-8.983152841195215e-05,,"m":{"":{"AREA_OR_POINT":"Point",',
        '"m":{"":{"AREA_OR_POINT":"Area","POL":"HH","POL":"VV","POL":"VV+VH",',
        '"PRODUCT":"SLC single-look amplitude float32 intensity linear power, DN uint16 GRDH GEC RTC gamma',
        '0 dB float64 GRD sigma0 dB float32 10m","SENSOR":"Sentinel-1","SOURCE"}}},',
        '"c":"sarzip 0.1.0"}{"w":16685,"h":25788,"g":512,"p":1,{"w":256,"h":256,{"w":1024,"h":1024,',
        '{"w":512,"h":512,"m":[["ae16",{"$":32}]],"m":[["lapped16",{"$":32}]],"b":[{"t":"float32","d":"db",',
        '"c":-12.35,"v":["nan","inf","-inf",0.0]},{"t":"float32","d":"db","c":-18.5,"v":[-9999.0,"nan",',
        '"inf","-inf",0.0]}],"b":[{"t":"float32","d":"power","f":0.0001,"c":43.4,"v":["nan","inf","-inf",',
        '0.0]},"b":[{"t":"uint16","f":0.5,"c":47.3,"v":[0],"x":{"dark":1}},{"t":"uint16","f":0.5,"c":40.8,',
        '"v":[0]}],"s":[{"b":[0],"q":14.1421},{"b":[1],"q":14.1421}],"s":[{"q":1.41421}],"r":{"',
    )
).encode("ascii")


def pack_metadata(value: dict[str, Any]) -> bytes:
    """Packed form of a JSON object; InputError if it is no strict JSON."""
    dump_json(value, limits.MAX_METADATA, "the metadata")
    content = min((_packed(value, shortest) for shortest in _SHORTEST), key=len)
    if len(content) > limits.MAX_METADATA:
        raise InputError("the metadata cannot be stored: too long")
    return content


def _packed(value: dict[str, Any], shortest: int) -> bytes:
    binary: list[bytes] = []
    text = dump_json(_lift(value, binary, shortest, 1), limits.MAX_METADATA, "the metadata")
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, DICTIONARY)
    return b"".join([deflate.compress(text), deflate.flush(), *binary])


def unpack_metadata(content: bytes) -> dict[str, Any]:
    """The JSON object in packed content; CorruptError when a rule is broken.

    At most `limits.MAX_METADATA` bytes of JSON are ever inflated.
    """
    inflate = zlib.decompressobj(-15, DICTIONARY)
    try:
        text = inflate.decompress(content, limits.MAX_METADATA + 1)
    except zlib.error:
        raise CorruptError("metadata: undecodable deflate data") from None
    if len(text) > limits.MAX_METADATA:
        raise CorruptError(f"metadata: inflates to more than {limits.MAX_METADATA} bytes")
    if not inflate.eof:
        raise CorruptError("metadata: the deflate data end early")
    rest = _Binary(inflate.unused_data)
    value = load_json(text, limits.MAX_METADATA, "metadata")
    restored = {_unescaped(key): _restore(item, rest) for key, item in value.items()}
    if not rest.at_end:
        raise CorruptError("metadata: binary values do not fill the content")
    return restored


def _lift(value: Any, binary: list[bytes], shortest: int, level: int) -> Any:
    """`value`, on this level of the JSON, with markers for base64 strings, whose bytes go to `binary`."""
    if isinstance(value, str):
        # A marker is one level deeper than the string, and counts as an object.
        allowed = level <= limits.MAX_JSON_DEPTH and len(binary) < _MOST_BINARY
        raw = _lifted(value) if allowed and len(value) >= shortest else None
        if raw is None:
            return value
        binary.append(raw)
        return {BINARY_KEY: len(raw)}
    if isinstance(value, (list, tuple)):
        return [_lift(item, binary, shortest, level + 1) for item in value]
    if isinstance(value, dict):
        return {_escaped(key): _lift(item, binary, shortest, level + 1) for key, item in value.items()}
    return value


def _escaped(key: Any) -> Any:
    return BINARY_KEY + key if isinstance(key, str) and key.startswith(BINARY_KEY) else key


def _unescaped(key: str) -> str:
    if not key.startswith(BINARY_KEY):
        return key
    if not key.startswith(2 * BINARY_KEY):
        raise CorruptError(f"metadata: a key that begins with a single {BINARY_KEY!r}")
    return key.removeprefix(BINARY_KEY)


def _lifted(text: str) -> bytes | None:
    """The bytes that base64 without padding stands for, None if `text` looks like anything else."""
    if not text.isascii() or not all(any(map(kind, text)) for kind in _ALPHABETS):
        return None
    try:
        raw = from_base64(text)
    except ValueError:
        return None
    return raw if to_base64(raw) == text else None


class _Binary:
    """The bytes behind the deflated text, taken from the front."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._data)

    def take(self, count: object) -> bytes:
        left = len(self._data) - self._at
        if isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= left:
            raise CorruptError("metadata: binary values do not fill the content")
        self._at += count
        return self._data[self._at - count : self._at]


def _restore(value: Any, rest: _Binary) -> Any:
    """`value` with strings in place of markers."""
    if isinstance(value, list):
        return [_restore(item, rest) for item in value]
    if isinstance(value, dict):
        if value.keys() == {BINARY_KEY}:
            return to_base64(rest.take(value[BINARY_KEY]))
        return {_unescaped(key): _restore(item, rest) for key, item in value.items()}
    return value
