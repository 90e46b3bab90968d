"""Is an output already what would be written? What `--resume` asks of every scene."""

from __future__ import annotations

import json
from pathlib import Path

from sarzip.container import Header, Reader
from sarzip.container.georeference import drop_statistics
from sarzip.errors import CorruptError
from sarzip.pipeline.models import ModelStore
from sarzip.pipeline.quality import quality_to_step
from sarzip.pipeline.sarzfile import open_input
from sarzip.raster import RasterInfo, RasterSource
from sarzip.system.outputs import naming
from sarzip.usecases.compress import CompressOptions
from sarzip.usecases.verify import verify


def why_not_done(source: str, output: str, options: CompressOptions) -> str | None:
    """Why `output` is not the finished `.sarz` of `source` with these options; None when it is.

    It is when it is not older than the source, has the source's size, sample types, georeferencing and tags,
    was made with the same model and fidelity, and every checksum holds. The effort is not recorded in a
    `.sarz` and not compared. Raises InputError or ModelError when that cannot be told.
    """
    try:
        with open_input(output) as file:
            reader = Reader(file)
            header, summary = reader.header, reader.summary or {}
    except CorruptError as error:
        return f"is damaged ({error})"
    if Path(source).is_file() and Path(source).stat().st_mtime_ns > Path(output).stat().st_mtime_ns:
        return "is older than its source"
    with naming(source), RasterSource.open(source) as raster:
        if not _same_raster(header, raster.info):
            return "is of another raster"
    if not _same_options(header, summary, options):
        return "was made with other options"
    try:
        verify(output)
    except CorruptError as error:
        return f"is damaged ({error})"
    return None


def _same_raster(header: Header, info: RasterInfo) -> bool:
    size = (header.width, header.height, tuple(band.dtype for band in header.bands))
    kept = drop_statistics(info.tags, _coded(header))
    tags = json.loads(json.dumps(kept))  # with lists for tuples, as in a header
    return size == (info.width, info.height, info.dtypes) and header.raster == tags


def _same_options(header: Header, summary: dict[str, object], options: CompressOptions) -> bool:
    if options.domain != "auto" and any(header.bands[b].domain != options.domain for b in _coded(header)):
        return False
    card = ModelStore().find(options.model)
    if [(model.id, model.sha256) for model in header.models] != [(card.id, card.sha256)]:
        return False
    if options.fidelity.kind != "quality":
        return summary.get("asked") == options.fidelity.option
    step = quality_to_step(options.fidelity.value)
    return "asked" not in summary and all(each.step == step for each in header.sets if each.model is not None)


def _coded(header: Header) -> list[int]:
    """Bands that a model codes."""
    return [band for each in header.sets if each.model is not None for band in each.bands]
