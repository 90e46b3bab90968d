"""The path of a pixel out of the file: entropy-decode a row of groups, synthesise, restore, hand over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.codec.base import Family
from sarzip.codec.exact.planes import decode_plane
from sarzip.codec.registry import build_family, for_bands
from sarzip.codec.streams.payloads import SIDE_STREAMS, SideStreams, split_payloads
from sarzip.container import Header, StreamKind, require_known
from sarzip.errors import CorruptError, ModelError
from sarzip.grid import Window
from sarzip.pipeline.band import BandCoding, grid_of
from sarzip.pipeline.memory import check_memory
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.neighbours import LatentRow, NeighbouredRow, with_neighbours
from sarzip.pipeline.sarzfile import Frames
from sarzip.system.machine import Machine, math_threads
from sarzip.system.work_pool import WorkPool


@dataclass(frozen=True)
class DecodedBlock:
    """Samples of one band in a rectangle of the scene; band -1 is the dataset mask (uint8)."""

    band: int
    window: Window
    values: NDArray[Any]


MASK_BAND = -1
KNOWN_STREAMS = (StreamKind.LATENTS, StreamKind.SIDE, *SIDE_STREAMS)


class SceneDecoder:
    """Turns the payload streams of consecutive frames into samples."""

    def __init__(
        self, header: Header, machine: Machine, model: str | None = None, trust: bool = False
    ) -> None:
        self._header = header
        self._machine = machine
        self._grid = grid_of(header)
        self._bands = [BandCoding.from_header(band) for band in header.bands]
        self._families = load_families(header, machine.device, model, trust)
        check_memory(header, self._families)

    def blocks(self, frames: Frames) -> Iterator[DecodedBlock]:
        """Decode all frames, which must come in the order of the file, into blocks in raster order."""
        tasks = self._grid.columns * len(self._header.sets)
        workers = min(self._machine.threads, tasks)
        with math_threads(max(1, self._machine.threads // workers)), WorkPool(workers) as pool:
            rows = with_neighbours(self._decoded_rows(frames, pool), self._families, self._grid)
            # One sequence of tasks for the whole scene: the next row is begun while this one is finished.
            items = (
                (row, column, number, synthesis)
                for row, synthesis in enumerate(rows)
                for column in range(self._grid.columns)
                for number in range(len(self._header.sets))
            )
            for blocks in pool.map(lambda item: self._synthesise(*item), items):
                yield from blocks
            # One more step lets a stream reader check its index and trailer.
            if next(frames, None) is not None:
                raise CorruptError("has more groups than its header announces")

    def _decoded_rows(self, frames: Frames, pool: WorkPool) -> Iterator[list[LatentRow]]:
        """For each row of groups and each set: the latents of the whole row and what else its frames hold."""
        sets = range(len(self._header.sets))
        for row in range(self._grid.rows):
            items = []
            for column in range(self._grid.columns):
                for number in sets:
                    streams = next(frames, None)
                    if streams is None:
                        raise CorruptError("ends before its last group")
                    items.append((row, column, number, streams))
            decoded = [pool.submit(lambda item: self._entropy_decode(*item), item) for item in items]
            yield [LatentRow(tuple(decoded[number :: len(sets)])) for number in sets]

    def _entropy_decode(
        self, row: int, column: int, number: int, streams: Mapping[int, bytes]
    ) -> tuple[NDArray[np.float32], Mapping[int, bytes]]:
        require_known(streams, KNOWN_STREAMS)
        family = self._families[number]
        shape = self._grid.latent_shape(row, column)
        if family is None:
            return np.empty((0, *shape), np.float32), streams
        step = self._header.sets[number].step
        latents = family.decode(streams, shape, step)
        kept = {
            kind: data for kind, data in streams.items() if kind not in (StreamKind.LATENTS, StreamKind.SIDE)
        }
        return latents, kept

    def _synthesise(
        self, row: int, column: int, number: int, rows: list[NeighbouredRow]
    ) -> list[DecodedBlock]:
        window = self._grid.window(row, column)
        members = self._header.sets[number].bands
        streams = rows[number].group(column)
        shape = (window.rows, window.columns)
        blocks = []
        family = self._families[number]
        if family is None:
            planes = split_payloads(streams.get(StreamKind.LATENTS, b""), len(members))
            for band, plane in zip(members, planes, strict=True):
                blocks.append(DecodedBlock(band, window, decode_plane(plane, shape, self._bands[band].dtype)))
        else:
            signal = family.synthesise(rows[number].crop(column))
            side = SideStreams(streams, len(members), shape)
            for position, band in enumerate(members):
                coding = self._bands[band]
                classes = side.classes(position, len(coding.specials))
                literals = side.literals(position, classes, len(coding.specials))
                cropped = signal[position, : window.rows, : window.columns]
                values = coding.restore(cropped, classes, side.cells(position), literals)
                blocks.append(DecodedBlock(band, window, values))
        mask = SideStreams(streams, len(members), shape).dataset_mask()
        if mask is not None:
            blocks.append(DecodedBlock(MASK_BAND, window, mask))
        return blocks


def load_families(
    header: Header, device: str, model: str | None = None, trust: bool = False
) -> list[Family | None]:
    """The family of each set (None: exact planes without a model).

    model: a folder to take instead of the released ones; trust: whatever its hash is. Wrong or missing
    models raise ModelError.
    """
    wanted = families_of_sets(header, range(len(header.sets)), device, model, trust)
    return [wanted[number] for number in range(len(header.sets))]


def families_of_sets(
    header: Header, numbers: Iterable[int], device: str, model: str | None = None, trust: bool = False
) -> dict[int, Family | None]:
    """The same for some sets, by their numbers."""
    store = ModelStore()
    built: dict[int, Family] = {}
    fitted: dict[tuple[int, int], Family] = {}
    found: dict[int, Family | None] = {}
    for number in numbers:
        each, bands = header.sets[number], len(header.sets[number].bands)
        if each.model is None:
            found[number] = None
            continue
        if each.model not in built:
            card, weights = store.load_for_file(header.models[each.model], model, trust)
            built[each.model] = build_family(card.family, card.config, weights, device)
        if (each.model, bands) not in fitted:
            fitted[each.model, bands] = _fitting(built[each.model], bands)
        found[number] = fitted[each.model, bands]
    return found


def _fitting(family: Family, bands: int) -> Family:
    """The family for sets of so many bands; CorruptError where no writer makes such sets."""
    try:
        return for_bands(family, bands)
    except ModelError as error:
        raise CorruptError(f"header does not fit its model: {error}") from error
