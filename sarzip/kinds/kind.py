"""What a band can hold, and what happens to it by default: one table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from sarzip.errors import UsageError

DOMAINS = ("amplitude", "power", "db")


class Kind(str, Enum):
    """What the pixels of a band mean; the values are the names of `band_kind`."""

    BACKSCATTER = "backscatter"
    SIGNED = "signed"
    PHASE = "phase"
    COHERENCE = "coherence"
    ANGLE = "angle"
    COORDINATE = "coordinate"
    ELEVATION = "elevation"
    CLASS = "class"
    DATE = "date"
    COUNT = "count"
    COMPLEX_PART = "complex-part"
    PICTURE = "picture"
    AUXILIARY = "auxiliary"
    UNKNOWN = "unknown"


class Certainty(str, Enum):
    """How sure a verdict is. GUESS: values alone, or values against names; somebody should look."""

    CERTAIN = "certain"
    LIKELY = "likely"
    GUESS = "guess"

    @property
    def weaker(self) -> Certainty:
        """One step less sure."""
        return Certainty.LIKELY if self is Certainty.CERTAIN else Certainty.GUESS


@dataclass(frozen=True)
class Treatment:
    """How a band is coded: 'lossy' (as backscatter), 'exact' or 'bound'.

    bound: the greatest absolute error, in the stored units of the band. period: errors count modulo this
    (2π for wrapped phase), or None. limits: what a decoded value may not leave where the original did not, or
    None.
    """

    method: str
    bound: float | None = None
    unit: str = ""
    period: float | None = None
    limits: tuple[float, float] | None = None

    def __str__(self) -> str:
        return f"bound {self.bound:.3g} {self.unit}".rstrip() if self.method == "bound" else self.method


LOSSY = Treatment("lossy")
EXACT = Treatment("exact")

# Interferometric phase noise is σ = sqrt((1 − γ²) / (2·L·γ²)) (Rodriguez & Martin 1992): 0.01 rad for a
# coherence γ of 0.99 and 100 looks, as good as it gets. A tenth of it is 4 µm of C-band range.
PHASE_BOUND = 0.001
# The estimate of coherence has σ = (1 − γ²) / sqrt(2·L) (Touzi et al. 1999): 0.014 at γ = 0.9 and 100 looks.
COHERENCE_BOUND = 0.001
# Products state incidence angles to 0.01°, and a DEM of 30 m posting and 1 m error gives local ones to 2°.
# 0.001° at an incidence of 35° changes sin(θ) by 0.0001 dB.
ANGLE_BOUND_DEGREES = 0.001


@dataclass(frozen=True)
class KindRule:
    """A row of the table. treatment: of floating-point bands; integers other than backscatter are exact."""

    title: str
    treatment: Treatment
    why: str


KINDS: dict[Kind, KindRule] = {
    Kind.BACKSCATTER: KindRule(
        "backscatter", LOSSY, "speckle is noise: the codec is made for it, its errors are told in dB"
    ),
    Kind.SIGNED: KindRule(
        "signed field or ratio", EXACT, "displacement, covariance, log ratio: nothing tells their own noise"
    ),
    Kind.PHASE: KindRule(
        "phase",
        Treatment("bound", PHASE_BOUND, "rad"),
        "a tenth of the noise of the best interferograms; wrapped phase counts modulo 2π",
    ),
    Kind.COHERENCE: KindRule(
        "coherence",
        Treatment("bound", COHERENCE_BOUND, "", limits=(0.0, 1.0)),
        "a tenth of the spread of its estimate, and within 0..1 as every estimator has it",
    ),
    Kind.ANGLE: KindRule(
        "angle", Treatment("bound", ANGLE_BOUND_DEGREES, "degree"), "below what any geometry model knows"
    ),
    Kind.COORDINATE: KindRule(
        "coordinate", EXACT, "0.001° of latitude are 100 m: no bound serves degrees, metres and seconds"
    ),
    Kind.ELEVATION: KindRule("elevation", EXACT, "heights feed geocoding; they are smooth and pack well"),
    Kind.CLASS: KindRule("class or mask", EXACT, "labels and flags have no error but a wrong one"),
    Kind.DATE: KindRule("date", EXACT, "a day more is another scene"),
    Kind.COUNT: KindRule("count", EXACT, "numbers of looks or images are labels to their users"),
    Kind.COMPLEX_PART: KindRule(
        "real or imaginary part", EXACT, "an error in one part turns the phase of both"
    ),
    Kind.PICTURE: KindRule(
        "rendered picture", EXACT, "colours and stretched greys are no measurement: speckle rules do not hold"
    ),
    Kind.AUXILIARY: KindRule(
        "auxiliary layer", EXACT, "areas, factors, noise, textures: each with an error budget of its own"
    ),
    Kind.UNKNOWN: KindRule("unknown", EXACT, "what was not recognised is not changed"),
}


def treatment_of(kind: Kind, *, floating: bool, wrapped: bool = False, radians: bool = False) -> Treatment:
    """The default treatment of a band.

    floating: the dtype is a float; integers but backscatter stay exact. wrapped: a phase within one turn.
    radians: the unit of an angle, for the bound is in the units of the data.
    """
    default = KINDS[kind].treatment
    if kind is Kind.BACKSCATTER:
        return LOSSY
    if not floating:
        return EXACT
    if kind is Kind.PHASE and wrapped:
        return Treatment("bound", PHASE_BOUND, "rad", 2 * math.pi)
    if kind is Kind.ANGLE and radians:
        return Treatment("bound", float(f"{math.radians(ANGLE_BOUND_DEGREES):.3g}"), "rad")
    return default


@dataclass(frozen=True)
class BandKind:
    """A kind that a person gave. domain: of backscatter, or None where it is to be found."""

    kind: Kind
    domain: str | None = None


_ALIASES = {
    **{domain: BandKind(Kind.BACKSCATTER, domain) for domain in DOMAINS},
    "mask": BandKind(Kind.CLASS),
    "displacement": BandKind(Kind.SIGNED),
    "covariance": BandKind(Kind.SIGNED),
    "exact": BandKind(Kind.UNKNOWN),
}
BAND_KINDS: dict[str, BandKind] = {**{kind.value: BandKind(kind) for kind in Kind}, **_ALIASES}


def parse_band_kinds(texts: list[str] | tuple[str, ...], count: int) -> dict[int, BandKind]:
    """`["3=phase", "4=db"]` to {2: …, 3: …}: 0-based bands of a raster with `count` bands.

    Raises UsageError that lists the valid kinds, for a malformed text, a band there is not or one twice.
    """
    given: dict[int, BandKind] = {}
    for text in texts:
        band, equals, name = text.partition("=")
        band, name = band.strip(), name.strip().lower().replace("_", "-")
        if not equals or name not in BAND_KINDS:
            raise UsageError(
                f"`band_kind` {text}: expected BAND=KIND, for instance 3=phase, with a kind of "
                + ", ".join(BAND_KINDS)
            )
        if not (band.isascii() and band.isdigit() and len(band) <= 9 and 1 <= int(band) <= count):
            bands = "band 1" if count == 1 else f"bands 1 to {count}"
            raise UsageError(f"`band_kind` {text}: there is no band '{band}'; the raster has {bands}")
        number = int(band) - 1
        if number in given:
            raise UsageError(f"`band_kind` {text}: band {band} is given twice; give each band one kind")
        given[number] = BAND_KINDS[name]
    return given
