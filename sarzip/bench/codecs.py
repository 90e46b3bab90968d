"""The codecs that `sarzip bench` can run, and the scenes it runs them on.

sarzip is measured as its users meet it, from raster file to `.sarz` file and back; a peer codes each band's
16-bit dB image from memory to memory, and its result is brought back to the file's own unit and type before
it is judged, as a user would. Scenes are held in memory whole, because the peers need them so.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sarzip.bench.peers import AIMED_ERRORS_DB, PEERS, Peer, PeerImage, find_peer
from sarzip.codec.streams import class_map as validity
from sarzip.errors import InputError, UsageError
from sarzip.grid import Window
from sarzip.measure import Domain, Quality, Strip, measure_quality, to_db
from sarzip.measure.domains import log_floor, smallest_positive
from sarzip.pipeline.band_plan import plan_bands
from sarzip.pipeline.quality import Fidelity
from sarzip.raster import RasterSink, RasterSource
from sarzip.system.outputs import naming
from sarzip.system.scratch import scratch_folder
from sarzip.usecases.compress import CompressOptions, compress
from sarzip.usecases.decompress import DecompressOptions, decompress
from sarzip.usecases.inspect import inspect

QUALITIES = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0)
LOSSLESS = "zstd-tiff"
DEFAULT_CODECS = ("sarzip", *(peer.name for peer in PEERS), LOSSLESS)
# Beyond this part of the image's own standard deviation an error is no fidelity any more.
_USEFUL_ERROR = 0.7
_STRIP_ROWS = 512
_SAMPLE = 1 << 22


@dataclass(frozen=True)
class BenchBand:
    """One band in memory: number in the file, values (height, width) in the file's type, their meaning."""

    index: int
    values: NDArray[Any]
    valid: NDArray[np.bool_]
    domain: Domain
    floor: float

    @cached_property
    def image(self) -> PeerImage:
        """The 16-bit dB image that the peers code."""
        db = np.empty(self.values.shape, np.float32)
        for rows in _strips(len(db)):
            db[rows] = to_db(self.values[rows], self.domain, self.floor)
        return PeerImage.from_db(db, self.valid)

    @cached_property
    def std_db(self) -> float:
        """Standard deviation of the valid decibels, of a part of them spread evenly where there are many."""
        few = self.values[self.valid][:: 1 + self.values.size // _SAMPLE]
        return float(to_db(few, self.domain, self.floor).std())

    def from_db(self, db: NDArray[np.float64]) -> NDArray[Any]:
        """Decoded decibels in the band's own unit and type."""
        divisor = {"amplitude": 20.0, "power": 10.0}.get(self.domain)
        values = db if divisor is None else 10.0 ** (db / divisor)
        if self.values.dtype.kind in "iu":
            info = np.iinfo(self.values.dtype)
            if divisor is not None:
                # Zeros are coded at the clamp; between it and 1 the nearer one in dB is taken, as elsewhere.
                values = np.where(values < np.sqrt(self.floor), 0, values)
            values = np.clip(np.rint(values), info.min, info.max)
        return values.astype(self.values.dtype)

    def from_codes(self, codes: NDArray[Any]) -> NDArray[Any]:
        """Decoded codes of `image` in the band's own unit and type."""
        out = np.empty(self.values.shape, self.values.dtype)
        for rows in _strips(len(out)):
            out[rows] = self.from_db(self.image.db(codes[rows]))
        return out

    def quality(self, decoded: NDArray[Any]) -> Quality:
        """Quality of decoded values (height, width)."""

        def strips() -> Iterator[Strip]:
            for rows in _strips(len(decoded)):
                yield Strip(self.values[rows], decoded[rows], self.valid[rows])

        return measure_quality(strips, self.domain, self.floor)


@dataclass(frozen=True)
class BenchScene:
    """A file and its measured bands; those kept bit for bit (alpha) and those without data are left out."""

    path: Path
    name: str
    bands: tuple[BenchBand, ...]

    @property
    def pixels(self) -> int:
        """Pixels of all measured bands, valid or not."""
        return sum(band.values.size for band in self.bands)


@dataclass(frozen=True)
class Coded:
    """One way through a codec: file size, decoded bands in the file's type, seconds.

    metadata: bytes of the size that say nothing of the pixels (header, georeferencing, tags, index).
    """

    size: int
    decoded: tuple[NDArray[Any], ...]
    encode_seconds: float
    decode_seconds: float
    metadata: int = 0


class Codec(Protocol):
    """What can be measured. settings: from coarse to fine or the other way, in the codec's own terms."""

    @property
    def name(self) -> str:
        """Name in options and results."""

    @property
    def label(self) -> str:
        """Name for people."""

    def settings(self, scene: BenchScene) -> tuple[float, ...]:
        """The settings that make sense for the scene."""

    def run(self, scene: BenchScene, setting: float) -> Coded:
        """Code and decode the scene once."""


@dataclass(frozen=True)
class PeerCodec:
    """A classical codec on the dB images of all bands."""

    peer: Peer
    threads: int
    errors: tuple[float, ...] = AIMED_ERRORS_DB

    @property
    def name(self) -> str:
        """Name in options and results."""
        return self.peer.name

    @property
    def label(self) -> str:
        """Name for people."""
        return self.peer.label

    def settings(self, scene: BenchScene) -> tuple[float, ...]:
        """Aimed errors in dB below the scene's own spread."""
        limit = _USEFUL_ERROR * max(band.std_db for band in scene.bands)
        return tuple(error for error in self.errors if error < limit) or self.errors[:1]

    def run(self, scene: BenchScene, setting: float) -> Coded:
        """Code every band at the same aimed error."""
        images = [band.image for band in scene.bands]
        start = time.perf_counter()
        streams = [self.peer.encode(image, setting, self.threads) for image in images]
        middle = time.perf_counter()
        codes = [
            self.peer.decode(data, image, self.threads) for data, image in zip(streams, images, strict=True)
        ]
        end = time.perf_counter()
        decoded = [band.from_codes(code) for band, code in zip(scene.bands, codes, strict=True)]
        return Coded(sum(map(len, streams)), tuple(decoded), middle - start, end - middle)


@dataclass(frozen=True)
class SarzipCodec:
    """sarzip from file to file, with everything but the quality fixed by `options`. processes: as commands in
    processes of their own, whose start and end are then part of the time.
    """

    name: str = "sarzip"
    label: str = "sarzip"
    options: CompressOptions = field(default_factory=CompressOptions)
    qualities: tuple[float, ...] = QUALITIES
    processes: bool = False

    def settings(self, scene: BenchScene) -> tuple[float, ...]:
        """Qualities."""
        return self.qualities

    def run(self, scene: BenchScene, setting: float) -> Coded:
        """Compress and decompress the file in a temporary folder."""
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            packed, restored = Path(folder) / "scene.sarz", Path(folder) / "scene.tif"
            options = replace(self.options, fidelity=Fidelity("quality", setting))
            how = DecompressOptions(options.device, options.threads, model=options.model)
            start = time.perf_counter()
            if self.processes:
                chosen = ("--quality", setting, "--effort", options.effort)
                _command("compress", scene.path, packed, options, *chosen)
            else:
                compress(scene.path, packed, options)
            middle = time.perf_counter()
            if self.processes:
                _command("decompress", packed, restored, options)
            else:
                decompress(packed, restored, how)
            end = time.perf_counter()
            decoded, metadata = _read(restored, scene), inspect(packed).overhead_bytes
            return Coded(packed.stat().st_size, decoded, middle - start, end - middle, metadata)


def _command(command: str, source: Path, target: Path, options: CompressOptions, *more: object) -> None:
    """Run a command of sarzip in a process of its own. Raises UsageError where it fails."""
    shared = ("--model", options.model, "--device", options.device, "--threads", options.threads, "--quiet")
    line = [sys.executable, "-m", "sarzip", command, source, "-o", target, *shared, *more]
    done = subprocess.run([str(each) for each in line], stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise UsageError(f"sarzip {command} ended with code {done.returncode}: {done.stderr.strip()}")


@dataclass(frozen=True)
class ZstdTiffCodec:
    """The lossless GeoTIFF an archive would hold otherwise: ZSTD with predictor, original type."""

    threads: int
    name: str = LOSSLESS
    label: str = "ZSTD GeoTIFF (lossless)"

    def settings(self, scene: BenchScene) -> tuple[float, ...]:
        """There is nothing to set."""
        return (0.0,)

    def run(self, scene: BenchScene, setting: float) -> Coded:
        """Write and read the measured bands."""
        values = [band.values for band in scene.bands]
        height, width = values[0].shape
        with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
            path = Path(folder) / "scene.tif"
            dtypes = [value.dtype.name for value in values]
            start = time.perf_counter()
            with RasterSink.create(
                path, width, height, dtypes, {}, compress="ZSTD", threads=self.threads
            ) as sink:
                for number, value in enumerate(values):
                    sink.write(number, 0, 0, value)
            middle = time.perf_counter()
            with RasterSource.open(path, self.threads) as raster:
                whole = Window(0, 0, height, raster.info.width)
                decoded = tuple(raster.read([band], whole)[0] for band in range(len(values)))
            return Coded(path.stat().st_size, decoded, middle - start, time.perf_counter() - middle)


def choose_codecs(
    names: Sequence[str],
    options: CompressOptions,
    threads: int,
    qualities: tuple[float, ...] = QUALITIES,
    processes: bool = False,
) -> tuple[Codec, ...]:
    """Codecs by name: a peer, 'zstd-tiff', 'sarzip', 'sarzip:MODEL' or 'sarzip:MODEL:EFFORT'. processes: see
    SarzipCodec.
    """
    chosen: list[Codec] = []
    for name in names:
        if name == LOSSLESS:
            chosen.append(ZstdTiffCodec(threads))
        elif name == "sarzip" or name.startswith("sarzip:"):
            _, model, effort = (*name.split(":"), "", "")[:3]
            changes = {key: value for key, value in (("model", model), ("effort", effort)) if value}
            fixed = replace(options, **changes)  # type: ignore[arg-type]
            chosen.append(SarzipCodec(name, name, fixed, qualities, processes))
        else:
            chosen.append(PeerCodec(find_peer(name), threads))
    return tuple(chosen)


def load_scene(path: str | os.PathLike[str]) -> BenchScene:
    """Read a scene into memory. Raises InputError where there is nothing to measure."""
    bands = []
    with naming(str(path)), RasterSource.open(Path(path)) as raster:
        info = raster.info
        for number, dtype in enumerate(info.dtypes, start=1):
            if dtype.startswith("complex"):
                raise InputError(f"band {number} is {dtype}: only detected images are compared")
        for number, band in enumerate(plan_bands(raster)):
            plan = band.transform
            if not band.lossy:
                continue
            values = raster.read([number], Window(0, 0, info.height, info.width))[0]
            valid = validity.classify(values, plan.specials, plan.shared_zero) == 0
            if not valid.any():
                continue
            domain: Domain = plan.radiometry.domain  # type: ignore[assignment]
            floor = log_floor(values.dtype, domain, [smallest_positive(values, valid)])
            bands.append(BenchBand(number, values, valid, domain, floor))
        if not bands:
            raise InputError("no band with valid measurements")
    return BenchScene(Path(path), Path(path).name, tuple(bands))


def _strips(height: int) -> Iterator[slice]:
    for row in range(0, height, _STRIP_ROWS):
        yield slice(row, row + _STRIP_ROWS)


def _read(path: Path, scene: BenchScene) -> tuple[NDArray[Any], ...]:
    with RasterSource.open(path) as raster:
        whole = Window(0, 0, raster.info.height, raster.info.width)
        return tuple(raster.read([band.index], whole)[0] for band in scene.bands)
