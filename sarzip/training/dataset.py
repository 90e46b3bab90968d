"""Training signals from a folder of rasters: read once, kept as int16 dB on disk, served as random crops.

Every band becomes one scene of the signal the codec sees (dB about its median, holes filled). The cache is
one flat int16 file of 1/256 dB steps that is mapped, not loaded, so the memory needed does not grow with the
folder.
"""

from __future__ import annotations

import csv
import itertools
import logging
import math
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.signal import inpaint
from sarzip.codec.signal.radiometry import fit_radiometry
from sarzip.codec.streams import class_map
from sarzip.errors import InputError, OutputError
from sarzip.grid import Window
from sarzip.kinds import BandKind, Kind, detect
from sarzip.pipeline.band_plan import sample_of
from sarzip.raster import RasterSource
from sarzip.simulate import SceneConfig, simulate

_log = logging.getLogger(__name__)

SUFFIXES = (".tif", ".tiff", ".vrt", ".img", ".jp2", ".nc", ".h5")
SCALE = 256  # cache steps per dB: int16 then holds ±128 dB with an error of 0.002 dB
TILE = 4096  # larger bands are read and kept in tiles of this many pixels a side
_LEAST_VALID = 0.25  # tiles with fewer measurements teach the filling, not the data
SIMULATED = "simulated"
_SIMULATED_SIDE = 512


@dataclass(frozen=True)
class Source:
    """One raster file of the folder, with what its manifest says. `kind` groups files for sampling."""

    path: Path
    kind: str
    scene: str
    licence: str


@dataclass(frozen=True)
class Scene:
    """One band (or tile of a band) in the cache: shape in pixels, offset in values."""

    source: Source
    rows: int
    columns: int
    offset: int

    @property
    def pixels(self) -> int:
        """Number of values."""
        return self.rows * self.columns


def find_sources(folder: Path, released: bool = True) -> list[Source]:
    """Rasters to train on, sorted by name.

    With a manifest.csv in the folder or the one above, only its rows of split `train` count and, if
    `released`, only those whose pixels may train weights that are given away. InputError when nothing is
    left.
    """
    folder = folder.resolve()
    nearby = (folder / "manifest.csv", folder.parent / "manifest.csv")
    manifest = next((path for path in nearby if path.is_file()), None)
    if manifest is None:
        paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
        sources = [Source(path, path.parent.name, scene_name(path.stem), "") for path in paths]
    else:
        sources = []
        for row in _rows(manifest):
            path = manifest.parent / row["file"]
            allowed = not released or row.get("may_train_released_weights") == "yes"
            if row.get("split") == "train" and allowed and path.is_relative_to(folder) and path.is_file():
                kind = f"{row.get('sensor', '')} {row.get('product', '')} {row.get('dtype', '')}"
                sources.append(Source(path, kind, scene_name(path.stem), row.get("license", "")))
        sources.sort(key=lambda source: source.path)
    if not sources:
        raise InputError(
            f"{folder}: no rasters to train on" + (" that its manifest allows" if manifest else "")
        )
    return sources


def _rows(manifest: Path) -> list[dict[str, str]]:
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{manifest}: cannot be read ({error})") from error
    if rows and not {"file", "split"} <= set(rows[0]):
        raise InputError(f"{manifest}: needs the columns file and split")
    return rows


def scene_name(stem: str) -> str:
    """The place a file shows; files of one place stay on the same side of the validation split.

    The third of the name's parts between underscores (sensor_product_place_…), without a trailing part
    number; the whole name where it has fewer parts.
    """
    parts = stem.split("_")
    return re.sub(r"-\d{1,2}$", "", parts[2] if len(parts) > 2 else stem)


