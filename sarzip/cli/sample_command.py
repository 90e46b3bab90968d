"""sample."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Force, Json, Quiet, Threads, one_of, refuse_both_on_stdout


def sample(
    output: Annotated[str, typer.Option("-o", "--output", metavar="DST", help="The GeoTIFF to write.")],
    like: Annotated[
        str | None,
        typer.Option("--like", help="Imitate a product: s1-grdh.", autocompletion=one_of("s1-grdh")),
    ] = None,
    size: Annotated[int | None, typer.Option("--size", help="Width, and height unless --like.")] = None,
    width: Annotated[int | None, typer.Option("--width", help="Pixels in a row.")] = None,
    height: Annotated[int | None, typer.Option("--height", help="Rows.")] = None,
    looks: Annotated[float | None, typer.Option("--looks", help="Equivalent number of looks.")] = None,
    form: Annotated[
        str,
        typer.Option(
            "--form",
            help="amplitude (uint16), power or db (float32).",
            autocompletion=one_of("amplitude", "power", "db"),
        ),
    ] = "amplitude",
    dual_pol: Annotated[
        bool, typer.Option("--dual-pol", help="Two bands, VV and VH, instead of VV.")
    ] = False,
    seed: Annotated[int, typer.Option("--seed", help="Another seed is another scene.")] = 0,
    threads: Threads = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a realistic simulated SAR scene."""
    from sarzip.usecases.sample import SampleOptions, sample

    refuse_both_on_stdout(output, json)
    options = SampleOptions(like, size, width, height, looks, form, seed, threads, force, dual_pol)
    with render.progress_bar("simulating", quiet or json, pixels=False) as progress:
        report = sample(output, options, progress)
    if json:
        render.print_json(report)
        return
    render.say(
        f"{output}: {report.width}x{report.height} {report.dtype}, {report.looks:g} looks, "
        f"{report.seconds:.1f} s ({report.mpix_per_s:.1f} MPix/s), peak {render.size(report.peak_memory)}",
        quiet,
    )
