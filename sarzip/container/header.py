"""What a `.sarz` says about itself before the first pixel: sizes, bands, sets of bands, models, raster tags.

The dataclasses check themselves: a value that the format cannot hold raises InputError. Their JSON form is
in metadata.py.
"""

from __future__ import annotations

import math
import operator
import re
import struct
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sarzip.container import limits
from sarzip.errors import InputError
from sarzip.grid import Grid, Window

INTEGER_RANGES = {
    **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}
"""Integer sample types with their least and greatest value."""

FLOAT_CODES = {"float16": "<e", "float32": "<f", "float64": "<d", "complex64": "<f", "complex128": "<d"}
"""Floating sample types with the struct code of one component."""

COMPLEX_INTEGER_RANGES = {
    "complex_int16": INTEGER_RANGES["int16"],
    "complex_int32": INTEGER_RANGES["int32"],
}

DTYPES = frozenset(INTEGER_RANGES) | frozenset(FLOAT_CODES) | frozenset(COMPLEX_INTEGER_RANGES)

_MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DOMAIN = re.compile(r"[a-z][a-z0-9_]{0,31}")


class FrameAddress(NamedTuple):
    """Which group, set and part a data frame holds, all counted from 0."""

    group: int
    set: int
    part: int


@dataclass(frozen=True)
class ModelRef:
    """A model by its id and the SHA-256 of its weights (64 lower-case hexadecimal digits)."""

    id: str
    sha256: str

    def __post_init__(self) -> None:
        if not _MODEL_ID.fullmatch(self.id):
            raise InputError(f"model id {self.id[:80]!r} is not 1 to 64 letters, digits, '.', '_' or '-'")
        if not _SHA256.fullmatch(self.sha256):
            raise InputError(f"the SHA-256 of model {self.id} is not 64 hexadecimal digits")


@dataclass(frozen=True)
class BandHeader:
    """One band: sample type, radiometric domain and parameters, and the values the mask restores.

    `floor` and `centre` are the parameters of the radiometric transform (centre in dB). `specials[k - 1]` is
    the exact sample value of mask class k; class 0 is valid. All NaNs are one value. `extra` holds further
    parameters of the transform as JSON values.
    """

    dtype: str
    domain: str
    floor: float = 0.0
    centre: float = 0.0
    specials: tuple[int | float, ...] = ()
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise InputError(f"sample type {self.dtype[:80]!r} is not supported")
        if not _DOMAIN.fullmatch(self.domain):
            raise InputError(f"radiometric domain {self.domain[:80]!r} is not a lower-case name")
        _set(self, "floor", _finite(self.floor, "radiometric floor"))
        _set(self, "centre", _finite(self.centre, "radiometric centre"))
        if not 0 <= self.floor <= limits.MAX_FLOOR:
            raise InputError(f"radiometric floor {self.floor:g} is not within 0 to {limits.MAX_FLOOR:g}")
        if abs(self.centre) > limits.MAX_CENTRE_DB:
            raise InputError(f"radiometric centre {self.centre:g} dB is beyond {limits.MAX_CENTRE_DB:g} dB")
        specials = tuple(_special(value, self.dtype) for value in self.specials)
        if len(specials) > limits.MAX_SPECIALS:
            raise InputError(f"{len(specials)} special values in a band exceed {limits.MAX_SPECIALS}")
        if len({repr(value) for value in specials}) != len(specials):
            raise InputError("a special value of a band is listed twice")
        _set(self, "specials", specials)


@dataclass(frozen=True)
class SetHeader:
    """Bands coded together: their indices, the index of their model (None: no model), the step in dB.

    `extra` holds small parameters of the model's family as JSON values.
    """

    bands: tuple[int, ...]
    model: int | None = 0
    step: float = 0.0
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def lossless(self) -> bool:
        """Whether its bands come back bit for bit: models of signals have a step."""
        return self.model is None or (self.step == 0 and "bound" not in self.extra)

    def __post_init__(self) -> None:
        _set(self, "bands", tuple(_integer(band, "band index") for band in self.bands))
        if self.model is not None:
            _set(self, "model", _integer(self.model, "model index"))
        _set(self, "step", _finite(self.step, "step"))
        if not 0 <= self.step <= limits.MAX_STEP_DB:
            raise InputError(f"step {self.step:g} dB is not within 0 to {limits.MAX_STEP_DB:g} dB")


