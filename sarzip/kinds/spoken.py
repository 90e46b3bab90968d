"""What all the names of a band say together, and where they disagree."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sarzip.kinds.conventions import band_tag_claims, file_name_claims, radiometry_claims
from sarzip.kinds.evidence import Claim, Evidence
from sarzip.kinds.kind import Kind
from sarzip.kinds.units import Unit, read_unit
from sarzip.kinds.words import read_words


@dataclass(frozen=True)
class Spoken:
    """What the names say, sorted. strong: from the band itself; weak: from the file name."""

    strong: Claim | None
    weak: tuple[Claim, ...]
    unit: Unit | None
    domains: tuple[Claim, ...]
    clashes: tuple[str, ...]


def listen(evidence: Evidence) -> Spoken:
    unit = read_unit(evidence.unit or _unit_tag(evidence))
    described = read_words(evidence.description).claim("description")
    tags = tuple(band_tag_claims(evidence))
    strong = described or next(iter(tags), None)
    clashes: list[str] = []
    for tag in tags:
        if strong is not None and tag.kind is not strong.kind:
            clashes.append(f"{strong} and {tag} name different kinds")
            # Whoever says that it is no backscatter is heard.
            strong = tag if strong.kind is Kind.BACKSCATTER else strong
    if unit is not None:
        strong = _with_unit(unit, evidence.unit or _unit_tag(evidence), strong, clashes)
    weak = tuple(file_name_claims(evidence))
    if strong is not None and (strong.kind, strong.domain) == (Kind.BACKSCATTER, None):
        # 'VV' names a channel, and the coherence or displacement of a file may be of that channel, too.
        strong = next((claim for claim in weak if claim.kind is not Kind.BACKSCATTER), strong)
    return Spoken(strong, weak, unit, tuple(radiometry_claims(evidence)), tuple(clashes))


def _unit_tag(evidence: Evidence) -> str:
    lowered = {key.lower(): value for key, value in evidence.band_tags.items()}
    return next((lowered[key] for key in ("units", "unit", "unittype", "unit_type") if key in lowered), "")


def _with_unit(unit: Unit, text: str, strong: Claim | None, clashes: list[str]) -> Claim:
    """The claim of the unit, or the description's where the unit can be that."""
    own = Claim(unit.kinds[0], "unit", text, unit.domain, unit.radians)
    if strong is None:
        return own
    if strong.kind not in unit.kinds:
        clashes.append(f"{strong} and {own} name different kinds")
        return own if strong.kind is Kind.BACKSCATTER else strong
    if strong.kind is Kind.BACKSCATTER and unit.domain is not None:
        if strong.domain not in (None, unit.domain, "power"):
            clashes.append(f"{strong} says {strong.domain}, {own} says {unit.domain}")
        return replace(own, text=text)
    return replace(strong, radians=strong.radians or unit.radians)
