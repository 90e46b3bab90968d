"""Two images of the same scene, rasters or `.sarz` files alike: their strips side by side, and windows of
both.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.streams import class_map as validity
from sarzip.container import Reader
from sarzip.container.georeference import decode
from sarzip.grid import Window
from sarzip.pipeline.coders import DecodeOptions, scene_decoder
from sarzip.pipeline.group import MASK_BAND
from sarzip.pipeline.reader import PullReader
from sarzip.raster import RasterSource
from sarzip.system.machine import Machine
from sarzip.system.outputs import naming

_STRIP = 1024
_PIXELS = 1 << 21
_SUFFIX = ".sarz"


@dataclass(frozen=True)
class Image:
    """An open image: its size; of its bands the dtypes, nodata values and names; its rows from top to bottom,
    and windows of all bands.
    """

    width: int
    height: int
    dtypes: tuple[str, ...]
    nodata: tuple[float | int | None, ...]
    names: tuple[str, ...]
    strips: Callable[[], Iterator[list[NDArray[Any]]]]
    read: Callable[[Window], list[NDArray[Any]]]

    @property
    def size(self) -> str:
        """Its size in words; images of the same size have the same."""
        return f"{self.width}x{self.height} pixels in {len(self.dtypes)} bands"


def is_sarz(path: str | os.PathLike[str]) -> bool:
    """Whether it is to be opened as one."""
    return str(path).endswith(_SUFFIX)


@contextlib.contextmanager
def open_image(path: str | os.PathLike[str], machine: Machine) -> Iterator[Image]:
    """Raises InputError, CorruptError or ModelError."""
    if is_sarz(path):
        with naming(str(path)), Path(path).open("rb") as file:
            yield _sarz_image(Reader(file), machine)
        return
    with naming(str(path)), RasterSource.open(str(path), machine.threads) as raster:
        info = raster.info

        def read(place: Window) -> list[NDArray[Any]]:
            return [raster.read([band], place)[0] for band in range(info.count)]

        def strips() -> Iterator[list[NDArray[Any]]]:
            for top in range(0, info.height, _STRIP):
                yield read(Window(top, 0, min(_STRIP, info.height - top), info.width))

        names = tuple(each.description for each in info.evidence)
        yield Image(info.width, info.height, info.dtypes, info.nodata, names, strips, read)


def _sarz_image(reader: Reader, machine: Machine) -> Image:
    header = reader.header

    def strips() -> Iterator[list[NDArray[Any]]]:
        decoder = scene_decoder(header, machine)
        top = -1
        strip: list[NDArray[Any]] = []
        for block in decoder.blocks(streams for _, streams in reader):
            if block.band == MASK_BAND:
                continue
            if block.window.row != top:
                if strip:
                    yield strip
                top = block.window.row
                strip = [np.empty((block.window.rows, header.width), band.dtype) for band in header.bands]
            left = block.window.column
            strip[block.band][:, left : left + block.window.columns] = block.values
        yield strip

    def read(place: Window) -> list[NDArray[Any]]:
        return list(pulled.read(place, range(len(header.bands))).bands)

    pulled = PullReader(reader, DecodeOptions(machine.device, machine.threads))
    # The first special value of a band is its nodata value where it has one; NaN and zero are found anyway.
    nodata = tuple(band.specials[0] if band.specials else None for band in header.bands)
    names = tuple(text or "" for text in decode(header.raster, len(header.bands)).descriptions)
    dtypes = tuple(band.dtype for band in header.bands)
    return Image(header.width, header.height, dtypes, nodata, names, strips, read)


def valid_values(values: NDArray[Any], nodata: float | int | None) -> NDArray[np.bool_]:
    """Where values are measurements."""
    specials = validity.special_values(values.dtype, nodata)
    return validity.classify(values, specials, validity.shares_zero(values.dtype, nodata)) == 0


def together(first: Image, second: Image) -> Iterator[tuple[list[NDArray[Any]], list[NDArray[Any]]]]:
    """The strips of two images of one size cut to the same rows, because groups have many sizes; and to few,
    because measuring takes many times the memory of the pixels.
    """
    most = max(1, _PIXELS // first.width)
    strips = first.strips(), second.strips()
    ours: list[NDArray[Any]] = []
    theirs: list[NDArray[Any]] = []
    while True:
        ours, theirs = ours or next(strips[0], []), theirs or next(strips[1], [])
        if not ours or not theirs:
            return
        rows = min(len(ours[0]), len(theirs[0]), most)
        yield [each[:rows] for each in ours], [each[:rows] for each in theirs]
        ours, theirs = ([each[rows:] for each in strip if len(each) > rows] for strip in (ours, theirs))
