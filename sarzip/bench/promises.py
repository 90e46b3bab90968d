"""sarzip beside its peers where a promise counts: bit for bit, or a bound on the error of every measurement.

Within a bound of E dB the peers code the dB image, missing pixels filled smoothly and told by a deflated
bitmap: JPEG XL and JPEG-LS its index in steps of 2·E, without loss; SZ3, SPERR and LERC the floats, with
their own bound. Their results stay in dB: that integers would still have to be rounded is not counted.
Lossless peers code the bands as they are. Everything is decoded and checked.
"""

from __future__ import annotations

import os
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.bench.codecs import BenchBand, BenchScene, load_scene
from sarzip.bench.peers import load_imagecodecs
from sarzip.bench.run import machine_text
from sarzip.codec.signal.bounds import Bound
from sarzip.codec.signal.inpaint import fill
from sarzip.codec.signal.radiometry import Radiometry
from sarzip.errors import SarzipError, UsageError
from sarzip.grid import Window
from sarzip.measure import to_db
from sarzip.raster import RasterSink, RasterSource
from sarzip.system.scratch import scratch_folder
from sarzip.usecases.compress import CompressOptions, compress
from sarzip.usecases.decompress import DecompressOptions, decompress

BOUNDS_DB = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0)
LOSSLESS = 0.0
"""The setting that stands for bit for bit."""
_SLACK = 1e-3  # of a bound: peers work in float32


@dataclass(frozen=True)
class PromisePoint:
    """One codec on one scene. setting: the bound in dB, or LOSSLESS. kept: whether the promise was. bpp: of
    the measured bands.
    """

    scene: str
    codec: str
    setting: float
    bytes: int
    bpp: float
    kept: bool
    encode_mpix_s: float
    decode_mpix_s: float


@dataclass(frozen=True)
class PromiseRow:
    """One codec at one setting over all scenes that it codes. change, worst: of bpp against the best peer of
    each scene, as a fraction: mean over scenes, and the largest.
    """

    codec: str
    setting: float
    scenes: int
    bpp: float
    change: float
    worst: float
    encode_mpix_s: float
    decode_mpix_s: float
    broken: int


@dataclass(frozen=True)
class PromiseReport:
    """All points of a run, what was left out and why, and the machine."""

    points: tuple[PromisePoint, ...]
    skipped: dict[str, str]
    machine: str

    def rows(self) -> Iterator[PromiseRow]:
        """A row for every setting and codec, codecs in the order of the run."""
        for setting in dict.fromkeys(point.setting for point in self.points):
            here = [point for point in self.points if point.setting == setting]
            best: dict[str, float] = {}
            for point in here:
                if point.codec != OWN and point.kept:
                    best[point.scene] = min(point.bpp, best.get(point.scene, np.inf))
            for codec in dict.fromkeys(point.codec for point in here):
                yield _row([point for point in here if point.codec == codec], best)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "rows": [asdict(row) for row in self.rows()]}


def _row(points: Sequence[PromisePoint], best: dict[str, float]) -> PromiseRow:
    changes = [point.bpp / best[point.scene] - 1 for point in points if point.scene in best]
    encode, decode = (
        len(points) / sum(1 / getattr(point, name) for point in points)
        for name in ("encode_mpix_s", "decode_mpix_s")
    )
    return PromiseRow(
        points[0].codec,
        points[0].setting,
        len(points),
        float(np.mean([point.bpp for point in points])),
        float(np.mean(changes)) if changes else float("nan"),
        max(changes, default=float("nan")),
        encode,
        decode,
        sum(not point.kept for point in points),
    )


OWN = "sarzip"
Coder = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]


@dataclass(frozen=True)
class _Decibels:
    """A band in dB, missing pixels filled. The mask that a peer needs beside it, in bytes."""

    db: NDArray[np.float32]
    valid: NDArray[np.bool_]
    mask_bytes: int

    @classmethod
    def of(cls, band: BenchBand) -> _Decibels:
        db = to_db(band.values, band.domain, band.floor).astype(np.float32)
        if band.valid.all():
            return cls(db, band.valid, 0)
        db = np.where(band.valid, db, np.float32(0))
        fill(db, ~band.valid)
        return cls(db, band.valid, len(zlib.compress(np.packbits(band.valid).tobytes(), 9)))

    def index(self, bound: float) -> NDArray[np.uint16]:
        """In steps of twice the bound from the least value on. UsageError where 16 bits do not hold it."""
        index = np.rint((self.db - self.db.min()) / (2 * bound))
        if index.max() > 65535:
            raise UsageError(f"a bound of {bound:g} dB has more than 65536 steps")
        return index.astype(np.uint16)


