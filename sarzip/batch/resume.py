"""Is an output already what would be written? What `resume` asks of every scene."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sarzip.container import Header, Reader
from sarzip.container.georeference import drop_statistics
from sarzip.errors import CorruptError
from sarzip.pipeline.band_plan import KEPT_AFTER_ALL, BandPlan, plan_bands
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.models import PIXEL_MODEL, ModelStore
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
        bands = tuple(plan_bands(raster, options.plan))
    if not (_same_plan(header, bands) and _same_models(header, options.model)):
        return "was made with other options"
    if not _same_fidelity(header, summary, options):
        return "was made with other options"
    try:
        verify(output)
    except CorruptError as error:
        return f"is damaged ({error})"
    return None


def _same_raster(header: Header, info: RasterInfo) -> bool:
    size = (header.width, header.height, tuple(band.dtype for band in header.bands))
    changed = [band for each in header.sets if not each.lossless for band in each.bands]
    kept = drop_statistics(info.tags, changed)
    tags = json.loads(json.dumps(kept))  # with lists for tuples, as in a header
    return size == (info.width, info.height, info.dtypes) and header.raster == tags


def _same_plan(header: Header, bands: Sequence[BandPlan]) -> bool:
    """Whether every band is coded as it would be now, or was found out to be no backscatter while it was."""
    bounds = {band: bound_of(each) for each in header.sets for band in each.bands}
    exact = {band for each in header.sets if each.lossless for band in each.bands}
    for number, (band, stored) in enumerate(zip(bands, header.bands, strict=True)):
        kept_after_all = str(stored.extra.get("why", "")).startswith(KEPT_AFTER_ALL)
        if stored.domain != band.transform.radiometry.domain and not kept_after_all:
            return False
        as_planned = bounds[number] == band.bound and (number in exact) == (not (band.lossy or band.bound))
        if not as_planned and not kept_after_all:
            return False
    return True


def _same_models(header: Header, wanted: str) -> bool:
    """Whether the model that the user wants, and the released one for pixels, coded the sets."""
    store = ModelStore()
    for each in header.sets:
        if each.model is not None:
            card, model = store.find(wanted if each.step else PIXEL_MODEL), header.models[each.model]
            if (model.id, model.sha256) != (card.id, card.sha256):
                return False
    return True


def _same_fidelity(header: Header, summary: dict[str, object], options: CompressOptions) -> bool:
    steps = [each.step for each in header.sets if each.step and bound_of(each) is None]
    if options.fidelity.kind != "quality":
        return summary.get("asked") == options.fidelity.option
    return "asked" not in summary and all(step == quality_to_step(options.fidelity.value) for step in steps)
