"""When, by what and how a scene was taken, as far as tags and names tell; the tables are in `products`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import PurePath
from typing import Any

from sarzip.kinds.products import FIRST_TRACKS, NAMES, NAMING_TAGS, SATELLITES, TAGS, TRANSMITTED

_POLARIZATION = "HH|HV|VH|VV|LH|LV|RH|RV|CH|CV"
_LIST_OF_THEM = re.compile(rf"\W*(?:{_POLARIZATION})(?:[\s+,/;&_'\"-]+(?:{_POLARIZATION}))*[\]'\"\s]*", re.I)
_ONE_OF_THEM = re.compile(rf"(?<![A-Za-z])(?:{_POLARIZATION})(?![A-Za-z])", re.I)
_LAST_OF_NAME = re.compile(r"[_.-]((?:HH|HV|VH|VV)(?:[-+_](?:HH|HV|VH|VV))*)$", re.I)
_BARE_TIME = re.compile(r"(?<!\d)\d{8}T\d{6}(?!\d)", re.I)
LOOKS_LIKE = "which has something like a time in it"
"""What `time_from` ends with where it is no convention of a product."""
_BANDS = ("P", "L", "S", "C", "X", "Ku", "K", "Ka")
_MOST_TEXT = 100_000  # characters of a JSON document in a tag
_FORMATS = (
    "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y%m%dT%H%M%S", "%Y%m%d_%H%M%S", "%Y%m%d%H%M%S",
    "%Y%m%d%H%M%S%f", "%Y-%m-%d-%H-%M-%S", "%d-%b-%Y %H:%M:%S.%f",
)  # fmt: skip


@dataclass(frozen=True)
class Acquisition:
    """What is not told is None, '' or (). Names are as STAC writes them.

    start, end: UTC; end is None where only one moment is known. time_from: what told it. mode: short name of
    the instrument's mode. frequency_band: its letter. center_frequency: GHz. polarizations: of the whole
    scene. level: like L1.
    """

    start: datetime | None = None
    end: datetime | None = None
    time_from: str = ""
    platform: str = ""
    constellation: str = ""
    instrument: str = ""
    mode: str = ""
    product_type: str = ""
    polarizations: tuple[str, ...] = ()
    frequency_band: str = ""
    center_frequency: float | None = None
    observation_direction: str = ""
    orbit_state: str = ""
    absolute_orbit: int | None = None
    relative_orbit: int | None = None
    level: str = ""


@dataclass(frozen=True)
class Told:
    """What a raster tells. tags: of the dataset. bands: of each, its description and its tags. names: of
    files, without folders, the most trusted first.
    """

    tags: Mapping[str, str]
    bands: Sequence[tuple[str, Mapping[str, str]]]
    names: Sequence[str]


def acquisition_of(told: Told) -> Acquisition:
    """What tags tell counts first, then names of products, then a time in the name of a file."""
    found: dict[str, Any] = {}
    for field, value, source in _claims(told):
        # A satellite tells several fields; what a later claim knows better of them stays open.
        for name, each in value.items() if isinstance(value, dict) else [(field, value)]:
            if each not in (None, "", ()) and name not in found:
                found[name] = each
                if name == "start":
                    found["time_from"] = source
    listed, transmitted = found.pop("polarizations", ()), found.pop("transmitted", ())
    found["polarizations"] = _polarizations(told, listed, transmitted)
    if found.get("end") is not None and ("start" not in found or found["end"] < found["start"]):
        del found["end"]
    made = Acquisition(**found)
    first = FIRST_TRACKS.get(made.platform)
    if made.relative_orbit is None and made.absolute_orbit is not None and first is not None:
        made = replace(made, relative_orbit=(made.absolute_orbit - first) % 175 + 1)
    return made


def band_polarization(description: str, tags: Mapping[str, str]) -> str:
    """The one polarization that a band's tags or description name; '' for none and for several."""
    lowered = {key.lower(): value for key, value in tags.items()}
    texts = [lowered[key] for key in TAGS["polarizations"] if key in lowered] + [description]
    for text in texts:
        found = {each.upper() for each in _ONE_OF_THEM.findall(re.sub(r"[_.]", " ", text))}
        if len(found) == 1:
            return found.pop()
    return ""


def moment(text: str) -> datetime | None:
    """A time in UTC, as products write it; None where it is none."""
    text = text.strip().upper().replace(" ", "T", 1) if text[:4].isdigit() else text.strip()
    text = re.sub(r"(Z|\+00:?00)$", "", text)
    text = re.sub(r"(\.\d{6})\d+$", r"\1", text)  # nanoseconds
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    return None


