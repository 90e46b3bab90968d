"""bench."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.html_output import check_html, write_html
from sarzip.cli.options import Device, Force, Json, Quiet, Threads, listed, one_of
from sarzip.errors import UsageError

if TYPE_CHECKING:
    from sarzip.bench.promises import PromiseReport
    from sarzip.bench.run import BenchReport
    from sarzip.usecases.compress import CompressOptions

_NUMBERS = "numbers, separated by commas"


def bench(
    scenes: Annotated[list[str], typer.Argument(metavar="SCENE...", help="Rasters, or a folder of .tif.")],
    codecs: Annotated[
        str,
        typer.Option(help="Comma-separated: sarzip, sarzip:MODEL and peers; 'all' for every one."),
    ] = "all",
    qualities: Annotated[
        str | None, typer.Option("--qualities", help="Of sarzip, comma-separated; default 10 to 90.")
    ] = None,
    effort: Annotated[
        str, typer.Option("--effort", help="Of sarzip: fast or best.", autocompletion=one_of("fast", "best"))
    ] = "best",
    processes: Annotated[
        bool,
        typer.Option("--processes", help="Run sarzip as commands, whose start and end count in its speed."),
    ] = False,
    bounded: Annotated[
        str | None,
        typer.Option(
            "--bounded",
            metavar="DB,...",
            help="Bytes within bounds on the error of every measurement; 'all' for 0.1 to 3 dB.",
        ),
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Bytes bit for bit.")] = False,
    plot: Annotated[str | None, typer.Option("--plot", metavar="PNG", help="Draw the curves.")] = None,
    html: Annotated[
        str | None,
        typer.Option("--html", metavar="FILE", help="Write a page with curves and tables; - for stdout."),
    ] = None,
    curves: Annotated[bool, typer.Option("--curves", help="List every point, not only the summary.")] = False,
    device: Device = "auto",
    threads: Threads = 0,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure rate, fidelity and speed beside the classical codecs, all in one run."""
    from sarzip.bench.codecs import DEFAULT_CODECS, QUALITIES, choose_codecs
    from sarzip.bench.page import bench_page, promises_page
    from sarzip.bench.run import bench
    from sarzip.bench.summary import plot as draw
    from sarzip.system.machine import choose_machine
    from sarzip.system.outputs import STANDARD_STREAM
    from sarzip.usecases.compress import CompressOptions

    names = list(DEFAULT_CODECS) if codecs == "all" else codecs.split(",")
    options = CompressOptions(device=device, threads=threads, effort=effort)
    paths = [str(path) for scene in scenes for path in _rasters(Path(scene))]
    if html is not None:
        check_html(html, json, force)
    if bounded or lossless:
        promises = _promises(paths, bounded, lossless, options, quiet)
        if html is not None:
            write_html(html, promises_page(promises), force, quiet or json)
        if json:
            render.print_json(promises.to_dict())
        elif html != STANDARD_STREAM:
            _print_promises(promises, choose_machine("cpu", threads).threads, quiet)
        return
    settings = listed("--qualities", qualities, _NUMBERS, float) if qualities else QUALITIES
    chosen = choose_codecs(names, options, choose_machine("cpu", threads).threads, settings, processes)
    report = bench(paths, chosen, lambda text: render.say(text, quiet))
    if plot:
        draw(report, plot, force)
    if html is not None:
        write_html(html, bench_page(report), force, quiet or json)
    if json:
        render.print_json(report.to_dict())
    elif html != STANDARD_STREAM:
        _print(report, curves, quiet)


def _print(report: BenchReport, curves: bool, quiet: bool) -> None:
    from sarzip.bench.summary import summarise

    for name, reason in report.skipped.items():
        render.say(f"left out {name}: {reason}", quiet)
    if curves:
        header = ["image", "codec", "setting", "bytes", "bpp", "RMSE dB", "OpenJPEG at equal bytes"]
        header += ["bias p95 dB", "ENL ratio", "enc / dec MPix/s"]
        rows = [
            [
                point.scene,
                point.codec,
                render.number(point.setting),
                str(point.bytes),
                render.number(point.bpp),
                render.number(point.rmse_db),
                render.number(report.rmse_at_equal_bytes(point)),
                render.number(point.bias_p95_db, 3),
                render.number(point.enl_ratio, 3),
                f"{point.encode_mpix_s:.1f} / {point.decode_mpix_s:.1f}",
            ]
            for point in report.points
        ]
        render.print_table(report.machine, header, rows)
    header = [
        "codec",
        "images",
        "BD-rate %",
        "of pixels %",
        "worst %",
        "bpp",
        "bias p95 dB",
        "points dB",
        "enc",
        "dec MPix/s",
    ]
    rows = [
        [
            row.label,
            str(row.images),
            render.number(100 * row.bd_rate, 3),
            render.number(100 * row.bd_rate_of_pixels, 3),
            render.number(100 * row.bd_rate_worst, 3),
            render.number(row.bpp, 3),
            render.number(row.bias_p95_db, 2),
            render.number(row.point_error_db, 2),
            render.number(row.encode_mpix_s, 3),
            render.number(row.decode_mpix_s, 3),
        ]
        for row in summarise(report)
    ]
    render.print_table(f"{len(report.pixels)} images on {report.machine}", header, rows)


def _promises(
    paths: list[str], bounded: str | None, lossless: bool, options: CompressOptions, quiet: bool
) -> PromiseReport:
    from sarzip.bench.promises import BOUNDS_DB, bench_bounded, bench_lossless
    from sarzip.system.machine import choose_machine

    def tell(text: str) -> None:
        render.say(text, quiet)

    if bounded and lossless:
        raise UsageError("--bounded and --lossless are two tables; ask for one at a time")
    threads = choose_machine("cpu", options.threads).threads
    if lossless:
        return bench_lossless(paths, options, threads, tell)
    bounds = BOUNDS_DB if bounded == "all" else listed("--bounded", str(bounded), _NUMBERS, float)
    return bench_bounded(paths, bounds, options, threads, tell)


def _print_promises(report: PromiseReport, threads: int, quiet: bool) -> None:
    from sarzip.bench.promises import LOSSLESS

    for name, reason in report.skipped.items():
        render.say(f"left out {name}: {reason}", quiet)
    header = [
        "codec",
        "bound dB",
        "scenes",
        "bpp",
        "% of best peer",
        "worst %",
        "enc",
        "dec MPix/s",
        "broken",
    ]
    rows = [
        [
            row.codec,
            "lossless" if row.setting == LOSSLESS else f"{row.setting:g}",
            str(row.scenes),
            f"{row.bpp:.3f}",
            f"{100 * row.change:+.1f}",
            f"{100 * row.worst:+.1f}",
            render.number(row.encode_mpix_s, 3),
            render.number(row.decode_mpix_s, 3),
            str(row.broken),
        ]
        for row in report.rows()
    ]
    render.print_table(f"{report.machine}, {threads} threads", header, rows)


def _rasters(path: Path) -> list[Path]:
    return sorted(path.glob("*.tif")) if path.is_dir() else [path]
