"""What is known of a band before anything is decided, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sarzip.kinds.fill import SpecialValue
from sarzip.kinds.kind import Certainty, Kind, Treatment


@dataclass(frozen=True)
class Evidence:
    """What a file says of one band.

    dtype: numpy name. nodata: the declared one. unit, description: of the band. band_tags, dataset_tags: of
    the default domain. file_name: without folders. scale, offset: value = stored·scale + offset. colour:
    GDAL's colour interpretation in lower case ('gray', 'red', 'alpha', 'palette', …). categories: the band
    has named classes or a palette. band: 0-based place; descriptions: of all bands, '' where there is none.
    """

    dtype: str
    nodata: float | int | None = None
    unit: str = ""
    description: str = ""
    band_tags: Mapping[str, str] = field(default_factory=dict)
    dataset_tags: Mapping[str, str] = field(default_factory=dict)
    file_name: str = ""
    scale: float = 1.0
    offset: float = 0.0
    colour: str = ""
    categories: bool = False
    band: int = 0
    descriptions: tuple[str, ...] = ()

    @property
    def packed(self) -> bool:
        """Stored values differ from the measured ones by a scale or an offset."""
        return (self.scale, self.offset) != (1.0, 0.0)


@dataclass(frozen=True)
class Claim:
    """One source's word on a band: `source` in words for a person, `text` what it says.

    domain: of backscatter, or None where the source leaves it open. radians: the unit of an angle.
    """

    kind: Kind
    source: str
    text: str
    domain: str | None = None
    radians: bool = False

    def __str__(self) -> str:
        return f"{self.source} '{self.text}'"


@dataclass(frozen=True)
class Verdict:
    """What a band holds and what is to be done with it.

    domain: 'amplitude', 'power' or 'db' for backscatter, else ''. unit_scale, unit_offset: the measured value
    is stored·unit_scale + unit_offset (dB for db). reason: one line. contradictions: what speaks against it,
    one line each. alternative: the other domain or kind that remains possible, or ''. specials: values that
    are no measurements, or saturated, to be kept exact.
    """

    kind: Kind
    certainty: Certainty
    reason: str
    treatment: Treatment
    domain: str = ""
    unit_scale: float = 1.0
    unit_offset: float = 0.0
    contradictions: tuple[str, ...] = ()
    alternative: str = ""
    specials: tuple[SpecialValue, ...] = ()