def _signals(source: Source) -> Iterator[NDArray[np.float32]]:
    """The signal of every band by tiles, float32 (rows, columns) in dB about the median, holes filled."""
    with RasterSource.open(source.path) as raster:
        info = raster.info
        for band in range(info.count):
            sample = _detected(sample_of(raster, band))
            evidence = replace(info.evidence[band], dtype=str(sample.dtype))
            # Complex data is worked with by its amplitude; what the manifest says counts as the file's name.
            given = BandKind(Kind.BACKSCATTER, "amplitude") if info.dtypes[band].startswith("c") else None
            named = replace(evidence, file_name=f"{source.kind} {evidence.file_name}")
            verdict = detect(named, sample, given=given)
            if verdict.kind is not Kind.BACKSCATTER or not verdict.domain:
                continue
            transform = _Transform(sample, info.nodata[band], verdict.domain)
            for top, left in itertools.product(range(0, info.height, TILE), range(0, info.width, TILE)):
                place = Window(top, left, min(TILE, info.height - top), min(TILE, info.width - left))
                signal = transform.apply(_detected(raster.read([band], place)[0]))
                if signal is not None:
                    yield signal


def _detected(values: NDArray[Any]) -> NDArray[Any]:
    return np.abs(values) if values.dtype.kind == "c" else values


class _Transform:
    """From the values of one band to its signal, as the codec does it."""

    def __init__(self, sample: NDArray[Any], nodata: float | None, domain: str) -> None:
        """sample (rows × columns): decides floor and centre."""
        self.specials = class_map.special_values(sample.dtype, nodata)
        self.shared_zero = class_map.shares_zero(sample.dtype, nodata)
        valid = sample[class_map.classify(sample, self.specials, self.shared_zero) == 0]
        self.radiometry = fit_radiometry(valid, domain)

    def apply(self, values: NDArray[Any]) -> NDArray[np.float32] | None:
        """Signal of a tile, holes filled; None if too little of it is valid."""
        missing = class_map.classify(values, self.specials, self.shared_zero) > 0
        if np.mean(~missing) < _LEAST_VALID:
            return None
        signal = self.radiometry.forward(values)
        inpaint.fill(signal, missing | ~np.isfinite(signal))
        return signal


def simulated_sources(count: int) -> list[Source]:
    """`count` simulated scenes, in place of files; their number is their seed."""
    return [
        Source(Path(f"{SIMULATED}-{n}"), SIMULATED, f"{SIMULATED}{n}", "none needed") for n in range(count)
    ]


def _simulated(source: Source) -> Iterator[NDArray[np.float32]]:
    """A simulated scene's signal: 1 to 16 looks, sampled up to twice as finely as its resolution."""
    number = int(source.path.name.removeprefix(f"{SIMULATED}-"))
    rng = np.random.default_rng(number)
    looks = float(np.exp2(rng.uniform(0, 4)))
    sampling = (float(rng.uniform(1, 2)), float(rng.uniform(1, 2)))
    side = _SIMULATED_SIDE
    values = simulate(SceneConfig(side, side, looks=looks, seed=number, oversampling=sampling))
    signal = _Transform(values, 0.0, "amplitude").apply(values)
    if signal is not None:
        yield signal


