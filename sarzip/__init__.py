"""sarzip: learned compression of SAR imagery.

The Python API is the use cases the command line calls:

    import sarzip
    options = sarzip.CompressOptions(fidelity=sarzip.Fidelity("quality", 70))
    report = sarzip.compress("scene.tif", "scene.sarz", options)
    sarzip.decompress("scene.sarz", "back.tif")
    for band in sarzip.compare("scene.tif", "back.tif").bands:
        print(band.quality.rmse_db)

Names are imported on first use, so that importing sarzip costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "CompressOptions": "sarzip.usecases.compress",
    "CompressReport": "sarzip.usecases.compress",
    "compress": "sarzip.usecases.compress",
    "Fidelity": "sarzip.usecases.rate",
    "BatchOptions": "sarzip.usecases.batch",
    "Outcome": "sarzip.usecases.batch",
    "plan_jobs": "sarzip.usecases.batch",
    "run_batch": "sarzip.usecases.batch",
    "DecompressOptions": "sarzip.usecases.decompress",
    "DecompressReport": "sarzip.usecases.decompress",
    "decompress": "sarzip.usecases.decompress",
    "Comparison": "sarzip.usecases.compare",
    "compare": "sarzip.usecases.compare",
    "inspect": "sarzip.usecases.inspect",
    "verify": "sarzip.usecases.verify",
    "SarzipError": "sarzip.errors",
    "Selection": "sarzip.usecases.window",
    "PreviewOptions": "sarzip.usecases.preview",
    "preview": "sarzip.usecases.preview",
}

if TYPE_CHECKING:
    from sarzip.errors import SarzipError
    from sarzip.usecases.batch import BatchOptions, Outcome, plan_jobs, run_batch
    from sarzip.usecases.compare import Comparison, compare
    from sarzip.usecases.compress import CompressOptions, CompressReport, compress
    from sarzip.usecases.decompress import DecompressOptions, DecompressReport, decompress
    from sarzip.usecases.inspect import inspect
    from sarzip.usecases.preview import PreviewOptions, preview
    from sarzip.usecases.rate import Fidelity
    from sarzip.usecases.verify import verify
    from sarzip.usecases.window import Selection

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
    "SarzipError",
    "Selection",
    "__version__",
    "compare",
    "compress",
    "decompress",
    "inspect",
    "plan_jobs",
    "preview",
    "run_batch",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'sarzip' has no attribute {name!r}")