@dataclass(frozen=True)
class Header:
    """Everything before the first data frame.

    Sizes are in pixels; `group` is the side of a group, `parts` the number of frames per group and set.
    `raster` is the raster layer's own JSON and not looked into.
    """

    width: int
    height: int
    bands: tuple[BandHeader, ...]
    sets: tuple[SetHeader, ...]
    models: tuple[ModelRef, ...] = ()
    group: int = 1024
    parts: int = 1
    raster: dict[str, Any] = field(default_factory=dict)
    creator: str = ""

    def __post_init__(self) -> None:
        for name in ("width", "height", "group", "parts"):
            _set(self, name, _integer(getattr(self, name), name))
        for name in ("bands", "sets", "models"):
            _set(self, name, tuple(getattr(self, name)))
        for name, size in (("width", self.width), ("height", self.height)):
            if not 1 <= size <= limits.MAX_DIMENSION:
                raise InputError(f"{name} {size} is not within 1 to {limits.MAX_DIMENSION}")
        if not 0 < self.group <= limits.MAX_GROUP or self.group % limits.GROUP_MULTIPLE:
            raise InputError(f"group side {self.group} is not a multiple of 256 up to {limits.MAX_GROUP}")
        _count(len(self.bands), 1, limits.MAX_BANDS, "bands")
        _count(len(self.models), 0, limits.MAX_MODELS, "models")
        _count(self.parts, 1, limits.MAX_PARTS, "parts")
        if sorted(band for each in self.sets for band in each.bands) != list(range(len(self.bands))):
            raise InputError("the sets do not hold every band exactly once")
        if not all(each.bands for each in self.sets):
            raise InputError("a set holds no band")
        if any(each.model is not None and not 0 <= each.model < len(self.models) for each in self.sets):
            raise InputError("a set names a model that is not listed")
        _count(len(self.creator), 0, limits.MAX_CREATOR, "characters of creator")
        _count(self.frame_count, 1, limits.MAX_FRAMES, "data frames (a larger group side gives fewer)")

    @property
    def grid(self) -> Grid:
        """The groups of the scene."""
        return Grid(self.width, self.height, self.group)

    @property
    def group_count(self) -> int:
        """Number of groups."""
        return self.grid.count

    @property
    def frame_count(self) -> int:
        """Number of data frames: groups x sets x parts."""
        return self.group_count * len(self.sets) * self.parts

    def ordinal(self, group: int, set_index: int = 0, part: int = 0) -> int:
        """Position in the file of the data frame of a group, set and part; IndexError if there is none."""
        if not (0 <= group < self.group_count and 0 <= set_index < len(self.sets) and 0 <= part < self.parts):
            raise IndexError(f"no data frame for group {group}, set {set_index}, part {part}")
        return (group * len(self.sets) + set_index) * self.parts + part

    def address(self, ordinal: int) -> FrameAddress:
        """Group, set and part of a data frame; IndexError if there is none."""
        if not 0 <= ordinal < self.frame_count:
            raise IndexError(f"no data frame {ordinal} in a file with {self.frame_count}")
        rest, part = divmod(ordinal, self.parts)
        group, set_index = divmod(rest, len(self.sets))
        return FrameAddress(group, set_index, part)

    def window(self, group: int) -> Window:
        """Pixels of a group, by its number in raster order; IndexError if there is none."""
        if not 0 <= group < self.group_count:
            raise IndexError(f"no group {group} in a file with {self.group_count}")
        return self.grid.window(*divmod(group, self.grid.columns))

    def content_limit(self, ordinal: int) -> int:
        """Most bytes that the content of data frame `ordinal` may have."""
        address = self.address(ordinal)
        window = self.window(address.group)
        return limits.frame_content_limit(window.rows, window.columns, len(self.sets[address.set].bands))

    def describe_frame(self, ordinal: int) -> str:
        """Where a data frame lies, for messages: 'group 3 (rows 0-1023, columns 1024-2047), set 0'."""
        group, set_index, part = self.address(ordinal)
        place = f"group {group} ({self.window(group)})"
        return f"{place}, set {set_index}" + (f", part {part}" if self.parts > 1 else "")


def _set(instance: object, name: str, value: object) -> None:
    """Normalises a field of a frozen dataclass while it is being made."""
    object.__setattr__(instance, name, value)


def _integer(value: object, what: str) -> int:
    if isinstance(value, bool):
        raise InputError(f"{what} is not an integer")
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{what} is not an integer") from None


def _finite(value: object, what: str) -> float:
    try:
        number = _real(value)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{what} is not a number") from None
    if not math.isfinite(number):
        raise InputError(f"{what} is not finite")
    return number


def _real(value: object) -> float:
    """float() for what is a number; it would also take text."""
    if isinstance(value, (bool, str, bytes)):
        raise TypeError("not a number")
    return float(value)  # type: ignore[arg-type]


def _count(value: int, least: int, most: int, what: str) -> None:
    if not least <= value <= most:
        raise InputError(f"{value} {what}; the format holds {least} to {most}")


def _special(value: object, dtype: str) -> int | float:
    """The special value as int or float, after checking that the sample type can hold it exactly."""
    bounds = INTEGER_RANGES.get(dtype) or COMPLEX_INTEGER_RANGES.get(dtype)
    if bounds:
        number = _integer(value, f"special value {value!r} of a band of type {dtype}")
        if not bounds[0] <= number <= bounds[1]:
            raise InputError(f"special value {number} does not fit {dtype}")
        return number
    try:
        real = _real(value)
        if math.isnan(real):
            return math.nan  # one object for all NaNs, so that headers compare equal
        (back,) = struct.unpack(FLOAT_CODES[dtype], struct.pack(FLOAT_CODES[dtype], real))
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"special value {value!r} does not fit {dtype}") from None
    if back != real or back != value:
        raise InputError(f"special value {value!r} is not exact in {dtype}")
    return real
