"""From evidence and values to a verdict.

Order: unit and description of the band, its tags, the name of the file; tags of the dataset tell the domain
only, for they stand on the masks of a product as well. The values are always asked: where they contradict a
name, the verdict says so and is less sure, and where the name would destroy data, the values win. A band is
coded with loss only if something calls it backscatter and the values can be that, or if nothing names it and
the values have speckle.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.kinds.evidence import Claim, Evidence, Verdict
from sarzip.kinds.fill import SpecialValue, find_specials
from sarzip.kinds.kind import EXACT, BandKind, Certainty, Kind, Treatment, treatment_of
from sarzip.kinds.spoken import listen
from sarzip.kinds.statistics import ValueStatistics, measure
from sarzip.kinds.treat import bounded, objection_to, span
from sarzip.kinds.units import read_unit
from sarzip.kinds.values import (
    Finding,
    amplitude_or_power,
    db_shaped,
    decibels,
    from_values,
    looks_linear,
    noise_subtracted,
    resembles_other,
    speckled,
)

_NO_MEASUREMENT = ("alpha", "palette")
_COLOURS = ("red", "green", "blue", "cyan", "magenta", "yellow", "black", "hue", "saturation", "lightness")
# A logarithm knows no negative values: more of them than this are kept by coding the band exactly.
_MOST_NEGATIVE = 1e-3
_PACKED_STEPS = (0.1, 0.01, 0.001)


def detect(
    evidence: Evidence,
    sample: NDArray[Any],
    measured: NDArray[np.bool_] | None = None,
    given: BandKind | None = None,
) -> Verdict:
    """What a band holds.

    sample: (rows, columns) pixels as stored, rows of neighbours, any real dtype. measured: same shape, False
    for pixels known to be none (a mask); nodata, NaN and inf need not be in it. given: a person's word, which
    decides kind and domain; contradictions are still reported.
    """
    specials = find_specials(sample if measured is None else _blanked(sample, measured), evidence.nodata)
    with np.errstate(over="ignore"):
        valid = _measured(sample, specials)
    if measured is not None:
        valid &= measured
    stats = measure(sample, valid)
    verdict = judge(evidence, stats) if given is None else _as_given(evidence, stats, given)
    return replace(verdict, specials=specials)


def judge(evidence: Evidence, stats: ValueStatistics) -> Verdict:
    """The verdict from evidence and statistics of the measured values alone."""
    return _Judge(evidence, stats).verdict()


def _blanked(sample: NDArray[Any], measured: NDArray[np.bool_]) -> NDArray[Any]:
    """Rows of the sample with at least half their pixels measured, or all of it; fill is told by runs."""
    keep = 2 * np.count_nonzero(measured, axis=1) >= measured.shape[1]
    return sample[keep] if keep.any() and not keep.all() else sample


def _measured(sample: NDArray[Any], specials: tuple[SpecialValue, ...]) -> NDArray[np.bool_]:
    floating = sample.dtype.kind == "f"
    valid = np.isfinite(sample) if floating else np.ones(sample.shape, np.bool_)
    for special in specials:
        valid &= sample != sample.dtype.type(special.value)
    return valid


class _Judge:
    def __init__(self, evidence: Evidence, stats: ValueStatistics) -> None:
        self._evidence = evidence
        self._stats = stats
        self._spoken = listen(evidence)
        self._against = list(self._spoken.clashes)

    def verdict(self) -> Verdict:
        evidence, stats, spoken = self._evidence, self._stats, self._spoken
        if evidence.colour in _NO_MEASUREMENT or evidence.categories:
            what = evidence.colour if evidence.colour in _NO_MEASUREMENT else "categories"
            return self._exact(Kind.CLASS, Certainty.CERTAIN, f"the file gives the band {_article(what)}")
        if spoken.strong is not None:
            if spoken.strong.kind is not Kind.BACKSCATTER:
                return self._other(spoken.strong, Certainty.CERTAIN)
            return self._backscatter(spoken.strong, strong=True)
        if evidence.colour in _COLOURS and evidence.dtype == "uint8":
            return self._exact(
                Kind.PICTURE, Certainty.LIKELY, f"8-bit band with the colour {evidence.colour}"
            )
        for claim in spoken.weak:
            if claim.kind is not Kind.BACKSCATTER:
                return self._other(claim, Certainty.LIKELY)
        found = from_values(stats, evidence.dtype)
        named = next(iter(spoken.weak + spoken.domains), None)
        if named is not None and found.kind in (Kind.UNKNOWN, Kind.BACKSCATTER):
            return self._backscatter(named, strong=False)
        if named is not None:
            self._against.append(f"{named} says backscatter, but {found.reason}")
        return self._unnamed(found)

    def _unnamed(self, found: Finding) -> Verdict:
        certainty = found.certainty.weaker if self._against else found.certainty
        if found.kind is Kind.BACKSCATTER:
            if self._evidence.packed and found.domain != "db":
                return self._exact(
                    Kind.UNKNOWN, Certainty.GUESS, "packed by scale and offset, and without a name"
                )
            return self._lossy(found.domain, certainty, f"no name; {found.reason}", found.alternative)
        if found.kind is Kind.UNKNOWN and self._evidence.packed:
            scale, offset = self._evidence.scale, self._evidence.offset
            if decibels(self._stats, scale, offset, strict=True):
                reason = "no name; unpacked by scale and offset the values are as dB"
                return self._lossy("db", Certainty.GUESS, reason, "signed")
        return self._exact(found.kind, certainty, f"no name; {found.reason}", found.alternative)

    def _other(self, claim: Claim, certainty: Certainty) -> Verdict:
        """A band that a name calls something else than backscatter."""
        stats = self._stats
        treatment = bounded(claim, self._spoken.unit, self._evidence, stats)
        objection = objection_to(claim.kind, self._evidence, stats)
        if objection:
            self._against.append(f"{claim} says {claim.kind.value}, but {objection}")
            treatment = EXACT
        return self._done(claim.kind, certainty, str(claim), treatment)

    def _backscatter(self, claim: Claim, strong: bool) -> Verdict:
        """A band that a name calls backscatter: its domain, if the values can be that."""
        stats, evidence = self._stats, self._evidence
        if stats.count == 0 or stats.distinct == 1:
            found = from_values(stats, evidence.dtype)
            return self._exact(Kind.BACKSCATTER, Certainty.LIKELY, f"{claim}; {found.reason}")
        if stats.distinct <= 16:
            self._against.append(f"{claim} says backscatter, but it has {stats.distinct} different values")
            return self._exact(Kind.CLASS, Certainty.GUESS, f"{stats.distinct} different values")
        sure = Certainty.CERTAIN if strong else Certainty.LIKELY
        domain, source = self._named_domain(claim)
        if domain == "db":
            return self._named_decibels(claim, source, sure, strong)
        if stats.negative > 0:
            return self._negative(claim, domain, sure, strong)
        if objection := self._no_speckle(claim, domain, strong):
            self._against.append(f"{claim} says backscatter, but {objection}")
            eight = evidence.dtype in ("uint8", "int8")
            kind, what = (
                (Kind.PICTURE, "8-bit values of an unknown stretch") if eight else (Kind.UNKNOWN, objection)
            )
            return self._exact(kind, Certainty.GUESS, what)
        return self._named_linear(claim, domain, source, sure)

    def _no_speckle(self, claim: Claim, domain: str | None, strong: bool) -> str:
        """Why the values are not taken for linear backscatter, or nothing.

        Who names a domain is believed. A mere channel ('VV') or a file of several bands needs values that
        look like it, for coherence and angles are found under such names.
        """
        stats, evidence = self._stats, self._evidence
        if speckled(stats):
            return ""
        alone = len(evidence.descriptions) < 2
        if evidence.dtype in ("uint8", "int8") and claim.domain is None and domain != "amplitude":
            return "8-bit values whose noise does not grow with the level"
        if strong and claim.domain is not None:
            return ""
        if not speckled(stats, strict=False):
            return "the values have no speckle"
        if resembles_other(stats):
            return "the values are rather those of a coherence or an angle"
        if not strong and (domain is None or not alone or claim in self._spoken.domains):
            return "the noise does not grow with the level"
        return ""

    def _named_domain(self, claim: Claim) -> tuple[str | None, Claim]:
        for each in (claim, *self._spoken.weak, *self._spoken.domains):
            if each.kind is Kind.BACKSCATTER and each.domain is not None:
                return each.domain, each
        return None, claim

    def _named_decibels(self, claim: Claim, source: Claim, sure: Certainty, strong: bool) -> Verdict:
        stats, evidence = self._stats, self._evidence
        scale, offset = evidence.scale, evidence.offset
        if not evidence.packed and evidence.dtype in ("uint8", "int8"):
            self._against.append(f"{source} says dB, but {evidence.dtype} without a scale is a picture of it")
            return self._exact(Kind.PICTURE, Certainty.GUESS, "8-bit values of an unknown stretch")
        if not evidence.packed and (step := _decibel_step(stats)) != 1.0:
            scale = step
            self._against.append(_stepped(stats, step))
        linear = not evidence.packed and stats.negative == 0 and looks_linear(stats)
        fits = decibels(stats, scale, offset) and not linear
        # Names of files hold for all their bands: an angle beside dB is positive and noisy, too.
        alone = len(evidence.descriptions) < 2
        shaped = db_shaped(stats, scale) and (alone or stats.median * scale + offset < 0)
        if fits and (strong or shaped):
            sure = sure.weaker if self._against else sure
            return self._lossy("db", sure, _both(claim, source), "", scale, offset)
        self._against.append(f"{source} says dB, but the values from {span(stats)} cannot be")
        if speckled(stats) and not evidence.packed:
            found = amplitude_or_power(stats)
            return self._lossy(found.domain, Certainty.GUESS, found.reason, found.alternative)
        return self._exact(Kind.UNKNOWN, Certainty.GUESS, "values that dB cannot have")

    def _negative(self, claim: Claim, domain: str | None, sure: Certainty, strong: bool) -> Verdict:
        """Linear by name, with negative values: dB after all, or noise subtracted, or something else."""
        stats, evidence = self._stats, self._evidence
        if self._decibels_by_values(claim, strong):
            if domain is not None:
                self._against.append(
                    f"{stats.negative:.0%} negative values are dB, not {domain} ('{claim.text}')"
                )
            # Only speckle is skewed to the dark side in dB; velocities and ratios come under such names, too.
            sure = Certainty.LIKELY if db_shaped(stats, evidence.scale) else Certainty.GUESS
            certainty = sure if stats.skew < -0.1 or (strong and domain is not None) else Certainty.GUESS
            reason = f"{claim}; negative values, median {stats.median * evidence.scale + evidence.offset:.3g}"
            return self._lossy("db", certainty, reason, "", evidence.scale, evidence.offset)
        share = f"{stats.negative:.2%} of the values are negative"
        if domain != "amplitude" and noise_subtracted(stats):
            self._against.append(f"{share}: noise subtracted or resampled power")
            if stats.negative > _MOST_NEGATIVE:
                reason = f"{claim}; power with {stats.negative:.2%} negative values, which a logarithm loses"
                return self._done(Kind.BACKSCATTER, sure.weaker, reason, EXACT, "power")
            return self._lossy("power", sure.weaker, str(claim))
        self._against.append(f"{claim} says {domain or 'backscatter'}, but {share}")
        return self._exact(Kind.UNKNOWN, Certainty.GUESS, "signed values that no backscatter has")

    def _decibels_by_values(self, claim: Claim, strong: bool) -> bool:
        """Values that only dB explains although the name says sigma0 or VV; the less it says, the more the
        values must.
        """
        stats, evidence = self._stats, self._evidence
        if not strong:
            return decibels(stats, evidence.scale, evidence.offset, strict=True)
        if stats.integer and not evidence.packed and stats.minimum < -120:
            return False
        median = stats.median * evidence.scale + evidence.offset
        scale = abs(evidence.scale)
        negative = stats.negative if not evidence.packed else float(median < 0)
        noisy = stats.noise * scale >= 0.1 or math.isnan(stats.noise)
        enough = (
            negative > 0.5 and median < -2 if claim.domain is not None else negative > 0.7 and median < -3
        )
        return enough and noisy and decibels(stats, evidence.scale, evidence.offset)

    def _named_linear(self, claim: Claim, domain: str | None, source: Claim, sure: Certainty) -> Verdict:
        stats, evidence = self._stats, self._evidence
        reason = _both(claim, source)
        if evidence.packed and evidence.offset:
            if domain is None and self._decibels_by_values(claim, strong=True):
                return self._lossy("db", Certainty.GUESS, reason, "", evidence.scale, evidence.offset)
            self._against.append(
                f"packed with an offset of {evidence.offset:.6g}, which linear values have not"
            )
            return self._exact(
                Kind.UNKNOWN, Certainty.GUESS, f"{claim}; packed with an offset, and not as dB"
            )
        small = np.dtype(evidence.dtype).kind in "iu" and np.dtype(evidence.dtype).itemsize <= 2
        alternative = ""
        if small and domain != "amplitude" and not evidence.packed:
            # Detected products in 8 or 16 bits are square-rooted to fit, whatever the band was called before.
            if domain == "power":
                self._against.append(
                    f"{source} says power, but {evidence.dtype} holds square roots as a rule"
                )
                sure, alternative = Certainty.GUESS, "power"
            return self._lossy("amplitude", sure, f"{reason}; {evidence.dtype} digital numbers", alternative)
        if domain is None:
            found = amplitude_or_power(stats)
            return self._lossy(found.domain, found.certainty, f"{claim}; {found.reason}", found.alternative)
        other = "power" if domain == "amplitude" else "amplitude"
        if not speckled(stats, strict=False):
            self._against.append(f"{source} says {domain}, but the values have no speckle")
            sure = sure.weaker
        elif domain == "amplitude" and stats.log_variance > 1.2:
            self._against.append(f"a log variance of {stats.log_variance:.2f} is much for amplitude")
            sure, alternative = sure.weaker, other
        return self._lossy(domain, sure, reason, alternative)

    def _lossy(
        self,
        domain: str,
        certainty: Certainty,
        reason: str,
        alternative: str = "",
        scale: float | None = None,
        offset: float | None = None,
    ) -> Verdict:
        made = self._done(
            Kind.BACKSCATTER,
            certainty,
            reason,
            treatment_of(Kind.BACKSCATTER, floating=True),
            domain,
            alternative,
        )
        if scale is None or offset is None:
            return made
        return replace(made, unit_scale=scale, unit_offset=offset)

    def _exact(self, kind: Kind, certainty: Certainty, reason: str, alternative: str = "") -> Verdict:
        return self._done(kind, certainty, reason, EXACT, "", alternative)

    def _done(
        self,
        kind: Kind,
        certainty: Certainty,
        reason: str,
        treatment: Treatment,
        domain: str = "",
        alternative: str = "",
    ) -> Verdict:
        if self._against and certainty is Certainty.CERTAIN:
            certainty = Certainty.LIKELY
        return Verdict(
            kind,
            certainty,
            reason,
            treatment,
            domain,
            self._evidence.scale,
            self._evidence.offset,
            tuple(self._against),
            alternative,
        )


def _decibel_step(stats: ValueStatistics) -> float:
    """dB per integer, where integers are too low to be dB themselves and no scale is given: 0.1, 0.01, …"""
    if not (stats.integer and stats.minimum < -120):
        return 1.0
    return next((step for step in _PACKED_STEPS if stats.p01 * step >= -70 and stats.p99 * step <= 50), 1.0)


def _stepped(stats: ValueStatistics, step: float) -> str:
    return f"integers to {stats.minimum:.6g} cannot be dB; taken as steps of {step} dB"


def _both(claim: Claim, source: Claim) -> str:
    return str(claim) if claim is source else f"{claim}; {source}"


def _article(what: str) -> str:
    return {"alpha": "the colour alpha", "palette": "a palette"}.get(what, what)


def _as_given(evidence: Evidence, stats: ValueStatistics, given: BandKind) -> Verdict:
    """The verdict with a person's word for kind and domain, and what was found against it."""
    found = judge(evidence, stats)
    against, scale = list(found.contradictions), evidence.scale
    if found.kind is not given.kind and found.kind is not Kind.UNKNOWN:
        against.append(f"given as {given.kind.value}; without that {found.kind.value}: {found.reason}")
    if given.kind is not Kind.BACKSCATTER:
        claim = Claim(given.kind, "given as", given.kind.value)
        treatment = bounded(claim, read_unit(evidence.unit), evidence, stats)
        domain, alternative = "", ""
        if objection := objection_to(given.kind, evidence, stats):
            against.append(objection)
            treatment = EXACT
    else:
        treatment = treatment_of(Kind.BACKSCATTER, floating=True)
        if given.domain == "db" and not evidence.packed and (scale := _decibel_step(stats)) != 1.0:
            against.append(_stepped(stats, scale))
        elif given.domain != "db" and stats.negative > 0:
            against.append(f"{stats.negative:.2%} of the values are negative, which a logarithm loses")
        guessed = amplitude_or_power(stats) if found.kind is not Kind.BACKSCATTER else None
        domain = given.domain or found.domain or (guessed.domain if guessed else "")
        alternative = "" if given.domain else found.alternative
    certainty = Certainty.GUESS if given.kind is Kind.BACKSCATTER and not given.domain else Certainty.CERTAIN
    return Verdict(
        given.kind,
        certainty,
        "given by hand",
        treatment,
        domain,
        scale,
        evidence.offset,
        tuple(against),
        alternative,
    )