def _bounded_peers(bound: float, threads: int) -> dict[str, Callable[[_Decibels], Coder]]:
    ic = load_imagecodecs()

    def of_index(
        encode: Callable[[Any], bytes], decode: Callable[[bytes], Any]
    ) -> Callable[[_Decibels], Coder]:
        return lambda image: (
            lambda _: encode(image.index(bound)),
            lambda data: decode(data) * np.float64(2 * bound) + image.db.min(),
        )

    return {
        **{name: of_index(*coder) for name, coder in _integer_coders(threads).items()},
        "SZ3": lambda image: (
            lambda x: ic.sz3_encode(x.db, "abs", abs=bound),
            lambda data: ic.sz3_decode(data, image.db.shape, np.dtype(np.float32)),
        ),
        "SPERR": lambda image: (
            lambda x: ic.sperr_encode(x.db, bound, "pwe", numthreads=threads),
            lambda data: ic.sperr_decode(data, numthreads=threads),
        ),
        "LERC": lambda image: (
            lambda x: zstd_smaller(ic.lerc_encode(x.db, level=bound)),
            lambda data: ic.lerc_decode(zstd_original(data)),
        ),
    }


def _integer_coders(threads: int) -> dict[str, Coder]:
    """Those that keep integers of up to 16 bits, whatever they stand for, without loss."""
    ic = load_imagecodecs()
    return {
        "JPEG XL e7": (
            lambda x: ic.jpegxl_encode(x, lossless=True, effort=7, usecontainer=False, numthreads=threads),
            lambda data: ic.jpegxl_decode(data, numthreads=threads),
        ),
        "JPEG-LS": (ic.jpegls_encode, ic.jpegls_decode),
    }


def zstd_smaller(data: bytes) -> bytes:
    """As LERC_ZSTD does: compressed once more, where that helps; the first byte tells."""
    packed = load_imagecodecs().zstd_encode(data, level=9)
    return b"\1" + packed if len(packed) < len(data) else b"\0" + data


def zstd_original(data: bytes) -> bytes:
    """Inverse of zstd_smaller."""
    return bytes(load_imagecodecs().zstd_decode(data[1:])) if data[:1] == b"\1" else data[1:]


def _lossless_peers(dtype: np.dtype[Any], shape: tuple[int, int], threads: int) -> dict[str, Coder]:
    ic = load_imagecodecs()
    peers: dict[str, Coder] = {
        "LERC": (
            lambda x: zstd_smaller(ic.lerc_encode(x, level=0)),
            lambda data: ic.lerc_decode(zstd_original(data)),
        )
    }
    if dtype.itemsize >= 2:
        peers["pcodec"] = (
            lambda x: ic.pcodec_encode(np.ascontiguousarray(x), level=12),
            lambda data: ic.pcodec_decode(data, shape, dtype),
        )
    if dtype in (np.uint8, np.uint16):
        peers |= _integer_coders(threads)
        peers["JPEG 2000"] = (
            lambda x: ic.jpeg2k_encode(x, reversible=True, level=0, codecformat="j2k", numthreads=threads),
            lambda data: ic.jpeg2k_decode(data, numthreads=threads),
        )
        peers["PNG"] = lambda x: ic.png_encode(x, level=9), ic.png_decode
    return peers


def bench_bounded(
    paths: Sequence[str | os.PathLike[str]],
    bounds: Sequence[float],
    options: CompressOptions,
    threads: int,
    progress: Callable[[str], None] | None = None,
) -> PromiseReport:
    """Every codec at every bound in dB on every scene."""

    def measure(scene: BenchScene) -> Iterator[PromisePoint]:
        images = [_Decibels.of(band) for band in scene.bands]
        masks = sum(image.mask_bytes for image in images)
        for bound in bounds:
            yield _own(scene, bound, replace(options, max_error_db=bound))
            for name, coder in _bounded_peers(bound, threads).items():

                def kept(decoded: list[Any], bound: float = bound) -> bool:
                    worst = (np.abs(d - i.db)[i.valid].max() for d, i in zip(decoded, images, strict=True))
                    return bool(max(worst) <= bound * (1 + _SLACK))

                yield _timed(scene, name, bound, [(coder(each), each) for each in images], masks, kept)

    return _over(paths, measure, progress)


