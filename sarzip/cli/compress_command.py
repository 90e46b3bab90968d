"""compress: one raster, or many into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Device, Force, Json, Quiet, Threads
from sarzip.errors import SarzipError, UsageError

if TYPE_CHECKING:
    from sarzip.usecases.compress import CompressOptions
    from sarzip.usecases.rate import Fidelity


def compress(
    sources: Annotated[list[str], typer.Argument(metavar="SRC...", help="Rasters that GDAL can open.")],
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="DST", help="File, folder for many, or '-' for stdout.")
    ],
    quality: Annotated[
        float | None, typer.Option("--quality", metavar="Q", help="0 (smallest) to 100 (finest); default 60.")
    ] = None,
    bpp: Annotated[float | None, typer.Option("--bpp", metavar="B", help="Bits per pixel and band.")] = None,
    ratio: Annotated[
        float | None, typer.Option("--ratio", metavar="R", help="Input bytes over output bytes.")
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="BYTES", help="At most so many bytes; K, M, G.")
    ] = None,
    rmse_db: Annotated[float | None, typer.Option("--rmse-db", metavar="D", help="RMS error in dB.")] = None,
    domain: Annotated[
        str, typer.Option("--domain", help="What the values are: auto, amplitude, power or db.")
    ] = "auto",
    model: Annotated[str, typer.Option("--model", help="Released model or path of a model folder.")] = "ae16",
    effort: Annotated[str, typer.Option("--effort", help="fast (quicker) or best (smaller).")] = "best",
    device: Device = "auto",
    threads: Threads = 0,
    verify: Annotated[
        bool, typer.Option("--verify", help="Decode the result and check it before saying done.")
    ] = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Compress rasters into .sarz files."""
    from sarzip.usecases.compress import CompressOptions

    if json and output == "-":
        raise UsageError("--json and -o - both need stdout; write to a file")
    given = {"quality": quality, "bpp": bpp, "ratio": ratio, "size": _bytes(size), "rmse_db": rmse_db}
    options = CompressOptions(_fidelity(given), domain, effort, model, device, threads, force, verify)
    if len(sources) == 1 and not Path(output).is_dir():
        _compress_one(sources[0], output, options, json, quiet)
        return 0
    if not Path(output).is_dir():
        raise UsageError(f"{output}: several inputs need an existing folder as output")
    code = 0
    for source in sources:
        target = Path(output) / (Path(source).stem + ".sarz")
        try:
            _compress_one(source, str(target), options, json, quiet)
        except SarzipError as error:
            print(f"sarzip: {error}", file=sys.stderr)
            code = code or error.exit_code
    return code


def _fidelity(given: dict[str, float | None]) -> Fidelity:
    from sarzip.usecases.rate import Fidelity

    chosen = [(kind, value) for kind, value in given.items() if value is not None]
    if len(chosen) > 1:
        names = " and ".join(f"--{kind.replace('_', '-')}" for kind, _ in chosen)
        raise UsageError(f"{names} exclude each other; give one of them")
    return Fidelity(*chosen[0]) if chosen else Fidelity()


def _bytes(text: str | None) -> float | None:
    """'500', '20K', '1.5M', '2G' (powers of 1000) to bytes."""
    if text is None:
        return None
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:].upper(), 1.0)
    try:
        return float(text if factor == 1.0 else text[:-1]) * factor
    except ValueError:
        raise UsageError(f"--size {text}: expected a number of bytes, with K, M or G for thousands") from None


def _compress_one(source: str, target: str, options: CompressOptions, json: bool, quiet: bool) -> None:
    from sarzip.usecases.compress import compress

    with render.progress_bar(f"compressing {Path(source).name}", quiet or json) as progress:
        report = compress(source, target, options, progress)
    if json:
        render.print_json(report)
        return
    for band, (domain, reason) in enumerate(zip(report.domains, report.reasons, strict=True), start=1):
        render.say(f"{source}: band {band} is {domain} ({reason})", quiet)
    render.say(
        f"{target}: {render.size(report.output_bytes)}, {report.bpp:.3g} bpp, {report.ratio:.3g}:1, step "
        f"{report.step_db:g} dB, {report.seconds:.1f} s ({report.mpix_per_s:.1f} MPix/s on {report.device}), "
        f"peak memory {render.size(report.peak_memory)}",
        quiet,
    )
