"""Units: which kinds of bands can have them."""

from __future__ import annotations

from dataclasses import dataclass

from sarzip.kinds.kind import Kind

_K = Kind


@dataclass(frozen=True)
class Unit:
    """kinds: what a band with this unit can be, the most probable first. domain: of backscatter."""

    kinds: tuple[Kind, ...]
    domain: str | None = None
    radians: bool = False
    degrees: bool = False


_LENGTH = Unit((_K.SIGNED, _K.ELEVATION, _K.COORDINATE, _K.AUXILIARY))
_RATE = Unit((_K.SIGNED, _K.AUXILIARY))
_RADIAN = Unit((_K.PHASE, _K.ANGLE, _K.COORDINATE, _K.SIGNED), radians=True)
_DEGREE = Unit((_K.ANGLE, _K.COORDINATE, _K.PHASE), degrees=True)
_DAY = Unit((_K.DATE, _K.COUNT, _K.AUXILIARY, _K.COORDINATE))
# SOURCE: units of SNAP bands (esa-snap, Unit.java of eo.engine_utilities): amplitude, intensity,
# amplitude_db, intensity_db, phase, abs_phase, coherence, real, imaginary, meters, radians, deg, bit, class;
# CF conventions and UDUNITS for the others; MintPy's attribute UNIT: m, m/year, radian, 1.
_UNITS: dict[Unit, str] = {
    Unit((_K.BACKSCATTER, _K.SIGNED, _K.AUXILIARY), "db"): (
        "db|decibel|decibels|intensity_db|amplitude_db|intensitydb|dbm2/m2"
    ),
    Unit((_K.BACKSCATTER,), "power"): (
        "intensity|power|linear power|linear_power|m2/m2|m^2/m^2|m2 m-2|m2.m-2|linear intensity"
    ),
    Unit((_K.BACKSCATTER,), "amplitude"): "amplitude|magnitude",
    Unit((_K.BACKSCATTER, _K.COUNT, _K.CLASS, _K.DATE, _K.ANGLE)): "dn|digital number|digital numbers",
    _LENGTH: "m|meter|meters|metre|metres|mm|millimeter|millimeters|millimetre|cm|centimeter|km|ft|feet",
    _RATE: "m/yr|m/year|mm/yr|mm/year|cm/yr|cm/year|m/s|m yr-1|mm yr-1|m s-1|m/day|mm/day|m a-1",
    _RADIAN: "rad|radian|radians|phase|abs_phase|pixels rad",
    _DEGREE: "deg|degree|degrees|°",
    Unit((_K.COORDINATE,)): "degrees_north|degrees_east|degree_north|degree_east|s|ns|second|seconds",
    _DAY: "day|days|yyyymmdd|doy|date|year|years|months|hours",
    Unit((_K.COHERENCE,)): "coherence",
    Unit((_K.COMPLEX_PART, _K.SIGNED)): "real|imaginary|imag",
    Unit((_K.CLASS, _K.COUNT)): "bit|bits|class|classes|flag|flags|mask|boolean|bool",
    Unit((_K.COUNT, _K.COORDINATE, _K.SIGNED)): "count|counts|pixels|pixel|px|looks",
    Unit((_K.AUXILIARY,)): "k|kelvin|celsius|degc|m2|m^2|hpa|pa|%|percent|hz|1/m|rad/m|m-1",
}
_BY_NAME = {name: unit for unit, names in _UNITS.items() for name in names.split("|")}


def read_unit(text: str) -> Unit | None:
    """The unit a text names, or None for none or an unknown one ('1', 'unitless' say nothing)."""
    return _BY_NAME.get(" ".join(text.strip().lower().split()))
