"""A STAC item of a `.sarz`: where and when its scene was taken, by what, and what compression did to it.

STAC 1.1 with the extensions file, projection, raster, processing, and sar and sat where tags or names tell
what they need. What the compression did stands in the asset under names of our own, `sarzip:…`, since no
extension has words for it, and in a sentence in `processing:lineage`. Nothing is guessed: a field that nobody
tells is left out.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime as Time
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urlsplit

from sarzip.container import Header, Reader
from sarzip.container.georeference import IDENTITY, Metadata, Number, decode
from sarzip.errors import UsageError
from sarzip.kinds.acquisition import LOOKS_LIKE, Acquisition, Told, acquisition_of, band_polarization, moment
from sarzip.pipeline.measured_error import BandError
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.raster.info import RasterInfo
from sarzip.system.outputs import (
    STANDARD_STREAM,
    atomic_path,
    check_destination,
    naming,
    refuse_same_file,
)
from sarzip.system.remote import is_url
from sarzip.usecases.coding import asked_of, coding_of

MEDIA_TYPE = "application/vnd.sarzip"
"""Of a `.sarz`; not registered."""
SUFFIX = ".json"
_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
_SHA256 = "1220"  # multihash: the function, and 32 bytes
_BLOCK = 1 << 20
_DTYPES = {
    "complex64": "cfloat32", "complex128": "cfloat64", "complex_int16": "cint16", "complex_int32": "cint32",
}  # fmt: skip
_SAR = {
    "sar:instrument_mode": "mode", "sar:frequency_band": "frequency_band",
    "sar:polarizations": "polarizations", "sar:center_frequency": "center_frequency",
    "sar:product_type": "product_type", "sar:observation_direction": "observation_direction",
}  # fmt: skip
_SAR_NEEDS = ("sar:instrument_mode", "sar:frequency_band", "sar:polarizations")
_SAT = {
    "sat:orbit_state": "orbit_state", "sat:absolute_orbit": "absolute_orbit",
    "sat:relative_orbit": "relative_orbit",
}  # fmt: skip
_COMMON = {"platform": "platform", "constellation": "constellation", "processing:level": "level"}


@dataclass(frozen=True)
class StacOptions:
    """What the file alone does not tell.

    datetime: when the scene was taken, in UTC, 'T' or 'START/END', whatever the tags say. names: the scene
    goes or went by, beside that of the file. errors: measured ones, as compress has them with `verify`.
    """

    datetime: str | None = None
    names: tuple[str, ...] = ()
    errors: tuple[BandError, ...] = ()


def stac_item(path: str | os.PathLike[str], options: StacOptions = StacOptions()) -> dict[str, Any]:
    """The item of a `.sarz` (a path or a URL) as a dictionary for JSON; its asset is taken to lie beside it.

    A scene without georeferencing has the geometry None. Raises InputError, CorruptError, or UsageError
    where nothing tells when the scene was taken, which STAC requires.
    """
    name = str(path)
    with open_seekable(path) as file, naming(name):
        item = item_of(file, name, options)
    return item


def write_item(
    path: str | os.PathLike[str],
    destination: str | os.PathLike[str] | None = None,
    options: StacOptions = StacOptions(),
    force: bool = False,
) -> str:
    """Write the item of a `.sarz`, beside it unless a destination is given ('-': standard output), and say
    where. Errors as stac_item, or OutputError.
    """
    if destination is None:
        if is_url(str(path)):
            raise UsageError(f"{path}: there is no place beside a URL; name the `output`")
        destination = ItemBeside(path).path
    check_destination(destination, force)
    refuse_same_file(path, destination)
    item = stac_item(path, options)
    if not is_url(str(path)) and str(destination) != STANDARD_STREAM:
        folder = Path(destination).parent.resolve()
        there = os.path.relpath(Path(path).resolve(), folder)
        item["assets"]["data"]["href"] = quote(there if there.startswith("..") else f"./{there}")
    with atomic_path(destination, force) as part:
        part.write_text(item_text(item), "utf-8")
    return str(destination)


@dataclass(frozen=True)
class ItemBeside:
    """The item that compress writes beside its output, or that goes beside a `.sarz` later."""

    file: str | os.PathLike[str]
    options: StacOptions = StacOptions()

    @property
    def path(self) -> Path:
        """scene.json beside scene.sarz."""
        return Path(self.file).with_suffix(SUFFIX)

    def check(self, info: RasterInfo) -> tuple[str, ...]:
        """What a person should look at; UsageError, before any work, where there can be no item."""
        taken = acquisition(decode(info.tags, info.count), str(self.file), self.options)
        if taken.time_from.endswith(LOOKS_LIKE) and taken.start is not None:
            return (f"taken at {_text(taken.start)} according to {taken.time_from}; `datetime` decides",)
        return ()

    def text(self, packed: str | os.PathLike[str], errors: tuple[BandError, ...] = ()) -> str:
        """What is written to files, of what lies at `packed` now and will be `file`."""
        with Path(packed).open("rb") as file:
            item = item_of(file, str(self.file), replace(self.options, errors=errors))
        return item_text(item)


def item_of(file: BinaryIO, name: str, options: StacOptions) -> dict[str, Any]:
    """The item of an open file that has, or will have, this name."""
    reader = Reader(file)
    header = reader.header
    meta = decode(header.raster, len(header.bands))
    taken = acquisition(meta, name, options)
    size, sha256 = _measure(file)
    from sarzip.raster.footprint import footprint

    place = footprint(meta, header.width, header.height)
    properties = _when(taken) | _about(taken, _COMMON)
    if taken.instrument:
        properties["instruments"] = [taken.instrument]
    sar, sat = _about(taken, _SAR), _about(taken, _SAT)
    properties |= sar | sat | _projection(meta, header)
    properties["processing:software"] = _software(header, meta)
    coding = coding_of(header, reader.summary, options.errors)
    asked, rmse_db = asked_of(header, reader.summary)
    told = {"asked": asked, "rmse_db": rmse_db}
    scene = {name: value for name, value in told.items() if value is not None}
    properties["processing:lineage"] = _lineage(header, [scene, *(b.facts for b in coding)], options.names)
    href = name if is_url(name) else f"./{quote(_file_name(name))}"
    asset = {
        "href": href, "type": MEDIA_TYPE, "roles": ["data"], "title": "Compressed scene",
        "file:size": size, "file:checksum": _SHA256 + sha256,
        "bands": [_band(meta, header, at) | _own(each.facts) for at, each in enumerate(coding)],
        **_models(header), **_own(scene), **_sampling(meta),
    }  # fmt: skip
    item: dict[str, Any] = {
        "type": "Feature", "stac_version": "1.1.0", "id": Path(_file_name(name)).stem,
        "stac_extensions": [_EXTENSION.format(each) for each in _extensions(sar, sat)],
        "geometry": None if place is None else place.geometry, "properties": properties, "links": [],
        "assets": {"data": asset},
    }  # fmt: skip
    if place is not None:
        item["bbox"] = list(place.bbox)
    return item


def item_text(item: Mapping[str, Any]) -> str:
    """An item as it is written to files."""
    return json.dumps(item, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def acquisition(meta: Metadata, name: str, options: StacOptions) -> Acquisition:
    """What is known of how a scene with these tags was taken; UsageError where that leaves open when."""
    bands = [
        (text or "", tags.get("", {})) for text, tags in zip(meta.descriptions, meta.band_tags, strict=True)
    ]
    names = [_file_name(each) for each in (*options.names, name)]
    found = acquisition_of(Told(meta.tags.get("", {}), bands, names))
    if options.datetime is not None:
        start, end = _given(options.datetime)
        return replace(found, start=start, end=end, time_from="`datetime`")
    if found.start is None:
        written = meta.tags.get("", {}).get("TIFFTAG_DATETIME")
        hint = f" (TIFFTAG_DATETIME {written} is when the file was written)" if written else ""
        raise UsageError(
            f"{(*options.names, name)[0]}: neither tags nor name tell when it was taken, which a STAC item "
            f"needs{hint}; give it as `datetime`"
        )
    return found


# --- parts of an item ---------------------------------------------------------------------------------------


def _given(text: str) -> tuple[Time, Time | None]:
    times = [moment(part) for part in text.split("/")]
    start, end = times[0], times[-1]
    if start is None or end is None or len(times) > 2 or end < start:
        raise UsageError(f"`datetime` {text}: expected a time like 2023-02-12T04:38:35Z, or two as START/END")
    return start, end if len(times) == 2 else None


def _file_name(name: str) -> str:
    """Of a path or a URL, without folders."""
    return Path(unquote(urlsplit(name).path) if is_url(name) else name).name


def _text(time: Time) -> str:
    return time.isoformat().replace("+00:00", "Z")


def _when(taken: Acquisition) -> dict[str, Any]:
    """The middle of the acquisition, as the extension sar wants it, and its ends."""
    assert taken.start is not None
    if taken.end is None:
        return {"datetime": _text(taken.start)}
    middle = taken.start + (taken.end - taken.start) / 2
    return {
        "datetime": _text(middle),
        "start_datetime": _text(taken.start),
        "end_datetime": _text(taken.end),
    }


def _about(taken: Acquisition, fields: Mapping[str, str]) -> dict[str, Any]:
    """Those fields of STAC that are known."""
    values = {name: getattr(taken, field) for name, field in fields.items()}
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value
    }


def _extensions(sar: Mapping[str, Any], sat: Mapping[str, Any]) -> Iterable[str]:
    yield from ("file/v2.1.0", "projection/v2.0.0", "raster/v2.0.0", "processing/v1.1.0")
    if sar:
        # Version 1.1 requires the mode, the frequency band and the polarizations; 1.3 has the same fields.
        yield "sar/v1.1.0" if all(name in sar for name in _SAR_NEEDS) else "sar/v1.3.0"
    if sat:
        yield "sat/v1.1.0"


def _projection(meta: Metadata, header: Header) -> dict[str, Any]:
    found: dict[str, Any] = {"proj:shape": [header.height, header.width]}
    placed = meta.transform != IDENTITY and all(map(math.isfinite, meta.transform))
    if not placed or meta.crs is None:
        return {"proj:code": None, **found}  # as the extension says of scenes with control points
    if "[" not in meta.crs:
        found["proj:code"] = meta.crs
    else:
        from sarzip.raster.metadata import known_crs

        crs = known_crs(meta.crs)
        found |= {"proj:code": None, "proj:wkt2": crs.to_wkt(version="WKT2_2019") if crs else None}
    a, b, c, d, e, f = meta.transform
    found["proj:transform"] = [a, b, c, d, e, f]
    corners = [(u * header.width, v * header.height) for u in (0, 1) for v in (0, 1)]
    x, y = zip(*((a * u + b * v + c, d * u + e * v + f) for u, v in corners), strict=True)
    return found | {"proj:bbox": [min(x), min(y), max(x), max(y)]}


def _sampling(meta: Metadata) -> dict[str, str]:
    point = meta.tags.get("", {}).get("AREA_OR_POINT") == "Point"
    return {"raster:sampling": "point" if point else "area"}


def _software(header: Header, meta: Metadata) -> dict[str, str]:
    """sarzip, and what the tags say made the raster."""
    software = dict([_named(header.creator or "sarzip")])
    before = meta.tags.get("", {}).get("TIFFTAG_SOFTWARE", "").strip()
    return software | (dict([_named(before)]) if before else {})


def _named(text: str) -> tuple[str, str]:
    """'Sentinel-1 IPF 003.71' as name and version."""
    name, _, version = text.rpartition(" ")
    return (name, version) if name and any(each.isdigit() for each in version) else (text, "")


def _band(meta: Metadata, header: Header, at: int) -> dict[str, Any]:
    dtype, nodata = header.bands[at].dtype, meta.nodata[at]
    sent = band_polarization(meta.descriptions[at] or "", meta.band_tags[at].get("", {}))
    found: dict[str, Any] = {
        "name": meta.descriptions[at] or sent or f"band_{at + 1}",
        "data_type": _DTYPES.get(dtype, dtype),
    }
    if sent:
        found["sar:polarizations"] = [sent]
    if nodata is not None:
        found["nodata"] = _plain(nodata)
    if meta.units[at]:
        found["unit"] = meta.units[at]
    packed = meta.scales[at], meta.offsets[at]
    if packed != (1.0, 0.0) and all(map(math.isfinite, packed)):
        found |= {"raster:scale": meta.scales[at], "raster:offset": meta.offsets[at]}
    return found


def _plain(value: Number) -> Number | str:
    """A number, or how STAC writes what JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return int(value) if float(value).is_integer() else value


