"""How this package runs GDAL: bounded cache, silent on stderr, errors in one plain line."""

from __future__ import annotations

import os
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rasterio
from rasterio.errors import NotGeoreferencedWarning

CACHE_BYTES = 96 << 20
"""GDAL's block cache: enough for one row of 512-row tiles of a scene 25 788 pixels wide, twice over."""

_stderr_lock = threading.Lock()


@contextmanager
def gdal_env(threads: int | None = None, cache: int = CACHE_BYTES, **options: Any) -> Iterator[None]:
    """Run GDAL with a cache of so many bytes and `threads` worker threads (None: all cores).

    Inside, GDAL's messages go to the `rasterio` logger, which is silent unless the application listens.
    """
    settings = {"GDAL_CACHEMAX": cache, "GDAL_NUM_THREADS": str(threads or "ALL_CPUS")}
    with rasterio.Env(**settings, **options):
        yield


@contextmanager
def opening() -> Iterator[None]:
    """Open or create a dataset without rasterio's warning that it has no georeferencing.

    Python's filters are shared by all threads, so this encloses no more than the opening itself.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


def cause_of(error: BaseException) -> str:
    """The innermost message of a chain of rasterio and GDAL errors, on one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = getattr(error, "errmsg", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())


@contextmanager
def captured_stderr() -> Iterator[list[str]]:
    """Collect what libtiff prints on file descriptor 2 (`_tiffWriteProc: ...`); anything else is passed on.

    libtiff reports a full disk on stderr only, and GDAL may still close the file without an error. The
    redirection concerns the whole process, so it is used only where a write is about to fail.
    """
    lines: list[str] = []
    with _stderr_lock, os.fdopen(os.memfd_create("stderr"), "w+b") as spool:
        sys.stderr.flush()
        saved = os.dup(2)
        os.dup2(spool.fileno(), 2)
        try:
            yield lines
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
            spool.seek(0)
            for line in spool.read().splitlines(keepends=True):
                if line.startswith(b"_tiff"):
                    lines.append(line.decode("utf-8", "replace").strip())
                else:
                    os.write(2, line)


def free_bytes(path: Path) -> int | None:
    """Bytes free where `path` lies; None where that says nothing (a device, a remote file)."""
    try:
        if path.exists() and not path.is_file():
            return None
        state = os.statvfs(path if path.exists() else path.parent)
    except OSError:
        return None
    return state.f_bavail * state.f_frsize