def bench_lossless(
    paths: Sequence[str | os.PathLike[str]],
    options: CompressOptions,
    threads: int,
    progress: Callable[[str], None] | None = None,
) -> PromiseReport:
    """Every lossless codec that takes the type of a scene, on every scene."""

    def measure(scene: BenchScene) -> Iterator[PromisePoint]:
        yield _own(scene, LOSSLESS, replace(options, lossless=True))
        values = [band.values for band in scene.bands]

        def kept(decoded: list[Any]) -> bool:
            return all(_same(a, b) for a, b in zip(decoded, values, strict=True))

        for name, coder in _lossless_peers(values[0].dtype, values[0].shape, threads).items():
            yield _timed(scene, name, LOSSLESS, [(coder, each) for each in values], 0, kept)
        for method in ("ZSTD", "DEFLATE"):
            yield _geotiff(scene, method, threads)

    return _over(paths, measure, progress)


def _over(
    paths: Sequence[str | os.PathLike[str]],
    measure: Callable[[BenchScene], Iterator[PromisePoint]],
    progress: Callable[[str], None] | None,
) -> PromiseReport:
    points: list[PromisePoint] = []
    skipped: dict[str, str] = {}
    for path in paths:
        try:
            scene = load_scene(path)
            for point in measure(scene):
                points.append(point)
                if progress:
                    progress(f"{point.scene}: {point.codec} {point.setting:g}: {point.bpp:.3f} bpp")
        except SarzipError as error:
            skipped[Path(path).name] = str(error)
    return PromiseReport(tuple(points), skipped, machine_text())


def _timed(
    scene: BenchScene,
    name: str,
    setting: float,
    work: Sequence[tuple[Coder, Any]],
    more: int,
    kept: Callable[[list[Any]], bool],
) -> PromisePoint:
    start = time.perf_counter()
    streams = [bytes(encode(image)) for (encode, _), image in work]
    middle = time.perf_counter()
    decoded = [decode(data) for ((_, decode), _), data in zip(work, streams, strict=True)]
    seconds = middle - start, time.perf_counter() - middle
    return _point(scene, name, setting, sum(map(len, streams)) + more, seconds, kept(decoded))


def _own(scene: BenchScene, setting: float, options: CompressOptions) -> PromisePoint:
    """sarzip from file to file, metadata included; bands that are not measured are left out of the bytes."""
    from sarzip.usecases.inspect import inspect

    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        packed, restored = Path(folder) / "scene.sarz", Path(folder) / "scene.tif"
        start = time.perf_counter()
        compress(scene.path, packed, options)
        middle = time.perf_counter()
        decompress(packed, restored, DecompressOptions(options.device, options.threads))
        seconds = middle - start, time.perf_counter() - middle
        about = inspect(packed)
        used = {band.index + 1 for band in scene.bands}
        size = about.overhead_bytes + sum(band.bytes for band in about.bands if band.band in used)
        with RasterSource.open(restored) as raster:
            whole = Window(0, 0, raster.info.height, raster.info.width)
            decoded = [raster.read([band.index], whole)[0] for band in scene.bands]
    kept = all(_within(band, values, setting) for band, values in zip(scene.bands, decoded, strict=True))
    return _point(scene, OWN, setting, size, seconds, kept)


def _geotiff(scene: BenchScene, method: str, threads: int) -> PromisePoint:
    values = [band.values for band in scene.bands]
    height, width = values[0].shape
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as folder:
        path, dtypes = Path(folder) / "scene.tif", [value.dtype.name for value in values]
        start = time.perf_counter()
        sink_of = RasterSink.create(path, width, height, dtypes, {}, compress=method, threads=threads)
        with sink_of as sink:
            for number, value in enumerate(values):
                sink.write(number, 0, 0, value)
        middle = time.perf_counter()
        with RasterSource.open(path, threads) as raster:
            whole = Window(0, 0, height, width)
            decoded = [raster.read([band], whole)[0] for band in range(len(values))]
        seconds = middle - start, time.perf_counter() - middle
        kept = all(_same(a, b) for a, b in zip(decoded, values, strict=True))
        return _point(scene, f"{method} GeoTIFF", LOSSLESS, path.stat().st_size, seconds, kept)


def _point(
    scene: BenchScene, codec: str, setting: float, size: int, seconds: tuple[float, float], kept: bool
) -> PromisePoint:
    speeds = (scene.pixels / 1e6 / each for each in seconds)
    return PromisePoint(scene.name, codec, setting, size, 8 * size / scene.pixels, kept, *speeds)


def _within(band: BenchBand, decoded: NDArray[Any], bound: float) -> bool:
    if bound == LOSSLESS:
        return _same(decoded, band.values)
    before, after = band.values[band.valid], decoded[band.valid]
    return bool(Bound(bound).holds(before, after, Radiometry(band.domain)).all())


def _same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
