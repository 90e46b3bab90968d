"""info."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sarzip.cli import render
from sarzip.cli.options import Jobs, Json, Packed, Recursive
from sarzip.system.outputs import is_folder

if TYPE_CHECKING:
    from sarzip.usecases.inspect import FileInfo


def info(
    files: Packed,
    recursive: Recursive = False,
    jobs: Jobs = 1,
    json: Json = False,
) -> int:
    """Show everything in the header, sizes and rates, without decoding."""
    from sarzip.usecases.inspect import InspectOptions, inspect

    if len(files) > 1 or is_folder(files[0]):
        from sarzip.batch.run import UNPACK, plan_jobs
        from sarzip.cli import batch_view

        found = plan_jobs(files, None, recursive, UNPACK)
        options = batch_view.BatchOptions(InspectOptions(), jobs=jobs)
        return batch_view.run(found, options, "reading", json, quiet=True)
    about = inspect(files[0])
    if json:
        render.print_json(about)
    else:
        show(about)
    return 0


def show(about: FileInfo) -> None:
    """All of it on stdout."""
    print(
        f"{about.file}: {about.width}x{about.height} pixels, {len(about.bands)} bands, format {about.format}"
    )
    print(f"  {about.bytes} bytes ({about.overhead_bytes} of them header and index), {about.bpp:.4g} bpp")
    print(f"  {about.groups} groups of {about.group}x{about.group} pixels, written by {about.creator}")
    for model in about.models:
        print(f"  model {model['id']} sha256 {model['sha256']}")
    for band in about.bands:
        told = render.dashed(", ".join(text for text in (band.kind, band.certainty, band.reason) if text))
        coded = (
            f"exact{': ' + told if told else ''}"
            if band.treatment == "exact"
            else f"{band.treatment} of what was stored{': ' + told if told else ''}"
            if band.treatment != "lossy"
            else f"{told}, model {band.model}, step {band.step_db:g} dB, floor {band.floor:g}, centre "
            f"{band.centre_db:g} dB"
        )
        print(
            f"  band {band.band}: {band.dtype} {band.domain}, {band.bytes} bytes, {band.bpp:.4g} bpp, {coded}"
        )
    summary = dict(about.summary or {})
    for told in summary.pop("achieved", []):
        unit = "dB" if "db" in told else "units"
        print(f"  band {told['band']}: greatest error {told.get('db', told.get('value')):.6g} {unit}")
    for key, value in summary.items():
        print(f"  {key.replace('_', ' ')}: {value}")
    for key, value in about.raster.items():
        text = str(value)
        print(f"  {key}: {text if len(text) <= 100 else text[:97] + '...'}")
