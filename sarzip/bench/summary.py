"""What a bench run says in the end: one row per codec, and a plot of its curves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sarzip.bench.run import REFERENCE, BenchPoint, BenchReport
from sarzip.errors import UsageError
from sarzip.system.outputs import atomic_path

_SPEED_AT_DB = 1.0
_COLUMNS = 4


@dataclass(frozen=True)
class CodecSummary:
    """One codec over all images; nan where the run has nothing to say.

    bd_rate: mean BD-rate against the reference at equal rmse_db, as a fraction; bd_rate_of_pixels: without
    metadata; bd_rate_worst: the largest, and the image it belongs to; images: how many it is the mean of.
    bias_p95_db: largest 95th percentile of
    the local radiometric bias over all images at the point nearest to 1 dB RMSE. point_error_db: error of
    point targets against the reference at equal rate, negative is better, mean over images. bpp: at that
    point, mean over images (of lossless codecs: their rate). encode, decode: MPix/s on the largest image at
    that point.
    """

    codec: str
    label: str
    images: int
    bd_rate: float
    bd_rate_of_pixels: float
    bd_rate_worst: float
    worst_image: str
    bpp: float
    bias_p95_db: float
    point_error_db: float
    encode_mpix_s: float
    decode_mpix_s: float


def summarise(report: BenchReport, reference: str = REFERENCE) -> tuple[CodecSummary, ...]:
    """A row for every codec, in the order of the run."""
    rows = []
    largest = max(report.pixels, key=lambda scene: report.pixels[scene], default="")
    for codec, label in report.labels.items():
        rates = report.bd_rates(codec, reference)
        of_pixels = list(report.bd_rates(codec, reference, pixels_only=True).values())
        worst = max(rates, key=lambda scene: rates[scene], default="")
        near = {scene: _nearest(report.curve(scene, codec)) for scene in report.pixels}
        typical = [point for point in near.values() if point]
        speed = near.get(largest)
        nan = float("nan")
        rows.append(
            CodecSummary(
                codec=codec,
                label=label,
                images=len(rates),
                bd_rate=float(np.mean(list(rates.values()))) if rates else nan,
                bd_rate_of_pixels=float(np.mean(of_pixels)) if of_pixels else nan,
                bd_rate_worst=rates[worst] if rates else nan,
                worst_image=worst,
                bpp=float(np.mean([point.bpp for point in typical])) if typical else nan,
                bias_p95_db=max((point.bias_p95_db for point in typical), default=nan),
                point_error_db=_point_error(report, codec, reference),
                encode_mpix_s=speed.encode_mpix_s if speed else nan,
                decode_mpix_s=speed.decode_mpix_s if speed else nan,
            )
        )
    return tuple(rows)


def _nearest(curve: tuple[BenchPoint, ...]) -> BenchPoint | None:
    return min(curve, key=lambda point: abs(point.rmse_db - _SPEED_AT_DB), default=None)


def _point_error(report: BenchReport, codec: str, reference: str) -> float:
    """Mean difference of the point targets' error at equal rate, over the logarithm of the common rates."""
    differences = []
    for scene in report.pixels:
        ours, theirs = (_by_rate(report.curve(scene, name)) for name in (codec, reference))
        if min(len(ours), len(theirs)) < 2:
            continue
        low, high = max(ours[0, 0], theirs[0, 0]), min(ours[-1, 0], theirs[-1, 0])
        if high > low:
            at = np.linspace(low, high, 33)
            differences.append(np.mean(np.interp(at, *ours.T) - np.interp(at, *theirs.T)))
    return float(np.mean(differences)) if differences else float("nan")


def _by_rate(curve: tuple[BenchPoint, ...]) -> np.ndarray:
    points = [
        (np.log(point.bpp), point.point_error_db) for point in curve if np.isfinite(point.point_error_db)
    ]
    return np.array(points, np.float64).reshape(-1, 2)


def plot(report: BenchReport, destination: str | os.PathLike[str], force: bool = False) -> None:
    """Rate-distortion curves, one panel per image, as PNG, PDF or SVG by the name's ending."""
    try:
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
    except ImportError as error:
        raise UsageError("a plot needs matplotlib: pip install 'sarzip[bench]'") from error
    suffix = Path(destination).suffix.lower()
    if suffix not in (".png", ".pdf", ".svg"):
        raise UsageError(f"{destination}: a plot is .png, .pdf or .svg")
    scenes = list(report.pixels)
    if not scenes:
        raise UsageError("nothing was measured, so there is nothing to plot")
    columns = min(_COLUMNS, len(scenes))
    rows = -(-len(scenes) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows + 0.6), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, scene in zip(axes, scenes, strict=False):
        for number, (codec, label) in enumerate(report.labels.items()):
            curve = [point for point in report.curve(scene, codec) if point.rmse_db > 0]
            if len(curve) < 2:
                continue
            axis.plot(
                [point.bpp for point in curve],
                [point.rmse_db for point in curve],
                marker=".",
                linewidth=2 if codec.startswith("sarzip") else 1,
                color=f"C{number % 10}",
                label=label,
            )
        axis.set(xscale="log", yscale="log", xlabel="bits per pixel", ylabel="RMSE [dB]")
        for each in (axis.xaxis, axis.yaxis):  # few labels, and those in plain numbers
            each.set_major_locator(LogLocator(subs=(1, 2, 5)))
            each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            each.set_minor_formatter(NullFormatter())
        axis.tick_params(labelsize=7)
        axis.set_title(scene, fontsize=8)
        axis.grid(alpha=0.3, which="both")
    for axis in axes[len(scenes) :]:
        axis.set_visible(False)
    handles, labels = axes[0].get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper center", ncols=min(len(labels), 8), fontsize=8)
    with atomic_path(destination, force) as part:
        figure.savefig(part, format=suffix[1:], dpi=110)
