"""Entry point of `sarzip` and `python -m sarzip`."""

from __future__ import annotations

import ctypes
import gc
import os
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of glibc's malloc.h
_KEPT = 1 << 25  # the most that glibc takes


def main() -> None:
    """Run the command line and exit with its code."""
    _keep_memory()
    # Importing makes many objects and no garbage.
    gc.disable()
    # Groups are what sarzip runs in parallel; numpy's matrix products must not start threads below that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sarzip.cli import run

    gc.enable()
    sys.exit(run(sys.argv[1:]))


def _keep_memory() -> None:
    """Have freed blocks of a few megabytes used again, by all threads, rather than handed to the system and
    fetched anew, page by page, for the next group: that takes a tenth of the time.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # not glibc
        return
    for option, value in ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _KEPT), (_M_TRIM_THRESHOLD, 8 * _KEPT)):
        mallopt(option, value)


if __name__ == "__main__":
    main()
