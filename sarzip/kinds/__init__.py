"""What a band holds: backscatter in one of three domains, or one of the kinds that must not be coded as such.

Read `kind` for the table of kinds and treatments, then `detect`. `evidence` is what goes in and comes out;
`units`, `words` and `conventions` read names, `statistics` and `values` read pixels, `fill` finds what is no
measurement. Arrays and texts only: no files, no GDAL.
"""

from sarzip.kinds.detect import detect, judge
from sarzip.kinds.evidence import Claim, Evidence, Verdict
from sarzip.kinds.fill import SpecialValue, find_specials
from sarzip.kinds.kind import (
    BAND_KINDS,
    EXACT,
    KINDS,
    LOSSY,
    BandKind,
    Certainty,
    Kind,
    KindRule,
    Treatment,
    parse_band_kinds,
)
from sarzip.kinds.statistics import ValueStatistics, measure

__all__ = [
    "BAND_KINDS",
    "EXACT",
    "KINDS",
    "LOSSY",
    "BandKind",
    "Certainty",
    "Claim",
    "Evidence",
    "Kind",
    "KindRule",
    "SpecialValue",
    "Treatment",
    "ValueStatistics",
    "Verdict",
    "detect",
    "find_specials",
    "judge",
    "measure",
    "parse_band_kinds",
]
