"""What a person or a program sees of a batch: a line a scene, a bar meanwhile, a summary in the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Sequence

from sarzip.batch.job import FAILED, BatchOptions, Job, Outcome, pixels_of
from sarzip.batch.run import run_batch
from sarzip.cli import render
from sarzip.cli.compress_view import describe, describe_band
from sarzip.cli.decompress_command import describe as describe_decompressed
from sarzip.cli.info_command import show as show_info
from sarzip.cli.verify_command import describe as describe_verified
from sarzip.usecases.compress import CompressReport
from sarzip.usecases.decompress import DecompressReport
from sarzip.usecases.inspect import FileInfo
from sarzip.usecases.verify import VerifyReport

_HEADER = ["scene", "state", "bands", "size", "bpp", "ratio", "MPix/s", "RMSE [dB]"]


def run(jobs: Sequence[Job], options: BatchOptions, doing: str, as_json: bool, quiet: bool) -> int:
    """Run a batch and show it; the exit code is that of the first file, as given, that failed.

    doing: what, for the bar.
    """
    started, found = time.perf_counter(), dict[Job, Outcome]()
    try:
        with (
            render.batch_bar(doing, quiet or as_json) as progress,
            contextlib.closing(run_batch(jobs, options, progress)) as outcomes,
        ):
            for outcome in outcomes:
                found[Job(outcome.source, outcome.output)] = outcome
                _show(outcome, as_json, quiet)
    except BaseException:
        if found:
            outputs = "; their outputs are complete" * bool(jobs[0].output)
            render.say(f"stopped after {len(found)} of {len(jobs)} {_noun(jobs)}{outputs}", quiet)
        raise
    ordered = [found[job] for job in jobs if job in found]
    if not as_json:
        _summarise(ordered, time.perf_counter() - started, quiet)
    return next((outcome.exit_code for outcome in ordered if outcome.status == FAILED), 0)


def _noun(jobs: Sequence[Job | Outcome]) -> str:
    return "scenes" if jobs[0].output else "files"


def _show(outcome: Outcome, as_json: bool, quiet: bool) -> None:
    if outcome.error is not None:
        # Errors are told even to those who want nothing else, in one line each.
        print(f"sarzip: {render.dashed(' '.join(outcome.error.split()))}", file=sys.stderr)
    if as_json:
        render.print_json(as_line(outcome))
        sys.stdout.flush()
    elif isinstance(outcome.report, FileInfo):
        show_info(outcome.report)
    elif outcome.report is not None:
        for line in _lines(outcome.source, outcome.report):
            render.say(line, quiet)
    elif outcome.error is None:
        render.say(f"{outcome.output}: {outcome.status}", quiet)


def _lines(source: str, report: CompressReport | DecompressReport | VerifyReport) -> tuple[str, ...]:
    if isinstance(report, VerifyReport):
        return (describe_verified(report),)
    if isinstance(report, DecompressReport):
        return describe_decompressed(report)
    told = (*report.notes, *map(describe_band, report.plan))
    return (*(f"{source}: {each}" for each in told), describe(report))


def as_line(outcome: Outcome) -> dict[str, object]:
    """A JSON object: status, exit code and error, with the members of the report where there is one."""
    told = {"source": outcome.source, "output": outcome.output, "status": outcome.status}
    report = {} if outcome.report is None else render.plain(outcome.report)
    return {**report, **told, "exit_code": outcome.exit_code, "error": outcome.error}


def _summarise(outcomes: Sequence[Outcome], seconds: float, quiet: bool) -> None:
    if quiet or not outcomes:
        return
    reports = [each.report for each in outcomes if isinstance(each.report, CompressReport)]
    if sys.stderr.isatty() and reports:
        render.print_table("", _HEADER, [_row(outcome) for outcome in outcomes], sys.stderr)
    states = [outcome.status for outcome in outcomes]
    wanted = ("ok", "skipped", "failed") if outcomes[0].output else ("ok", "failed")
    counts = ", ".join(f"{states.count(state)} {state}" for state in wanted)
    line = f"{len(outcomes)} {_noun(outcomes)}: {counts}; {seconds:.1f} s"
    pixels = sum(pixels_of(each.report) for each in outcomes)
    if reports:
        written, read = (sum(sizes) for sizes in zip(*map(_sizes, reports), strict=True))
        line += f", {render.size(read)} to " * bool(read) + render.size(written)
    if pixels:
        line += f", {pixels / seconds / 1e6:.1f} MPix/s"
    render.say(line)


def _sizes(report: CompressReport) -> tuple[int, int]:
    return report.output_bytes, report.source_bytes


def _row(outcome: Outcome) -> list[str]:
    report = outcome.report
    if not isinstance(report, CompressReport):
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
