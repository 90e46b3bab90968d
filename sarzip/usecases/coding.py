"""What coding promised for each band, and what is known of the error it made: from header and summary."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sarzip.container import Header, SetHeader
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.measured_error import BandError
from sarzip.pipeline.quality import quality_to_step


@dataclass(frozen=True)
class BandCoding:
    """treatment: exact, bounded or lossy. max_error_db, max_error: what was promised, in dB or stored units;
    achieved_…: the greatest error there is. step_db: of the quantiser. rmse_db, bias_p95_db: as measured.
    None where it does not apply or is not known.
    """

    treatment: str
    max_error_db: float | None = None
    max_error: float | None = None
    step_db: float | None = None
    achieved_error_db: float | None = None
    achieved_error: float | None = None
    rmse_db: float | None = None
    bias_p95_db: float | None = None

    @property
    def facts(self) -> dict[str, float | str]:
        """What is known, by name."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def coding_of(
    header: Header, summary: Mapping[str, Any] | None, errors: Sequence[BandError] = ()
) -> tuple[BandCoding, ...]:
    """Of each band of a file. errors: measured ones, which files do not hold. Raises CorruptError."""
    found = {band: _promised(each) for each in header.sets for band in each.bands}
    for error in errors:
        told = {
            "achieved_error_db": error.max_error_db, "rmse_db": error.rmse_db,
            "bias_p95_db": error.bias_p95_db,
        }  # fmt: skip
        known: dict[str, Any] = {
            name: float(f"{value:.4g}") for name, value in told.items() if value is not None
        }
        found[error.band - 1] = replace(found[error.band - 1], **known)
    for band, name, value in _achieved(summary or {}, len(found)):
        changed: dict[str, Any] = {name: value}
        found[band] = replace(found[band], **changed)
    return tuple(found[band] for band in range(len(found)))


def asked_of(header: Header, summary: Mapping[str, Any] | None) -> tuple[str | None, float | None]:
    """Of the whole scene: the quality, size or error that was asked for, like 'quality 60', and the RMSE in
    dB that the search for one ended with; None where there is none.
    """
    told = (summary or {}).get("asked")
    if isinstance(told, str):
        rmse = (summary or {}).get("rmse_db")
        return told.removeprefix("--"), float(rmse) if isinstance(rmse, (int, float)) else None
    steps = {each.step for each in header.sets if each.step and bound_of(each) is None}
    qualities = {round(20 * math.log2(20 / step), 3) for step in steps}
    if len(qualities) == 1 and {quality_to_step(each) for each in qualities} == steps:
        return f"quality {qualities.pop():g}", None
    return None, None


def _promised(each: SetHeader) -> BandCoding:
    bound, step = bound_of(each), each.step or None
    if bound is None:
        return BandCoding("exact" if each.lossless else "lossy", step_db=step)
    if bound.decibels:
        return BandCoding("bounded", max_error_db=bound.size, step_db=step)
    return BandCoding("bounded", max_error=bound.size, step_db=step)


def _achieved(summary: Mapping[str, Any], count: int) -> Iterator[tuple[int, str, float]]:
    """Band (0-based), field and greatest error; what a summary tells in another way is passed over."""
    listed = summary.get("achieved", [])
    for told in listed if isinstance(listed, list) else []:
        band = told.get("band") if isinstance(told, dict) else None
        if isinstance(band, int) and 1 <= band <= count:
            for unit, name in (("db", "achieved_error_db"), ("value", "achieved_error")):
                if isinstance(told.get(unit), (int, float)):
                    yield band - 1, name, float(told[unit])
