"""Write a realistic simulated SAR scene as a GeoTIFF, strip by strip."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sarzip.container.georeference import Gcps, Metadata, encode
from sarzip.errors import UsageError
from sarzip.raster import RasterSink
from sarzip.simulate import SceneConfig, Simulator, ground_points, preset, utm_transform
from sarzip.simulate.presets import GEOGRAPHIC_EPSG, UTM_EPSG
from sarzip.system.machine import choose_machine, peak_memory
from sarzip.system.outputs import atomic_path

DEFAULT_SIZE = 2048
FORMS = ("amplitude", "power", "db")
# The height of the tiles that large GeoTIFFs have: every tile is written once.
_STRIP = 512
# A detected product is sampled finer than a single-look one; see the simulator's presets.
_DETECTED = SceneConfig(1, 1, looks=4.4, oversampling=(2.0, 1.8))
_SINGLE_LOOK = SceneConfig(1, 1, looks=1)
_DESCRIPTIONS = {"amplitude": "amplitude_{}", "power": "sigma0_{}", "db": "sigma0_{}_dB"}

Progress = Callable[[int, int], None]
"""Called with the number of rows finished and their total."""


@dataclass(frozen=True)
class SampleOptions:
    """What to simulate.

    like: a product to imitate ('s1-grdh': ground control points, borders without data, full size unless
    `size` is given); else a scene with a UTM transform, `size` x `size` pixels or `width` x `height`. looks:
    equivalent number of looks, None: 4.4. form: 'amplitude' (uint16), 'power' or 'db' (float32). threads 0:
    all cores. dual_pol: two bands, VV and VH, instead of VV.
    """

    like: str | None = None
    size: int | None = None
    width: int | None = None
    height: int | None = None
    looks: float | None = None
    form: str = "amplitude"
    seed: int = 0
    threads: int = 0
    force: bool = False
    dual_pol: bool = False


@dataclass(frozen=True)
class SampleReport:
    """What was written; seconds of wall time, peak memory of the process in bytes."""

    output: str
    width: int
    height: int
    dtype: str
    looks: float
    seed: int
    seconds: float
    mpix_per_s: float
    peak_memory: int


def scene_config(options: SampleOptions) -> SceneConfig:
    """The scene that the options describe; raises UsageError where they contradict each other."""
    if options.form not in FORMS:
        raise UsageError(f"`form` {options.form}: expected {', '.join(FORMS)}")
    if options.size is not None and (options.width is not None or options.height is not None):
        raise UsageError("`size` cannot be combined with `width` or `height`")
    if options.like is not None:
        if options.width is not None or options.height is not None:
            raise UsageError("`like` has a shape of its own: give `size` for its width, or nothing")
        config = preset(options.like, options.size, options.seed)
    else:
        side = DEFAULT_SIZE if options.size is None else options.size
        pattern = _SINGLE_LOOK if options.looks is not None and options.looks < 1.5 else _DETECTED
        config = replace(
            pattern,
            width=side if options.width is None else options.width,
            height=side if options.height is None else options.height,
            seed=options.seed,
        )
    looks = config.looks if options.looks is None else options.looks
    return replace(config, looks=looks, form=options.form)  # type: ignore[arg-type]


def sample(
    destination: str | os.PathLike[str],
    options: SampleOptions = SampleOptions(),
    progress: Progress | None = None,
) -> SampleReport:
    """Simulate a scene into the GeoTIFF `destination`. Raises UsageError or OutputError."""
    started = time.perf_counter()
    config = scene_config(options)
    threads = choose_machine("cpu", options.threads).threads
    with atomic_path(destination, options.force) as part:
        bands = [config, replace(config, cross=True)] if options.dual_pol else [config]
        tags = _tags(bands, with_gcps=options.like is not None)
        shape = (config.width, config.height, [config.dtype.name] * len(bands))
        with RasterSink.create(part, *shape, tags, threads=threads) as sink:
            row = 0
            for strips in zip(*(Simulator(band).strips(_STRIP, threads) for band in bands), strict=True):
                for band, strip in enumerate(strips):
                    sink.write(band, row, 0, strip)
                row += len(strips[0])
                if progress:
                    progress(row, config.height)
    seconds = time.perf_counter() - started
    return SampleReport(
        output=str(destination),
        width=config.width,
        height=config.height,
        dtype=config.dtype.name,
        looks=config.looks,
        seed=config.seed,
        seconds=seconds,
        mpix_per_s=len(bands) * config.width * config.height / 1e6 / seconds,
        peak_memory=peak_memory(),
    )


def _tags(bands: list[SceneConfig], with_gcps: bool) -> dict[str, Any]:
    """Everything beside the pixels, as the raster layer takes it."""
    config, count = bands[0], len(bands)
    meta = Metadata.plain(count)
    said = {
        "PRODUCT": f"simulated {config.form}",
        "LOOKS": f"{config.looks:g}",
        "NOISE_FLOOR_DB": f"{config.noise_db:g}",
        "SEED": str(config.seed),
    }
    meta = replace(
        meta,
        tags={"": said},
        descriptions=tuple(_DESCRIPTIONS[config.form].format("VH" if band.cross else "VV") for band in bands),
        units=("dB" if config.form == "db" else None,) * count,
        nodata=(config.nodata if config.border > 0 else None,) * count,
    )
    if not with_gcps:
        return encode(replace(meta, crs=f"EPSG:{UTM_EPSG}", transform=utm_transform()))
    points = ground_points(config)
    values = np.array([(p.row, p.column, p.longitude, p.latitude, p.height) for p in points], np.float64)
    ids = tuple(str(number + 1) for number in range(len(points)))
    gcps = Gcps(values, ids, ("",) * len(points), f"EPSG:{GEOGRAPHIC_EPSG}")
    return encode(replace(meta, gcps=gcps))
