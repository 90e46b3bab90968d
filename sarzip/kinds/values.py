"""What the values themselves say: whether speckle can look like this, and what bands without a name hold."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sarzip.kinds.kind import Certainty, Kind
from sarzip.kinds.statistics import ValueStatistics, tetragamma, trigamma

_K = Kind
# Speckle of one look to a few hundred: ψ'(1) = 1.64 for power down to ψ'(400)/4 for amplitude. Texture within
# windows adds to it: measured up to 1.9 for L-band power over a town.
_LOG_VARIANCE = (trigamma(400.0) / 4, 2.6)
# Horizontal neighbours of speckle differ, even resampled fourfold (measured 0.23 on terrain-corrected
# scenes); elevation models and ellipsoidal angles lie under 0.1.
_SMOOTH = 0.15
# Noise grows with the level. Measured on linear scenes of seven sensors: 0.45 to 1.8; additive noise gives 0.
_MULTIPLICATIVE = 0.4
# Within windows speckle is skewed to the bright side in amplitude (0.1 at 40 looks) and power.
_LEAST_SKEW = 0.1
# dB per natural logarithm of power, times the spread of it at one look and at a few hundred.
_NOISE_DB = (0.15, 9.0)
_LEAST_SPREAD_DB = 1.0
_RANGE_DB = (-120.0, 100.0)
# Without a name only a band that is nearly all negative counts as dB: displacements go either way.
_UNNAMED_NEGATIVE, _UNNAMED_MEDIAN = 0.9, (-40.0, -4.0)
_WRAP_TOLERANCE = 0.02
_SINGLE_LOOK = (0.36, 0.50)


@dataclass(frozen=True)
class Finding:
    """What values without a name are taken for; the fields mean what they do in Verdict."""

    kind: Kind
    certainty: Certainty
    reason: str
    domain: str = ""
    alternative: str = ""


def speckled(stats: ValueStatistics, strict: bool = True) -> bool:
    """Can this be linear backscatter: noise that multiplies, as strong as 1 to 400 looks give?

    strict: for bands without a name. Otherwise only what speckle can never be is refused.
    """
    if stats.negative > 0 or math.isnan(stats.log_variance) or stats.steps < _SMOOTH:
        return False
    low, high = _LOG_VARIANCE
    if not strict:
        return low / 10 <= stats.log_variance <= 2 * high
    slope = math.isnan(stats.noise_slope) or stats.noise_slope > _MULTIPLICATIVE
    return slope and stats.skew > _LEAST_SKEW and low <= stats.log_variance <= high


def decibels(stats: ValueStatistics, scale: float, offset: float, strict: bool = False) -> bool:
    """Can stored·scale + offset be dB? strict: for bands that nobody calls so."""
    low, high = sorted((stats.p01 * scale + offset, stats.p99 * scale + offset))
    noise = stats.noise * abs(scale)
    if not (_RANGE_DB[0] <= low and high <= _RANGE_DB[1]) or noise > _NOISE_DB[1]:
        return False
    if high - low < _LEAST_SPREAD_DB or noise < _NOISE_DB[0] / 5:
        return False
    if not strict:
        # All within 0..1.5: linear data or a fraction, whose whole spread is smaller than a look's.
        return not (stats.minimum * scale + offset >= 0 and high <= 1.5)
    median = stats.median * scale + offset
    inside = _UNNAMED_MEDIAN[0] <= median <= _UNNAMED_MEDIAN[1] and high < 35
    noisy = noise >= _NOISE_DB[0] and stats.steps >= _SMOOTH and stats.skew < 0.35
    negative = stats.negative if (scale, offset) == (1.0, 0.0) else float(high < 10)
    return inside and noisy and negative >= _UNNAMED_NEGATIVE


def looks_linear(stats: ValueStatistics) -> bool:
    """Positive values whose noise multiplies so strongly that they are no positive dB."""
    return speckled(stats) and stats.noise_slope > 0.7 and stats.log_variance > 0.04 and stats.skew > 0.3


def db_shaped(stats: ValueStatistics, scale: float) -> bool:
    """Noise as speckle of 1 to a few hundred looks has in dB."""
    return _NOISE_DB[0] <= stats.noise * abs(scale) <= _NOISE_DB[1] and stats.steps >= _SMOOTH


def noise_subtracted(stats: ValueStatistics) -> bool:
    """Power with the noise taken off, or resampled with overshoot: negative values, but smaller ones."""
    return 0 < stats.negative < 0.7 and stats.mean > 0 and abs(stats.p01) < 0.6 * stats.p99


def amplitude_or_power(stats: ValueStatistics) -> Finding:
    """The more probable domain of linear values that say no more, nearly always as a guess.

    The log of L-look power has variance ψ'(L) and skewness ψ''(L)/ψ'(L)^1.5, that of amplitude a quarter of
    the variance and the same skewness: skewness² over variance is 0.8 to 1 for power, 3.2 to 4 for amplitude,
    and less of both where there is texture. Only single-look amplitude stands alone.
    """
    ratio = stats.log_skew**2 / stats.log_variance if stats.log_variance > 0 else math.nan
    skewed = stats.log_skew < -0.1
    low, high = _SINGLE_LOOK
    if low < stats.log_variance < high and stats.log_skew < -0.7 and stats.steps > 0.9:
        # Power of 2.8 looks has the same variance and a skewness of only -0.62 (ψ'' below).
        expected = tetragamma(1.0) / trigamma(1.0) ** 1.5
        reason = (
            f"log variance {stats.log_variance:.2f} and skewness {stats.log_skew:.2f} are those of "
            f"single-look amplitude (0.41 and {expected:.2f})"
        )
        return Finding(_K.BACKSCATTER, Certainty.LIKELY, reason, "amplitude", "power")
    votes = [
        (1.5 if stats.log_variance > 0.6 else 0.0, "more spread than amplitude speckle has"),
        (-1.5 if skewed and ratio > 1.2 else 0.0, "skewness and variance of the logarithm fit amplitude"),
        (0.5 if skewed and ratio < 0.6 else 0.0, "skewness and variance of the logarithm fit power"),
        (_magnitude(stats), f"median {stats.median:.3g}"),
    ]
    total = sum(vote for vote, _ in votes)
    domain, other = ("power", "amplitude") if total > 0 else ("amplitude", "power")
    why = [text for vote, text in votes if vote * total > 0] or [f"median {stats.median:.3g}"]
    looks = stats.looks_as_power if domain == "power" else stats.looks_as_amplitude
    reason = f"{'; '.join(why)}; {looks:.2g} looks as {domain}"
    return Finding(_K.BACKSCATTER, Certainty.GUESS, reason, domain, other)


def _magnitude(stats: ValueStatistics) -> float:
    """Positive for power. Calibrated power lies at 0.005 to 0.2, its root at 0.07 to 0.45; amplitude as DN at
    10 to 2000, its square above.
    """
    if stats.median < 1:
        return 1.0 if stats.median < 0.15 else -1.0
    return 2.0 if stats.median > 3000 or stats.maximum > 131072 else -1.0


def from_values(stats: ValueStatistics, dtype: str) -> Finding:
    """What a band without any name holds; what is not recognised is unknown."""
    certain, likely, guess = Certainty.CERTAIN, Certainty.LIKELY, Certainty.GUESS
    integers = not dtype.startswith("float")
    if stats.count == 0:
        return Finding(_K.UNKNOWN, certain, "no measured pixels in the sample")
    if stats.distinct == 1:
        return Finding(_K.UNKNOWN, certain, f"one value only, {stats.minimum:.6g}")
    if stats.integer and stats.minimum >= 19000101 and stats.maximum <= 22001231:
        return Finding(_K.DATE, likely, "all values read as dates yyyymmdd")
    if _labels(stats):
        return Finding(_K.CLASS, likely, f"{stats.distinct} different values in large patches")
    if integers:
        return _unnamed_integers(stats, dtype)
    if stats.negative > 0:
        return _unnamed_signed(stats)
    if _ends_at(stats, 0.0, 2 * math.pi):
        return Finding(_K.PHASE, guess, "values end at 0 and 2π")
    if speckled(stats) and not resembles_other(stats):
        return amplitude_or_power(stats)
    if stats.maximum <= 1.0 + 1e-6:
        return Finding(_K.UNKNOWN, guess, "values within 0..1 without speckle", alternative="coherence")
    if stats.steps < _SMOOTH:
        return Finding(_K.UNKNOWN, guess, "a smooth field without speckle")
    if _angle(stats):
        return Finding(_K.UNKNOWN, guess, "values as angles in degrees or positive dB have", alternative="db")
    return Finding(_K.UNKNOWN, guess, "no sign of speckle", alternative="db" if stats.p99 < 120 else "")


def _labels(stats: ValueStatistics) -> bool:
    return stats.distinct <= 16 or (stats.integer and stats.distinct <= 64 and stats.equal > 0.5)


def _unnamed_integers(stats: ValueStatistics, dtype: str) -> Finding:
    guess = Certainty.GUESS
    if stats.negative > 0:
        return Finding(_K.UNKNOWN, guess, f"{dtype} with negative values: parts of complex data, packed dB …")
    if not speckled(stats) or stats.equal > 0.5:
        return Finding(_K.UNKNOWN, guess, f"{dtype} without the noise of speckle")
    if dtype in ("uint16", "int16", "uint8", "int8"):
        # Detected products in 8 or 16 bits are square-rooted to fit.
        # Photographs are smoother than speckle that was not resampled.
        rough = stats.steps > 0.5 and stats.log_variance > 0.01
        if not rough and dtype.endswith("int8"):
            return Finding(_K.UNKNOWN, guess, f"{dtype} as smooth as a photograph")
        sure = rough and dtype.endswith("16") and stats.log_variance < 0.5 and stats.maximum > 255
        reason = f"{dtype} with speckle of {stats.looks_as_amplitude:.2g} looks: digital numbers"
        certainty = Certainty.LIKELY if sure else guess
        return Finding(_K.BACKSCATTER, certainty, reason, "amplitude", "power")
    return amplitude_or_power(stats)


def _unnamed_signed(stats: ValueStatistics) -> Finding:
    if _ends_at(stats, -math.pi, math.pi):
        return Finding(_K.PHASE, Certainty.LIKELY, "values end at -π and π")
    if decibels(stats, 1.0, 0.0, strict=True):
        # Speckle in dB is skewed to the dark side; the noise of other fields is not skewed.
        sure = stats.negative > 0.98 and stats.median < -6 and stats.skew < -0.1
        reason = f"{stats.negative:.0%} negative, median {stats.median:.3g}, noise {stats.noise:.2g} dB"
        certainty = Certainty.LIKELY if sure else Certainty.GUESS
        return Finding(_K.BACKSCATTER, certainty, reason, "db", "signed")
    alternative = "power" if noise_subtracted(stats) else ""
    return Finding(_K.UNKNOWN, Certainty.GUESS, "signed values that need not be dB", alternative=alternative)


def _ends_at(stats: ValueStatistics, low: float, high: float) -> bool:
    near = abs(stats.minimum - low) < _WRAP_TOLERANCE and abs(stats.maximum - high) < _WRAP_TOLERANCE
    return near and stats.minimum >= low - 1e-4 and stats.maximum <= high + 1e-4


def resembles_other(stats: ValueStatistics) -> bool:
    """Values as those of a coherence, an angle in degrees or positive dB."""
    return _fraction(stats) or _angle(stats)


def _fraction(stats: ValueStatistics) -> bool:
    """Within 0..1 and not crowded at the dark end, as coherence, probabilities and scores are."""
    return stats.maximum <= 1.0 + 1e-6 and stats.median > 0.2 and stats.p99 > 0.7 and stats.skew < 0.5


def _angle(stats: ValueStatistics) -> bool:
    """Within 0..90 and away from zero for the most part, as incidence angles and positive dB are."""
    return 10 < stats.median < 75 and stats.maximum <= 90.5 and stats.p01 > 2 and stats.log_variance < 0.1
