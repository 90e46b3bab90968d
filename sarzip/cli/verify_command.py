"""verify."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import (
    Device,
    ForeignModel,
    Jobs,
    Json,
    Packed,
    Quiet,
    Recursive,
    Threads,
    TrustModel,
)
from sarzip.system.outputs import is_folder

if TYPE_CHECKING:
    from sarzip.usecases.verify import VerifyReport


def verify(
    files: Packed,
    deep: Annotated[bool, typer.Option("--deep", help="Decode everything as well.")] = False,
    model: ForeignModel = None,
    trust_model: TrustModel = False,
    device: Device = "auto",
    threads: Threads = 0,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check every checksum; with --deep, decode everything and give hashes of it (--json)."""
    from sarzip.usecases.verify import VerifyOptions, verify

    options = VerifyOptions(deep, device, threads, model, trust_model)
    if len(files) > 1 or is_folder(files[0]):
        from sarzip.batch.run import UNPACK, plan_jobs
        from sarzip.cli import batch_view

        found = plan_jobs(files, None, recursive, UNPACK)
        return batch_view.run(found, batch_view.BatchOptions(options, jobs=jobs), "verifying", json, quiet)
    with render.progress_bar(f"verifying {Path(files[0]).name}", quiet or json or not deep) as progress:
        report = verify(files[0], options, progress)
    if json:
        render.print_json(report)
    else:
        render.say(describe(report), quiet)
    return 0


def describe(report: VerifyReport) -> str:
    """One line on what was found in order."""
    done = "every checksum holds and everything decodes" if report.deep else "every checksum holds"
    return f"{report.file}: {done} ({report.groups} groups, {report.bands} bands)"
