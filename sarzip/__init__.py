"""sarzip: learned compression of SAR imagery.

The Python API is the use cases the command line calls:

    import sarzip
    options = sarzip.CompressOptions(fidelity=sarzip.Fidelity("quality", 70))
    report = sarzip.compress("scene.tif", "scene.sarz", options)
    sarzip.decompress("scene.sarz", "back.tif")
    for band in sarzip.compare("scene.tif", "back.tif").bands:
        print(band.quality.rmse_db)
    with sarzip.open("scene.sarz") as dataset:
        window = dataset.read(1, window=((0, 512), (0, 512)))
    item = sarzip.stac_item("scene.sarz", sarzip.StacOptions(datetime="2018-07-16T00:40:42Z"))

Names are imported on first use, so that importing sarzip costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sarzip.version import __version__

_WHERE = {
    "CompressOptions": "sarzip.usecases.compress",
    "CompressReport": "sarzip.usecases.compress",
    "compress": "sarzip.usecases.compress",
    "Fidelity": "sarzip.pipeline.quality",
    "BatchOptions": "sarzip.batch.job",
    "Outcome": "sarzip.batch.job",
    "plan_jobs": "sarzip.batch.run",
    "run_batch": "sarzip.batch.run",
    "DecompressOptions": "sarzip.usecases.decompress",
    "DecompressReport": "sarzip.usecases.decompress",
    "decompress": "sarzip.usecases.decompress",
    "Comparison": "sarzip.usecases.compare",
    "compare": "sarzip.usecases.compare",
    "inspect": "sarzip.usecases.inspect",
    "VerifyOptions": "sarzip.usecases.verify",
    "VerifyReport": "sarzip.usecases.verify",
    "verify": "sarzip.usecases.verify",
    "SarzipError": "sarzip.errors",
    "Selection": "sarzip.pipeline.selection",
    "PreviewOptions": "sarzip.usecases.preview",
    "preview": "sarzip.usecases.preview",
    "SarzFile": "sarzip.usecases.open",
    "StacOptions": "sarzip.usecases.stac",
    "stac_item": "sarzip.usecases.stac",
    "decode": "sarzip.usecases.write",
    "encode": "sarzip.usecases.write",
    "write": "sarzip.usecases.write",
}

if TYPE_CHECKING:
    from sarzip.batch.job import BatchOptions, Outcome
    from sarzip.batch.run import plan_jobs, run_batch
    from sarzip.errors import SarzipError
    from sarzip.pipeline.quality import Fidelity
    from sarzip.pipeline.selection import Selection
    from sarzip.usecases.compare import Comparison, compare
    from sarzip.usecases.compress import CompressOptions, CompressReport, compress
    from sarzip.usecases.decompress import DecompressOptions, DecompressReport, decompress
    from sarzip.usecases.inspect import inspect
    from sarzip.usecases.open import SarzFile
    from sarzip.usecases.open import open_file as open
    from sarzip.usecases.preview import PreviewOptions, preview
    from sarzip.usecases.stac import StacOptions, stac_item
    from sarzip.usecases.verify import VerifyOptions, VerifyReport, verify
    from sarzip.usecases.write import decode, encode, write

__all__ = [
    "BatchOptions",
    "Comparison",
    "CompressOptions",
    "CompressReport",
    "DecompressOptions",
    "DecompressReport",
    "Fidelity",
    "Outcome",
    "PreviewOptions",
    "SarzFile",
    "SarzipError",
    "Selection",
    "StacOptions",
    "VerifyOptions",
    "VerifyReport",
    "__version__",
    "compare",
    "compress",
    "decode",
    "decompress",
    "encode",
    "inspect",
    "open",
    "plan_jobs",
    "preview",
    "run_batch",
    "stac_item",
    "verify",
    "write",
]


def __getattr__(name: str) -> Any:
    if name == "open":  # a name that its module would hide from itself
        from sarzip.usecases.open import open_file

        return open_file
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'sarzip' has no attribute {name!r}")