def _own(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of our own."""
    return {f"sarzip:{name}": value for name, value in facts.items()}


def _models(header: Header) -> dict[str, Any]:
    models = [{"id": model.id, "sha256": model.sha256} for model in header.models]
    return _own({"models": models}) if models else {}


_SAID = (
    ("asked", "{}"),
    ("treatment", "{}"),
    ("max_error_db", "no measurement off by more than {:g} dB"),
    ("max_error", "no measurement off by more than {:g} stored units"),
    ("step_db", "step {:g} dB"),
    ("achieved_error_db", "greatest error {:.4g} dB"),
    ("achieved_error", "greatest error {:.4g} stored units"),
    ("rmse_db", "RMSE {:.4g} dB"),
    ("bias_p95_db", "local bias (95th percentile) {:.3g} dB"),
)


def _lineage(header: Header, told: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    """In a sentence. told: of the scene, then of each band."""
    models = ", ".join(f"{each.id} (SHA-256 {each.sha256})" for each in header.models)
    source = f" from {', '.join(map(_file_name, names))}" if names else ""
    by = f" with {'model' if len(header.models) == 1 else 'models'} {models}" if models else ""
    said = []
    for number, each in enumerate(told):
        facts = [words.format(each[name]) for name, words in _SAID if name in each]
        said.append(f"band {number}: " * (number > 0) + ", ".join(facts))
    return f"Compressed by {header.creator or 'sarzip'}{source}{by}: {'; '.join(filter(None, said))}."


def _measure(file: BinaryIO) -> tuple[int, str]:
    """Size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while block := file.read(_BLOCK):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()
