"""Makes the golden files: small `.sarz` of the current format with what they must decode to, for ever.

    python tests/golden/make.py            writes tests/golden/<format>/ again, with the released models
    python tests/golden/make.py lapped16-u16-checks   some scenes alone, of a version that adds them

Run it when a format version or a released model is new, never to make a failing test pass: the files of a
version that was released do not change any more. Scenes are simulated from a fixed seed.

A folder holds `*.sarz`, for each a `*.npz` with the expected samples, and `golden.json` with hashes, header
facts and, for files that must be refused, exit code and message.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import rasterio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.damage import parts_of, read_raster

import sarzip
from sarzip.container import (
    FORMAT_MAJOR,
    FORMAT_MINOR,
    BandHeader,
    Header,
    ModelRef,
    Reader,
    SetHeader,
    Writer,
)
from sarzip.container.georeference import Gcps, Metadata, encode
from sarzip.container.metadata_values import AttributeTable
from sarzip.errors import ModelError
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
from sarzip.usecases.verify import VerifyOptions, verify

HERE = Path(__file__).resolve().parent
PLACE = {"crs": "EPSG:32633", "transform": rasterio.Affine(10, 0, 5e5, 0, -10, 5e6)}


@dataclass(frozen=True)
class Scene:
    """A simulated raster to compress. size: rows, columns."""

    dtype: str
    size: tuple[int, int]
    bands: int = 1
    nodata: float | None = None
    options: dict[str, Any] | None = None
    extra: str = ""
    group: int = 1024
    promise: Mapping[str, Any] = field(default_factory=dict)


SCENES = {
    "u16": Scene("uint16", (70, 90), nodata=0),
    "u16-groups": Scene("uint16", (30, 520), nodata=65535, group=256),
    "u8-alpha": Scene("uint8", (40, 50), 2, options={"photometric": "MINISBLACK", "alpha": "YES"}),
    "i16-db": Scene("int16", (40, 60), nodata=-32768, extra="db"),
    "f32-power": Scene("float32", (48, 64), 2, nodata=math.nan, extra="odd"),
    "f32-db": Scene("float32", (33, 47), nodata=-9999.0, extra="db"),
    "f64": Scene("float64", (20, 30)),
    "u16-mask": Scene("uint16", (50, 40), extra="mask"),
    "u16-coarse": Scene("uint16", (64, 64), extra="coarse"),
    "u16-edges": Scene("uint16", (64, 96), nodata=0, extra="edges"),
    "u16-pair": Scene("uint16", (41, 75), 2, nodata=0),
    "u16-checks": Scene("uint16", (180, 180), 2, extra="fine"),
}
_QUALITIES = {"coarse": 20, "fine": 95}
PIXEL_SCENES = {
    "u16": Scene("uint16", (16, 28), 2, nodata=0, promise={"lossless": True}),
    "i16-db": Scene("int16", (16, 28), nodata=-32768, extra="db", promise={"lossless": True}),
    "f32-power": Scene("float32", (16, 28), nodata=math.nan, extra="odd", promise={"lossless": True}),
    "u16-within": Scene("uint16", (16, 28), nodata=0, promise={"max_error_db": 0.5}),
    "f32-within": Scene("float32", (16, 28), nodata=math.nan, extra="odd", promise={"max_error_db": 0.25}),
    "u8-units": Scene("uint8", (16, 28), promise={"max_error": 2}),
}
"""Of the coder of pixels: small, for the second reader takes its time."""


def pixels(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Speckle on a smooth field with bright points; nodata at a border and in a hole. `edges`: a calm sea of
    small digital numbers with points and a ramp, for outliers.
    """
    rows, columns = scene.size
    y, x = np.mgrid[:rows, :columns]
    field = 2 + np.sin(x / 17) + np.cos(y / 23)
    power = field * rng.gamma(4, 0.25, (scene.bands, rows, columns))
    power[:, rows // 2, columns // 2] = 5000
    if scene.extra == "db":
        values = 10 * np.log10(0.05 * power) * (100 if scene.dtype == "int16" else 1)
    elif np.dtype(scene.dtype).kind == "f":
        values = 0.05 * power
    else:
        values = np.clip(60 * np.sqrt(power), 1, np.iinfo(scene.dtype).max - 1)
    if scene.extra == "edges":
        values = 18.3 + 0.2 * np.sin(x / 30) + rng.normal(0, 0.3, (scene.bands, rows, columns))
        values[:, :, columns // 8 : columns // 8 + 2] = 1
        values[:, 20, 50] = values[:, 40, 70] = 300
        values = np.rint(values)
    values = values.astype(scene.dtype)
    if scene.nodata is not None:
        values[:, :, : columns // 8] = scene.nodata
        values[:, 5:9, -9:] = scene.nodata
    if scene.extra == "odd":
        values[0, rows - 4, 20:24] = [math.inf, -math.inf, 0, math.nan]
    if scene.options:
        values[-1] = 255 * (x > 9)
    return values


def make_scenes(folder: Path, model: str, only: list[str]) -> dict[str, Any]:
    """Files of one model, all or some of them; what golden.json says about them."""
    about = {}
    scenes = PIXEL_SCENES if model == PIXEL_MODEL else SCENES
    for number, (name, scene) in enumerate(scenes.items()):
        values = pixels(scene, np.random.default_rng(number))
        path = folder / f"{model}-{name}.sarz"
        if only and path.stem not in only:
            continue
        with tempfile.TemporaryDirectory() as work:
            source, back = Path(work) / "scene.tif", Path(work) / "back.tif"
            rows, columns = scene.size
            profile = {"width": columns, "height": rows, "count": scene.bands, "dtype": scene.dtype}
            profile |= PLACE | (scene.options or {})
            with rasterio.open(source, "w", driver="GTiff", nodata=scene.nodata, **profile) as dataset:
                dataset.write(values)
                dataset.update_tags(made="golden")
                if scene.extra == "mask":
                    dataset.write_mask(255 * (values[0] > 100).astype(np.uint8))
            options = sarzip.CompressOptions(
                sarzip.Fidelity("quality", _QUALITIES.get(scene.extra, 70)),
                "db" if scene.extra == "db" else "auto",
                model="lapped16" if model == PIXEL_MODEL else model,
                device="cpu",
                force=True,
                group=scene.group,
                **scene.promise,
            )
            sarzip.compress(source, path, options)
            sarzip.decompress(path, back, sarzip.DecompressOptions("cpu", 1, True))
            np.savez_compressed(path.with_suffix(".npz"), samples=read_raster(back))
        about[path.name] = describe(path)
    return about


def describe(path: Path) -> dict[str, Any]:
    """Facts of a file that every later version has to find again."""
    header = sarzip.inspect(path)
    report = verify(path, VerifyOptions(True, "cpu", 1))
    return {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "models": [model["sha256"] for model in header.models],
        "size": [header.width, header.height],
        "bands": [
            [band.dtype, band.domain, [repr(value) for value in band.specials]] for band in header.bands
        ],
        "integers_sha256": report.integers_sha256,
        "mask_sha256": report.mask_sha256,
    }


def everything_beside() -> Metadata:
    """Raster metadata of four bands with a value for every key of FORMAT.md 5.5."""
    table = AttributeTable(
        "thematic", (("Value", 0, 5), ("Name", 2, 2)), (("1", "2"), ("a", "ö")), ("0", "1.5")
    )
    row, column = (each.ravel() for each in np.mgrid[:5, :7] * 50.0)
    x, y = 9 + column / 900 - row / 7000, 45 - row / 800 + column**2 / 1e9
    points = np.stack([row, column, x, y, np.round(np.sin(row) * 30, 3)], axis=1)
    names = tuple(f"P{number}" for number in range(len(points)))
    return Metadata(
        count=4,
        nodata=(0.0, math.nan, None, 2**63),
        descriptions=("VV", None, "σ⁰", None),
        units=(None, "dB", None, None),
        scales=(1.0, 0.1, 1.0, 1.0),
        offsets=(0.0, -0.0, 1e-300, 0.0),
        colours=(1, 2, 30, 6),
        band_tags=({}, {"": {"POL": "VH"}, "OWN": {"a": ""}}, {}, {}),
        tags={"": {"é": "ü", "AREA_OR_POINT": "Point"}, "json:x": {"json:x": "{}"}},
        crs="EPSG:32633",
        transform=(10.0, 0.25, 500000.123456789, -0.25, -10.0, 1 / 3),
        gcps=Gcps(points, names, ("",) * 34 + ("tower",), "ESRI:54009"),
        colormaps={1: ((0, 0, 0, 255), (255, 128, 0, 7))},
        categories={1: ("land", "", "water")},
        tables={1: table},
        mask=True,
    )


def container_file() -> bytes:
    """Everything the container can hold at once, without any model."""
    bands = (
        BandHeader("uint16", "amplitude", 0.5, 43.25, (0, 65535)),
        BandHeader("float32", "power", 1e-4, -9.5, (math.nan, -math.inf, -0.0), {"unit": 2}),
        BandHeader("complex_int16", "complex"),
        BandHeader("float64", "exact"),
    )
    sets = (SetHeader((1, 0), 1, 1.5, {"a": [1, None]}), SetHeader((3, 2), None))
    models = (ModelRef("ae16", "0f" * 32), ModelRef("lapped16-2.x", "1e" * 32))
    header = Header(600, 300, bands, sets, models, 256, 2, encode(everything_beside()), "golden")
    sink = io.BytesIO()
    writer = Writer(sink, header)
    for ordinal in range(header.frame_count):
        writer.write_frame({1: b"", 2: bytes([ordinal]) * 40, 200: b"may be skipped"} if ordinal % 5 else {})
    writer.finish({"rmse_db": 1.25})
    return sink.getvalue()


def must_fail(good: bytes) -> dict[str, tuple[bytes, int, str]]:
    """Files that are refused: bytes, exit code, what the message has to say."""

    def head(**changes: int) -> bytes:
        fields = {"major": good[12], "minor": good[13], "flags": 0} | changes
        new = good[:12] + struct.pack("<BBH", *fields.values()) + good[16:24]
        return new + struct.pack("<I", crc32(new)) + good[28:]

    def with_streams(extra: dict[int, bytes]) -> bytes:
        reader, sink = Reader(io.BytesIO(good)), io.BytesIO()
        writer = Writer(sink, reader.header)
        for _, streams in reader:
            writer.write_frame(streams | extra)
        writer.finish()
        return sink.getvalue()

    parts = parts_of(good)
    flipped = bytearray(parts[2])
    flipped[len(flipped) // 2] ^= 1
    doubled = [*parts[:3], *parts[2:]]
    header = Reader(io.BytesIO(good)).header
    sink = io.BytesIO()
    renamed = [ModelRef(model.id, "00" * 32) for model in header.models]
    writer = Writer(sink, Header(**{**vars(header), "models": renamed}))
    for _, streams in Reader(io.BytesIO(good)):
        writer.write_frame(streams)
    writer.finish()
    return {
        "empty": (b"", 4, "the file is empty"),
        "no-sarz": (b"II*\0" + bytes(60), 4, "not a .sarz file"),
        "newer-major": (head(major=FORMAT_MAJOR + 1), 4, f"newer sarzip (format {FORMAT_MAJOR + 1}."),
        "unknown-flag": (head(flags=3), 4, "newer sarzip (format flags 0x0003)"),
        "unknown-stream": (with_streams({99: b"x"}), 4, "newer sarzip: stream of unknown kind 99"),
        "no-latents": (with_streams({2: b""}), 4, "latents"),
        "flipped": (b"".join([*parts[:2], bytes(flipped), *parts[3:]]), 4, "group 0"),
        "truncated": (good[:-1], 4, "truncated or damaged"),
        "cut": (good[: len(good) // 2], 4, "trunc"),
        "doubled": (b"".join(doubled), 4, "its trailer says"),
        "other-model": (sink.getvalue(), 6, "hash 000000000000"),
    }


def main(only: list[str]) -> None:
    folder = HERE / f"{FORMAT_MAJOR}.{FORMAT_MINOR}"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    golden: dict[str, Any] = {"made_by": f"sarzip {sarzip.__version__}", "files": {}, "must_fail": {}}
    models = [card.id for card in ModelStore().list()]
    for model in models:
        try:
            golden["files"] |= make_scenes(folder, model, only)
        except ModelError:  # of an earlier version, for decoding only
            models = [each for each in models if each != model]
    container = container_file()
    (folder / "container.sarz").write_bytes(container)
    golden["container_sha256"] = hashlib.sha256(container).hexdigest()
    bad = {} if only else must_fail((folder / f"{models[0]}-u8-alpha.sarz").read_bytes())
    for name, (data, code, message) in bad.items():
        (folder / f"bad-{name}.sarz").write_bytes(data)
        golden["must_fail"][f"bad-{name}.sarz"] = [code, message]
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{folder}: {len(golden['files'])} files of {', '.join(models)}, {total} bytes in all")


if __name__ == "__main__":
    main(sys.argv[1:])
