"""What a person sees of a scene that was compressed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sarzip.cli import render

if TYPE_CHECKING:
    from sarzip.usecases.compress import BandSummary, CompressReport

_UNITS = {"db": " dB", "value": ""}


def describe(report: CompressReport) -> str:
    """One line on what was written."""
    error = "" if report.rmse_db is None else f", RMSE {report.rmse_db:.3g} dB"
    ratio = f", {report.ratio:.3g}:1" if report.source_bytes else ""
    step = f", step {report.step_db:g} dB" if report.step_db else ""
    greatest = {
        unit: max((b.achieved for b in report.bounds if b.unit == unit), default=None) for unit in _UNITS
    }
    step += "".join(
        f", greatest error {most:.4g}{_UNITS[u]}" for u, most in greatest.items() if most is not None
    )
    return (
        f"{report.output}: {render.size(report.output_bytes)}, {report.bpp:.3g} bpp{ratio}{step}{error}, "
        f"{report.seconds:.1f} s ({report.mpix_per_s:.1f} MPix/s on "
        f"{report.device}), peak memory {render.size(report.peak_memory)}"
    )


def describe_band(band: BandSummary) -> str:
    """One line on what a band was taken for, and what was done with it."""
    what = f"{band.kind} ({band.domain})" if band.domain else band.kind
    kept = f", kept exactly: {', '.join(band.special)}" if band.special else ""
    return f"band {band.band}: {what}, {band.certainty}, {band.treatment}: {band.reason}{kept}"
