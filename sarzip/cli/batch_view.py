"""What a person or a program sees of a batch: a line a scene, a bar meanwhile, a summary in the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sarzip.cli import render

if TYPE_CHECKING:
    from sarzip.batch.job import BatchOptions, Job, Outcome
    from sarzip.usecases.compress import BandSummary, CompressReport

_HEADER = ["scene", "state", "bands", "size", "bpp", "ratio", "MPix/s", "RMSE [dB]"]


def run(jobs: Sequence[Job], options: BatchOptions, as_json: bool, quiet: bool) -> int:
    """Run a batch and show it; the exit code is that of the first scene, as given, that failed."""
    from sarzip.batch.job import FAILED
    from sarzip.batch.run import run_batch

    started, found = time.perf_counter(), dict[str, "Outcome"]()
    try:
        with (
            render.batch_bar("compressing", quiet or as_json) as progress,
            contextlib.closing(run_batch(jobs, options, progress)) as outcomes,
        ):
            for outcome in outcomes:
                found[outcome.output] = outcome
                _show(outcome, as_json, quiet)
    except BaseException:
        if found:
            render.say(f"stopped after {len(found)} of {len(jobs)} scenes; their outputs are complete", quiet)
        raise
    ordered = [found[job.output] for job in jobs if job.output in found]
    if not as_json:
        _summarise(ordered, time.perf_counter() - started, quiet)
    return next((outcome.exit_code for outcome in ordered if outcome.status == FAILED), 0)


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


def _show(outcome: Outcome, as_json: bool, quiet: bool) -> None:
    if outcome.error is not None:
        # Errors are told even to those who want nothing else, in one line each.
        print(f"sarzip: {' '.join(outcome.error.split())}", file=sys.stderr)
    if as_json:
        render.print_json(as_line(outcome))
        sys.stdout.flush()
    elif outcome.report is not None:
        for note in outcome.report.notes:
            render.say(f"{outcome.source}: {note}", quiet)
        for band in outcome.report.plan:
            render.say(f"{outcome.source}: {describe_band(band)}", quiet)
        render.say(describe(outcome.report), quiet)
    elif outcome.error is None:
        render.say(f"{outcome.output}: {outcome.status}", quiet)


def as_line(outcome: Outcome) -> dict[str, object]:
    """A JSON object: status, exit code and error, with the members of the report where there is one."""
    told = {"source": outcome.source, "output": outcome.output, "status": outcome.status}
    report = {} if outcome.report is None else render.plain(outcome.report)
    return {**report, **told, "exit_code": outcome.exit_code, "error": outcome.error}


def _summarise(outcomes: Sequence[Outcome], seconds: float, quiet: bool) -> None:
    if quiet or not outcomes:
        return
    if sys.stderr.isatty():
        render.print_table("", _HEADER, [_row(outcome) for outcome in outcomes], sys.stderr)
    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    states = [outcome.status for outcome in outcomes]
    counts = ", ".join(f"{states.count(state)} {state}" for state in ("ok", "skipped", "failed"))
    line = f"{len(outcomes)} scenes: {counts}; {seconds:.1f} s"
    if reports:
        pixels = sum(report.width * report.height * report.bands for report in reports)
        written, read = (sum(sizes) for sizes in zip(*map(_sizes, reports), strict=True))
        sizes = f"{render.size(read)} to " * bool(read) + render.size(written)  # URLs do not tell their size
        line += f", {sizes}, {pixels / seconds / 1e6:.1f} MPix/s"
    render.say(line)


def _sizes(report: CompressReport) -> tuple[int, int]:
    return report.output_bytes, report.source_bytes


def _row(outcome: Outcome) -> list[str]:
    report = outcome.report
    if report is None:
        state = outcome.status if outcome.error is None else f"{outcome.status} ({outcome.exit_code})"
        return [outcome.source, state, *["–"] * (len(_HEADER) - 2)]
    values = (report.bpp, report.ratio or None, report.mpix_per_s, report.rmse_db)
    return [
        outcome.source,
        outcome.status,
        " ".join(band.domain or band.kind for band in report.plan),
        render.size(report.output_bytes),
        *(render.number(value, 3) for value in values),
    ]
