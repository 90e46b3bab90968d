"""What a container may take of its machine: limits of control groups, versions 1 and 2 (Linux).

/proc/meminfo and the number of cores tell of the whole machine, whatever a container, a batch scheduler or
systemd has granted; who takes them at their word is killed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple


class Listing(NamedTuple):
    """Where the system lists the groups of this process, and where it shows what they grant."""

    own: Path = Path("/proc/self/cgroup")
    mounted: Path = Path("/sys/fs/cgroup")


def free_memory(listing: Listing = Listing()) -> int | None:
    """Bytes that may still be allocated; None without a limit."""
    free = (_free_v1(folder) if old else _free_v2(folder) for folder, old in _folders("memory", listing))
    return min((value for value in free if value is not None), default=None)


def cores(listing: Listing = Listing()) -> int | None:
    """Cores' worth of time that may be used, rounded up; None without a limit."""
    found = (_cores_v1(folder) if old else _cores_v2(folder) for folder, old in _folders("cpu", listing))
    return min((value for value in found if value is not None), default=None)


def _folders(controller: str, listing: Listing) -> Iterator[tuple[Path, bool]]:
    """The groups that this process is in, outwards, and whether each is of version 1.

    Inside a container the paths are often those of the machine and lead nowhere; its own group is then
    mounted as the outermost.
    """
    try:
        lines = listing.own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, names, path = line.split(":", 2)
        if controller in names.split(","):
            top, old = listing.mounted / controller, True
        elif not names:
            top, old = listing.mounted, False
        else:
            continue
        own = top / path.lstrip("/")
        while own != top and own.is_relative_to(top):
            yield own, old
            own = own.parent
        yield top, old


def _free_v2(folder: Path) -> int | None:
    return _free(folder, "memory.max", "memory.current", "inactive_file")


def _free_v1(folder: Path) -> int | None:
    return _free(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _free(folder: Path, limit: str, used: str, cache: str) -> int | None:
    """The limit less what is used and cannot be dropped."""

    def read() -> int:
        stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
        reclaimable = int(stat.get(cache, 0))
        return int((folder / limit).read_text()) - int((folder / used).read_text()) + reclaimable

    free = _told(read)
    return None if free is None else max(0, free)


def _cores_v2(folder: Path) -> int | None:
    return _told(lambda: _ratio(*(folder / "cpu.max").read_text().split()))


def _cores_v1(folder: Path) -> int | None:
    return _told(
        lambda: _ratio((folder / "cpu.cfs_quota_us").read_text(), (folder / "cpu.cfs_period_us").read_text())
    )


def _ratio(quota: str, period: str) -> int | None:
    time = int(quota)
    return -(-time // int(period)) if time > 0 else None


def _told(read: Callable[[], int | None]) -> int | None:
    """What the files say; None where one is missing or says 'max'."""
    try:
        return read()
    except (OSError, ValueError):
        return None