@dataclass(frozen=True)
class Dataset:
    """Scenes in a mapped cache, and how often each is drawn (`weights` sum to one)."""

    values: NDArray[np.int16]
    scenes: tuple[Scene, ...]
    weights: NDArray[np.float64]

    @property
    def pixels(self) -> int:
        """Pixels of all scenes."""
        return sum(scene.pixels for scene in self.scenes)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The files behind the scenes, each once."""
        return tuple(dict.fromkeys(scene.source for scene in self.scenes))

    def signal(self, scene: Scene) -> NDArray[np.int16]:
        """The scene's plane (rows, columns) in steps of 1/SCALE dB, mapped."""
        return self.values[scene.offset : scene.offset + scene.pixels].reshape(scene.rows, scene.columns)

    def batch(self, count: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Random crops (count, 1, size, size) in dB, each turned or mirrored one of eight ways."""
        crops = np.empty((count, 1, size, size), np.float32)
        for crop, choice in zip(crops, rng.choice(len(self.scenes), count, p=self.weights), strict=True):
            scene = self.scenes[choice]
            row = int(rng.integers(max(1, scene.rows - size + 1)))
            column = int(rng.integers(max(1, scene.columns - size + 1)))
            crop[0] = _turned(self.crop(scene, row, column, size), int(rng.integers(8)))
        return crops

    def crop(self, scene: Scene, row: int, column: int, size: int) -> NDArray[np.float32]:
        """One crop (size, size) in dB; a scene smaller than that is continued by reflection."""
        plane = self.signal(scene)[row : row + size, column : column + size]
        missing = [(0, size - n) for n in plane.shape]
        if any(after for _, after in missing):
            plane = np.pad(plane, missing, mode="symmetric")
        return plane.astype(np.float32) * np.float32(1.0 / SCALE)

    def fixed_crops(self, size: int, most: int) -> NDArray[np.float32]:
        """At most `most` crops (n, 1, size, size) spread evenly over all scenes, the same at every call."""
        places = [
            (scene, row, column)
            for scene in self.scenes
            for row in range(0, max(1, scene.rows - size + 1), size)
            for column in range(0, max(1, scene.columns - size + 1), size)
        ]
        picked = [
            places[i] for i in np.linspace(0, len(places) - 1, min(most, len(places))).round().astype(int)
        ]
        return np.stack([self.crop(scene, row, column, size) for scene, row, column in picked])[:, None]

    def subset(self, keep: set[str], inside: bool) -> Dataset:
        """The scenes whose place is (or is not) in `keep`, weighed anew."""
        scenes = tuple(s for s in self.scenes if (s.source.scene in keep) == inside)
        return Dataset(self.values, scenes, balanced_weights(scenes))


def _turned(crop: NDArray[np.float32], which: int) -> NDArray[np.float32]:
    """One of the eight symmetries of the square."""
    turned = np.rot90(crop, which % 4)
    return turned.T if which >= 4 else turned


def balanced_weights(scenes: tuple[Scene, ...]) -> NDArray[np.float64]:
    """Probability of drawing each scene: kinds by the square root of their pixels, scenes of a kind by their
    pixels.

    The root keeps a kind with a hundred files from drowning the others without repeating a tiny one for ever.
    """
    total: dict[str, int] = defaultdict(int)
    for scene in scenes:
        total[scene.source.kind] += scene.pixels
    weights = np.array([s.pixels / math.sqrt(total[s.source.kind]) for s in scenes], np.float64)
    return weights / weights.sum() if weights.size else weights


def load_dataset(sources: list[Source], cache: Path) -> Dataset:
    """Read all sources into the file `cache` and map it. Unreadable rasters are named and left out."""
    scenes: list[Scene] = []
    offset = 0
    try:
        with cache.open("wb") as file:
            for source, signal in _all_signals(sources):
                steps = np.clip(np.rint(signal * SCALE), -32768, 32767).astype(np.int16)
                file.write(steps.tobytes())
                scenes.append(Scene(source, steps.shape[0], steps.shape[1], offset))
                offset += steps.size
    except OSError as error:
        raise OutputError(f"{cache}: cannot be written ({error})") from error
    if not scenes:
        raise InputError("none of the rasters to train on could be read or has enough valid pixels")
    values = np.memmap(cache, np.int16, "r", shape=(offset,))
    return Dataset(values, tuple(scenes), balanced_weights(tuple(scenes)))


def _all_signals(sources: list[Source]) -> Iterator[tuple[Source, NDArray[np.float32]]]:
    for source in sources:
        try:
            for signal in (_simulated if source.kind == SIMULATED else _signals)(source):
                yield source, signal
        except InputError as error:
            _log.warning("left out: %s", error)


def split_validation(dataset: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """Part of the places for training and about `share` of the pixels, in whole places, for validation.

    Places are taken in the order of the CRC-32 of their names, so that the choice depends on nothing else:
    one that adds a kind not yet represented, never a kind's only place. With one place in all, both parts are
    the same.
    """
    places: dict[str, int] = defaultdict(int)
    kinds: dict[str, set[str]] = defaultdict(set)
    for scene in dataset.scenes:
        places[scene.source.scene] += scene.pixels
        kinds[scene.source.kind].add(scene.source.scene)
    held: set[str] = set()
    wanted = share * dataset.pixels
    for place in sorted(places, key=lambda name: (zlib.crc32(name.encode()), name)):
        touched = [names for names in kinds.values() if place in names]
        useful = all(names - held - {place} for names in touched) and not all(
            names & held for names in touched
        )
        if useful and places[place] <= wanted:
            held.add(place)
            wanted -= places[place]
    if not held:
        return dataset, dataset
    return dataset.subset(held, inside=False), dataset.subset(held, inside=True)
