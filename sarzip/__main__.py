"""Entry point of `sarzip` and `python -m sarzip`."""

from __future__ import annotations

import gc
import os
import signal
import sys
import warnings

_OBJECTS_BETWEEN_COLLECTIONS = 50_000


def main() -> None:
    """Run the command line and end the process with its code."""
    # While there is nothing to clean up, an interrupt ends the process as the system does, without a trace.
    interruptible = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if interruptible:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Importing makes many objects and no garbage.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    # Groups are what sarzip runs in parallel; numpy's matrix products must not start threads below that.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from sarzip.system.streams import prepare_streams

    prepare_streams()
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they are for programmers
    from sarzip.cli import run
    from sarzip.system.machine import keep_memory

    keep_memory()
    if interruptible:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code = run(sys.argv[1:])
    sys.stderr.flush()
    # Everything is closed. Python would take as long as coding a few MPix to take itself apart, and where
    # SIGINT hit while a string was executed, as some imports do, it would end by that signal in spite of all.
    os._exit(code)


if __name__ == "__main__":
    main()
