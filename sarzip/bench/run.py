"""Rate, fidelity and speed of sarzip beside the classical codecs, on the same scenes in one run.

An image is a file: the bytes of all its bands count, and errors are pooled over its bands. See `bench_codecs`
for how each codec is run.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sarzip.bench.codecs import BenchScene, Codec, Coded, load_scene
from sarzip.errors import SarzipError
from sarzip.measure import NoCurve, bd_rate, load_pchip

REFERENCE = "openjpeg"
# Rates that BD-rates are averaged over, bits per pixel: below nothing is left of an image but its blurred
# means, above lies what lossless codecs are for.
BD_RATES = (0.05, 5.0)
_WARM_UP_PIXELS = 1 << 22


@dataclass(frozen=True)
class BenchPoint:
    """One codec at one setting on one image. Errors in dB, pooled over bands: see `Quality`.

    bias_p95_db is that of the worst band; point_error_db is nan where the image has no point targets.
    metadata: bytes of the file that say nothing of the pixels.
    """

    scene: str
    codec: str
    setting: float
    bytes: int
    bpp: float
    rmse_db: float
    max_error_db: float
    bias_mean_db: float
    bias_p95_db: float
    enl_ratio: float
    epi: float
    psnr_amp: float
    point_error_db: float
    encode_mpix_s: float
    decode_mpix_s: float
    metadata: int = 0


@dataclass(frozen=True)
class BenchReport:
    """All points of a run, and what could not be measured, with the reason."""

    points: tuple[BenchPoint, ...]
    pixels: dict[str, int]
    labels: dict[str, str]
    skipped: dict[str, str]
    machine: str

    def curve(self, scene: str, codec: str) -> tuple[BenchPoint, ...]:
        """Points of one codec on one image, by rate."""
        found = [point for point in self.points if (point.scene, point.codec) == (scene, codec)]
        return tuple(sorted(found, key=lambda point: point.bpp))

    def bd_rates(self, codec: str, reference: str = REFERENCE, pixels_only: bool = False) -> dict[str, float]:
        """BD-rate against `reference` of every image where both have curves that overlap within BD_RATES.

        pixels_only: without the bytes that say nothing of the pixels, which the peers' codestreams lack.
        """
        rates = {}
        for scene in self.pixels:
            ours, theirs = (
                [point for point in self.curve(scene, name) if _on_curve(point)]
                for name in (codec, reference)
            )
            less = 8 / self.pixels[scene] if pixels_only else 0.0
            try:
                rate = bd_rate(*_columns(theirs, less), *_columns(ours, less))
            except NoCurve:
                continue
            if np.isfinite(rate):
                rates[scene] = rate
        return rates

    def rmse_at_equal_bytes(self, point: BenchPoint, codec: str = REFERENCE) -> float:
        """RMSE in dB that `codec` has on the same image at the rate of `point`; nan outside its curve."""
        curve = [each for each in self.curve(point.scene, codec) if 0 < each.rmse_db < np.inf]
        if len(curve) < 2 or not curve[0].bpp <= point.bpp <= curve[-1].bpp:
            return float("nan")
        logs = np.log([[each.bpp, each.rmse_db] for each in curve])
        return float(np.exp(np.interp(np.log(point.bpp), *logs.T)))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with None for what is not a finite number, and the BD-rates."""
        content = asdict(self)
        others = [codec for codec in self.labels if codec != REFERENCE]
        content["bd_rates"] = {codec: self.bd_rates(codec) for codec in others}
        content["bd_rates_of_pixels"] = {codec: self.bd_rates(codec, pixels_only=True) for codec in others}
        return _plain(content)


def bench(
    scenes: Sequence[str | os.PathLike[str]],
    codecs: Sequence[Codec],
    progress: Callable[[str], None] | None = None,
) -> BenchReport:
    """Run every codec over all its settings on every scene.

    A scene that cannot be measured (complex, no valid data) or that a codec refuses is reported in `skipped`.
    `progress` is told each codec and scene in turn. UsageError without scipy, before anything is measured.
    """
    load_pchip()
    points: list[BenchPoint] = []
    pixels: dict[str, int] = {}
    skipped: dict[str, str] = {}
    warm: set[str] = set()
    for path in scenes:
        try:
            scene = load_scene(path)
        except SarzipError as error:
            skipped[Path(path).name] = str(error)
            continue
        pixels[scene.name] = scene.pixels
        for codec in codecs:
            if progress:
                progress(f"{codec.label} on {scene.name}")
            try:
                for setting in codec.settings(scene):
                    if codec.name not in warm and scene.pixels < _WARM_UP_PIXELS:
                        codec.run(scene, setting)  # libraries load and compile at their first use
                    warm.add(codec.name)
                    points.append(_point(scene, codec.name, setting, codec.run(scene, setting)))
            except SarzipError as error:
                skipped[f"{codec.name} on {scene.name}"] = str(error)
    labels = {codec.name: codec.label for codec in codecs}
    return BenchReport(tuple(points), pixels, labels, skipped, machine_text())


def machine_text() -> str:
    """The processor and how many of its cores this process may use."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line
        ]
        name = names[0] if names else name
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def _point(scene: BenchScene, codec: str, setting: float, coded: Coded) -> BenchPoint:
    found = [band.quality(values) for band, values in zip(scene.bands, coded.decoded, strict=True)]
    weights = np.array([quality.valid_pixels for quality in found], np.float64)
    targets = np.array([quality.point_count for quality in found], np.float64)
    errors = np.array([quality.point_error_db for quality in found])

    def mean(name: str) -> float:
        return float(np.average([getattr(quality, name) for quality in found], weights=weights))

    squares = np.average([quality.rmse_db**2 for quality in found], weights=weights)
    return BenchPoint(
        scene=scene.name,
        codec=codec,
        setting=setting,
        bytes=coded.size,
        bpp=8 * coded.size / scene.pixels,
        rmse_db=float(np.sqrt(squares)),
        max_error_db=max(quality.max_error_db for quality in found),
        bias_mean_db=mean("bias_mean_db"),
        bias_p95_db=max(quality.bias_p95_db for quality in found),
        enl_ratio=mean("enl_ratio"),
        epi=mean("epi"),
        psnr_amp=mean("psnr_amp"),
        point_error_db=float(np.nansum(errors * targets) / targets.sum()) if targets.any() else float("nan"),
        encode_mpix_s=scene.pixels / 1e6 / coded.encode_seconds,
        decode_mpix_s=scene.pixels / 1e6 / coded.decode_seconds,
        metadata=coded.metadata,
    )


def _on_curve(point: BenchPoint) -> bool:
    return 0 < point.rmse_db < np.inf and BD_RATES[0] <= point.bpp <= BD_RATES[1]


def _columns(points: Sequence[BenchPoint], less: float = 0.0) -> tuple[list[float], list[float]]:
    """Rates, less so much for every byte of metadata, and errors."""
    return [point.bpp - less * point.metadata for point in points], [point.rmse_db for point in points]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
