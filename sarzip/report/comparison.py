"""What comparing two images finds, and what it comes to in one sentence."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from sarzip.measure import Quality
from sarzip.measure.units import UnitErrors

_ROUNDING = 1e-6
"""Relative; decompressed rasters tell their bound in six digits."""


@dataclass(frozen=True)
class Promise:
    """What the file promises of a band (counted from 1), and what was found.

    unit: 'db'; 'value' for stored units; 'exact' for bit for bit, where achieved counts the pixels that
    differ. at: column and row of the greatest error, where it is known. sure: whether it was measured in the
    domain the promise was made in; the error in dB of a power taken for an amplitude is twice as large.
    """

    band: int
    unit: str
    asked: float
    achieved: float
    at: tuple[int, int] | None = None
    sure: bool = True

    @property
    def kept(self) -> bool:
        """Whether it was kept."""
        return self.achieved <= self.asked * (1 + _ROUNDING)

    @property
    def use(self) -> float:
        """Share of what is allowed that is used; infinite where nothing is allowed and something found."""
        if self.asked:
            return self.achieved / self.asked
        return math.inf if self.achieved else 0.0


@dataclass(frozen=True)
class BandComparison:
    """One band. kind: what it was taken for (see kinds). domain: of backscatter, else ''. mask_differences:
    how many pixels only one image calls valid. quality: of the others in SAR terms; None where the band is no
    backscatter. units: their errors in the units of the data; None without any. guess: kind and domain are;
    errors in dB of what is called amplitude and is power are half as large, the other way twice. name: the
    band's description, else ''. coded_quality: of the `.sarz` that is judged, where it has one instead of a
    bound.
    """

    band: int
    kind: str
    domain: str
    mask_differences: int
    quality: Quality | None
    units: UnitErrors | None
    guess: bool = False
    name: str = ""
    coded_quality: float | None = None

    @property
    def identical(self) -> bool:
        """Whether no pixel differs."""
        return not self.mask_differences and (self.units is None or self.units.changed == 0)

    @property
    def title(self) -> str:
        """Its number, and its name where it has one."""
        return f"band {self.band}" + (f", {self.name}" if self.name else "")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        about = {
            "band": self.band,
            "kind": self.kind,
            "domain": self.domain,
            "guess": self.guess,
            "coded_quality": self.coded_quality,
            "mask_differences": self.mask_differences,
            "units": self.units and asdict(self.units),
        }
        return about | (self.quality.to_dict() if self.quality else {})


@dataclass(frozen=True)
class Comparison:
    """Quality of `decoded` against `reference`.

    bytes, bpp: whole-file size of `decoded` and bits per pixel and band. structure: what differs in size,
    dtype, georeferencing, tags or mask kind, in words; empty when everything is the same, None when one of
    the two is a `.sarz`, whose tags are compared after decompression. promises: what `decoded` promises of
    its bands; empty where it promises nothing.
    """

    reference: str
    decoded: str
    bytes: int
    bpp: float
    structure: tuple[str, ...] | None
    bands: tuple[BandComparison, ...]
    promises: tuple[Promise, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing at all differs."""
        return all(band.identical for band in self.bands) and not self.structure

    @property
    def kept(self) -> bool | None:
        """Whether all promises were kept; None where nothing was promised, or it cannot be told."""
        broken = [each for each in self.promises if not each.kept]
        if not self.promises or any(not each.sure for each in broken):
            return None
        return not broken

    @property
    def verdict(self) -> str:
        """One sentence: what was promised, and whether it was kept; else how close the image came."""
        if any(each.unit != "exact" or not each.kept for each in self.promises):
            return _of_promises(self.promises, self.kept, self.bands)
        if all(band.identical for band in self.bands):
            promised = len(self.promises) == len(self.bands)
            return f"{'Kept, as promised' if promised else 'Identical'}: no pixel of any band differs."
        exact = ", ".join(str(each.band) for each in self.promises)
        return _of_quality(self.bands) + (f" Promised bit for bit, and so it is: band {exact}." * bool(exact))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "reference": self.reference,
            "decoded": self.decoded,
            "bytes": self.bytes,
            "bpp": self.bpp,
            "identical": self.identical,
            "verdict": self.verdict,
            "structure": self.structure,
            "promises": [asdict(each) | {"kept": each.kept} for each in self.promises],
            "bands": [band.to_dict() for band in self.bands],
        }


def _of_promises(promises: tuple[Promise, ...], kept: bool | None, bands: tuple[BandComparison, ...]) -> str:
    bounds = [each for each in promises if each.unit != "exact"]
    broken = [each for each in promises if not each.kept]
    worst = max(broken or bounds or promises, key=lambda each: each.use)
    of_band = f" of {bands[worst.band - 1].title}" if len(bands) > 1 else ""
    if worst.unit == "exact":
        return f"Broken: promised bit for bit; {worst.achieved:g} pixels differ{of_band}."
    unit = " dB" if worst.unit == "db" else " in stored units"
    place = f" at pixel (column {worst.at[0]}, row {worst.at[1]})" if worst.at else ""
    found = (
        f"promised {worst.asked:g}{unit}; greatest error {worst.achieved:.5g}{unit}{place}{of_band}"
        if worst.achieved
        else f"promised {worst.asked:g}{unit}; no measurement differs"
    )
    if kept is None:
        return f"Undecided: {found}, but what the values are is a guess; say their domain."
    return f"{'Kept' if kept else 'Broken'}: {found}."


def _of_quality(bands: tuple[BandComparison, ...]) -> str:
    measured = [band for band in bands if band.quality and band.quality.valid_pixels]
    if not measured:
        changed = [band for band in bands if not band.identical]
        return f"Without a bound: {len(changed)} of {len(bands)} bands differ."
    worst = max(measured, key=lambda band: band.quality.rmse_db if band.quality else 0.0)
    quality = worst.quality
    assert quality is not None
    of_band = f" in {worst.title}" if len(bands) > 1 else ""
    bias = (
        f", and mean power within {quality.bias_p95_db:.2g} dB in 95 % of all 32×32 cells"
        if math.isfinite(quality.bias_p95_db)
        else ""
    )
    coded = sorted({band.coded_quality for band in bands if band.coded_quality is not None})
    how = f"Coded at quality {' and '.join(f'{each:g}' for each in coded)}, without" if coded else "Without"
    return f"{how} a bound: the error is {quality.rmse_db:.3g} dB RMS{of_band}{bias}."
