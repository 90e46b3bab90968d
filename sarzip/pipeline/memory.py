"""Refuses a file whose rows of groups do not fit into memory, before anything of them is decoded.

A group of latents that are all zero takes a few bytes in the file and hundreds of megabytes decoded: a header
that announces very wide scenes with very large groups would otherwise exhaust the machine.
"""

from __future__ import annotations

from pathlib import Path

from sarzip.errors import InputError
from sarzip.system import memory as cgroup

_MEMINFO = Path("/proc/meminfo")


def check_need(need: int, what: str) -> None:
    """InputError if decoding needs more bytes than are free, where that is known."""
    free = available_memory()
    if free is not None and need > free:
        raise InputError(
            f"needs about {need / 1e9:.1f} GB of memory for {what}, and {free / 1e9:.1f} GB are free; "
            "decode a `window` of it"
        )


def available_memory() -> int | None:
    """Bytes that can be had without swapping or breaking a limit; None where the system does not tell."""
    told = [free for free in (machine_memory(), cgroup.free_memory()) if free is not None]
    return min(told, default=None)


def machine_memory() -> int | None:
    """Bytes that the machine can give without swapping; None where it does not tell."""
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
