"""Quality of decoded SAR imagery in SAR terms, and Bjøntegaard rate differences; pure, over arrays."""

from __future__ import annotations

from sarzip.measure.bdrate import NoCurve, bd_rate, interpolate_rate, load_pchip
from sarzip.measure.domains import DOMAINS, Domain, to_amplitude, to_db, to_power
from sarzip.measure.phase import ComplexQuality
from sarzip.measure.quality import Quality, QualityAccumulator, measure_quality, quality_of
from sarzip.measure.strips import Strip

__all__ = [
    "DOMAINS",
    "ComplexQuality",
    "Domain",
    "NoCurve",
    "Quality",
    "QualityAccumulator",
    "Strip",
    "bd_rate",
    "interpolate_rate",
    "load_pchip",
    "measure_quality",
    "quality_of",
    "to_amplitude",
    "to_db",
    "to_power",
]