def _claims(told: Told) -> Iterator[tuple[str, Any, str]]:
    """Field, value, and where it stands; the most trusted first."""
    tags = _flat(told.tags)
    for field, keys in TAGS.items():
        for key in keys:
            if key in tags:
                yield field, _PARSERS[field](tags[key]), f"tag {key.upper()}"
    sent, heard = (tags.get(f"collect.radar.{way}_polarization", "") for way in ("transmit", "receive"))
    yield "polarizations", _listed(sent + heard), "tag"
    named = [(tags[key], f"tag {key.upper()}") for key in NAMING_TAGS if key in tags]
    stems = [(_stem(name), f"the name {name}") for name in told.names]
    for text, source in (*named, *stems):
        for match in filter(None, (pattern.search(text) for pattern in NAMES)):
            for field, value in match.groupdict().items():
                yield field, _PARSERS[field]((value or "").upper()), source
    for stem, source in stems:
        if len(times := _BARE_TIME.findall(stem)) == 1:
            yield "start", moment(times[0]), f"{source}, {LOOKS_LIKE}"


def _polarizations(told: Told, listed: tuple[str, ...], transmitted: tuple[str, ...]) -> tuple[str, ...]:
    """Of the bands where they tell it, else of the scene where there can be no other."""
    own = tuple(filter(None, (band_polarization(*band) for band in told.bands)))
    if own:
        return tuple(dict.fromkeys(own))
    ends = (_LAST_OF_NAME.search(_stem(name)) for name in told.names)
    for found in (listed, *(_listed(end.group(1)) for end in ends if end), transmitted):
        if len(found) == len(told.bands):
            return found
    return ()


def _flat(tags: Mapping[str, str]) -> dict[str, str]:
    """Keys in lower case; documents of JSON as their members."""
    out: dict[str, str] = {}
    for key, value in tags.items():
        out.setdefault(key.lower(), value)
        if value.lstrip()[:1] == "{" and len(value) < _MOST_TEXT:
            try:
                for inner, text in _members(json.loads(value)):
                    out.setdefault(inner, text)
            except (ValueError, RecursionError):
                continue
    return out


def _members(value: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        name = f"{place}{key.lower()}"
        if isinstance(each, dict):
            yield from _members(each, f"{name}.")
        elif isinstance(each, list):
            yield name, "+".join(str(item) for item in each if isinstance(item, str))
        elif isinstance(each, (str, int, float)):
            yield name, str(each)


def _stem(name: str) -> str:
    return PurePath(name).stem


# --- what is in the texts -----------------------------------------------------------------------------------


def _satellite(text: str) -> dict[str, str]:
    for each in SATELLITES:
        if match := each.words.search(text):
            name = each.name.format(*(group.lower() for group in match.groups()))
            told = {"platform": name, "constellation": each.constellation, "instrument": each.instrument}
            return told | {"frequency_band": each.band}
    return {}


def _listed(text: str) -> tuple[str, ...]:
    """Polarizations where there is nothing else in the text: 'VV?' is a guess."""
    if not _LIST_OF_THEM.fullmatch(text):
        return ()
    return tuple(dict.fromkeys(each.upper() for each in re.findall(_POLARIZATION, text, re.I)))


def _mode(text: str) -> str:
    """Short where there is a short name: 'Interferometric Wide (IW)'."""
    short = re.search(r"\(([A-Z0-9]+)\)", text)
    found = (short.group(1) if short else text).strip()
    return "" if found.upper() in ("UNK", "UNKNOWN") else found


def _product(text: str) -> str:
    return "" if text.strip().upper() in ("UNK", "UNKNOWN") else text.strip().removesuffix("-S1")


def _state(text: str) -> str:
    return {"a": "ascending", "d": "descending"}.get(text.strip()[:1].lower(), "")


def _side(text: str) -> str:
    return text.strip().lower() if text.strip().lower() in ("left", "right") else ""


def _count(text: str) -> int | None:
    text = text.strip()
    return int(text) or None if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _letter(text: str) -> str:
    return {band.lower(): band for band in _BANDS}.get(text.strip().lower().removesuffix("-band"), "")


def _gigahertz(text: str) -> float | None:
    """GHz of a frequency in Hz, MHz or GHz, which for radars do not overlap."""
    try:
        value = float(text)
    except ValueError:
        return None
    for unit in (1.0, 1e3, 1e9):
        if 0.2 <= value / unit <= 100:
            return float(f"{value / unit:.9g}")
    return None


def _level(text: str) -> str:
    found = re.fullmatch(r"L?(\d[A-C]?)", text.strip(), re.I)
    return f"L{found.group(1).upper()}" if found else ""


_PARSERS: dict[str, Callable[[str], Any]] = {
    "start": moment,
    "end": moment,
    "platform": _satellite,
    "mode": _mode,
    "product_type": _product,
    "polarizations": _listed,
    "transmitted": lambda text: TRANSMITTED.get(text.upper(), _listed(text)),
    "frequency_band": _letter,
    "center_frequency": _gigahertz,
    "observation_direction": _side,
    "orbit_state": _state,
    "absolute_orbit": _count,
    "relative_orbit": _count,
    "level": _level,
}
