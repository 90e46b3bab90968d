"""Entry point of `sarzip` and `python -m sarzip`."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit with its code."""
    # Importing makes many objects and no garbage.
    gc.disable()
    # Groups are what sarzip runs in parallel; numpy's matrix products must not start threads below that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sarzip.cli import run
    from sarzip.usecases.runtime import keep_memory

    gc.enable()
    keep_memory()
    code = run(sys.argv[1:])
    if code == _INTERRUPTED:
        # Where SIGINT hit while a string was executed, as some imports do, Python would end by that signal
        # in spite of all.
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
