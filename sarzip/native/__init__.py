"""The hot loops, in C: one file a stage, each compiled for several processors; `kernel` calls them.

Read `common.h` for the rules, `library` for how a kernel is chosen and called. A checkout builds the library
in place with `python sarzip/native/build_backend.py`; pip does it for an installation.
"""

from sarzip.native.library import Kernel, kernel, levels, running_on

__all__ = ["Kernel", "kernel", "levels", "running_on"]
