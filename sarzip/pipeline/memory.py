"""Refuses a file whose rows of groups do not fit into memory, before anything of them is decoded.

A group of latents that are all zero takes a few bytes in the file and hundreds of megabytes decoded: a header
that announces very wide scenes with very large groups would otherwise exhaust the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sarzip.codec.base import Family
from sarzip.container import Header
from sarzip.errors import InputError
from sarzip.grid import STRIDE
from sarzip.system import memory as cgroup

_MEMINFO = Path("/proc/meminfo")
# Two rows of groups are held for their neighbours while a third is decoded.
_ROWS = 3
_FLOAT = 4


def check_memory(header: Header, families: Sequence[Family | None]) -> None:
    """InputError if decoding the whole scene needs more memory than is free, where that is known."""
    free = available_memory()
    need = latent_memory(header, families)
    if free is not None and need > free:
        raise InputError(
            f"needs about {need / 1e9:.1f} GB of memory for groups of {header.group}x{header.group} over "
            f"{header.width} columns, and {free / 1e9:.1f} GB are free; decode a --window of it"
        )


def latent_memory(header: Header, families: Sequence[Family | None]) -> int:
    """Bytes of the latents that decoding the whole scene holds at a time."""
    rows = min(header.group, header.height)
    latents = -(-rows // STRIDE) * -(-header.width // STRIDE)
    held = min(_ROWS, header.grid[0])
    return held * latents * _FLOAT * sum(family.channels for family in families if family)


def available_memory() -> int | None:
    """Bytes that can be had without swapping or breaking a limit; None where the system does not tell."""
    told = [free for free in (_machine_memory(), cgroup.free_memory()) if free is not None]
    return min(told, default=None)


def _machine_memory() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
