"""compare."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.html_output import check_html, say_written
from sarzip.cli.options import Device, Domain, Force, Json, Threads

if TYPE_CHECKING:
    from sarzip.usecases.compare import BandComparison

_ROWS = (
    ("RMSE [dB]", "rmse_db"),
    ("largest error [dB]", "max_error_db"),
    ("mean error [dB]", "mean_error_db"),
    ("PSNR of amplitude [dB]", "psnr_amp"),
    ("radiometric bias, mean [dB]", "bias_mean_db"),
    ("radiometric bias, median magnitude [dB]", "bias_median_db"),
    ("radiometric bias, 95th percentile [dB]", "bias_p95_db"),
    ("ENL ratio", "enl_ratio"),
    ("ratio image, mean", "ratio_mean"),
    ("ratio image, variance", "ratio_variance"),
    ("edge preservation (EPI)", "epi"),
    ("SSIM of dB", "ssim_db"),
    ("point targets", "point_count"),
    ("point targets, peak error [dB]", "point_error_db"),
)
_UNIT_ROWS = (
    ("largest error [stored unit]", "max_abs"),
    ("RMSE [stored unit]", "rmse"),
    ("mean error [stored unit]", "bias"),
    ("correlation", "correlation"),
    ("share of changed values", "changed"),
    ("share of changed signs", "sign_flips"),
)


def compare(
    reference: Annotated[str, typer.Argument(metavar="A", help="The original: a raster or a .sarz.")],
    decoded: Annotated[str, typer.Argument(metavar="B", help="What is judged: a raster or a .sarz.")],
    domain: Domain = "auto",
    device: Device = "auto",
    threads: Threads = 0,
    html: Annotated[
        str | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write a page with images, maps and charts; - for stdout.",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Measure the quality of B against A in SAR terms."""
    from sarzip.system.outputs import STANDARD_STREAM
    from sarzip.usecases.compare import compare

    if html is not None:
        check_html(html, json, force)
    result = compare(reference, decoded, domain, device, threads, html, force)
    if html == STANDARD_STREAM:
        return
    if html is not None:
        say_written(html, quiet=json)
    if json:
        render.print_json(result.to_dict())
        return
    header = ["", *map(_title, result.bands)]
    rows = [
        [label, *(render.number(getattr(each.quality, key, None)) for each in result.bands)]
        for label, key in _ROWS
        if any(each.quality for each in result.bands)
    ]
    rows += [
        [label, *(render.number(getattr(each.units, key, None)) for each in result.bands)]
        for label, key in _UNIT_ROWS
    ]
    rows.append(["pixels valid in one image only", *(str(each.mask_differences) for each in result.bands)])
    render.print_table(f"{decoded} against {reference}", header, rows)
    if result.structure is None:
        print(f"{decoded}: {result.bytes} bytes, {result.bpp:.4g} bits per pixel and band")
    else:
        differences = result.structure or ("size, dtype, georeferencing, tags and mask kind are the same",)
        for difference in differences:
            print(f"  {difference}")
    print(result.verdict)
    if any(each.guess and each.quality for each in result.bands):
        print("  what the values are is a guess; --domain says it")


def _title(band: BandComparison) -> str:
    return f"band {band.band} ({band.domain or band.kind}{', a guess' if band.guess else ''})"
