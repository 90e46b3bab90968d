"""Names of unfinished files, which tell whose they are: a process that is killed cannot remove its own.

`.NAME.PLACE-PID-START-RANDOM.sarzip-part.SUFFIX`, all numbers in hexadecimal: PLACE is a hash of the machine,
its boot and the namespace of process numbers, START the time at which the process began. The suffix stays
last, so that drivers which look at it still see what they expect.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from zlib import crc32

PART_SUFFIX = ".sarzip-part"
SIDECARS = (".aux.xml", ".msk", ".ovr")
"""What GDAL keeps beside a raster and would read with whatever has that name next."""
_WORLD_FILES = {
    ".png": (".pgw", ".pngw", ".wld"),
    ".jpg": (".jgw", ".jpgw", ".wld"),
    ".jpeg": (".jgw", ".jpegw", ".wld"),
}
"""In place of the suffix of images, which have no place on the map in themselves; the first is the usual."""
_LONGEST_SUFFIX = 16
# Room for this much of a name is always taken: every file system has it, and short names stay legible.
_SHORT_NAME = 64
_APPENDED = 16  # as GDAL's .msk.ovr.tmp
_UNTOUCHED_SECONDS = 86_400
_BESIDE = "|".join(map(re.escape, SIDECARS))
_TOKEN_LENGTH = 30
_PART = re.compile(
    rf"\..*\.([0-9a-f]{{8}})-([0-9a-f]{{6}})-([0-9a-f]{{9}})-[0-9a-f]{{4}}{re.escape(PART_SUFFIX)}[^/]*",
    re.DOTALL,
)
# Early versions had no owner in the name.
_OLD_PART = re.compile(rf"\..*\.[0-9a-f]{{8}}(\.plain)?{re.escape(PART_SUFFIX)}[^/]*", re.DOTALL)


def companions(path: Path) -> list[Path]:
    """Where GDAL looks for what belongs to a raster, in an order that only the suffix of its name decides."""
    beside = [path.with_name(path.name + suffix) for suffix in SIDECARS]
    return beside + [path.with_suffix(suffix) for suffix in _WORLD_FILES.get(path.suffix.lower(), ())]


def world_file(path: Path) -> Path | None:
    """The usual name of the world file of an image; None for what is no PNG or JPEG."""
    names = _WORLD_FILES.get(path.suffix.lower())
    return path.with_suffix(names[0]) if names else None


def part_path(final: Path) -> Path:
    """A new name beside `final` for what will be it, shorter than a long one, since drivers append to it."""
    start, end = _around(final)
    return final.with_name(f"{start}{_token()}{end}")


def is_part_of(path: Path, final: Path) -> bool:
    """Whether `path` is an unfinished file, or one beside it, that will be `final`."""
    start, end = _around(final)
    name = rf"{re.escape(start)}[0-9a-f-]{{{_TOKEN_LENGTH}}}{re.escape(end)}({_BESIDE})?"
    return path.parent == final.parent and re.fullmatch(name, path.name) is not None


def _around(final: Path) -> tuple[str, str]:
    """What stands before and after the token in the name of a part."""
    suffix = final.suffix if len(os.fsencode(final.suffix)) <= _LONGEST_SUFFIX else ""
    stem = final.name[: len(final.name) - len(suffix)]
    end = f"{PART_SUFFIX}{suffix}"
    longest = max(len(os.fsencode(final.name)) - _APPENDED, _SHORT_NAME)
    room = longest - len(os.fsencode(end)) - _TOKEN_LENGTH - 2
    while len(os.fsencode(stem)) > max(0, room):
        stem = stem[:-1]
    return f".{stem}.", end


def is_part(name: str) -> bool:
    """Whether a file of this name is an unfinished one, or lies beside one."""
    return (_PART.fullmatch(name) or _OLD_PART.fullmatch(name)) is not None


@dataclass(frozen=True)
class Leftover:
    """An unfinished file. owner: 'gone', 'running', or 'unknown': of another machine or an old version."""

    path: Path
    size: int
    modified: float
    owner: str

    @property
    def abandoned(self) -> bool:
        """Whether nobody will ever finish it: its process is gone, or cannot be asked and idle for a day."""
        idle = time.time() - self.modified > _UNTOUCHED_SECONDS
        return self.owner == "gone" or (self.owner == "unknown" and idle)


def leftovers(folder: Path) -> Iterator[Leftover]:
    """All unfinished files in a folder, not those in its subfolders. Raises OSError."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if PART_SUFFIX in entry.name and is_part(entry.name):
                with contextlib.suppress(FileNotFoundError):
                    state = entry.stat(follow_symlinks=False)
                    yield Leftover(Path(entry.path), state.st_size, state.st_mtime, _owner(entry.name))


def remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left in a folder; what cannot be removed stays without a word."""
    with contextlib.suppress(OSError):
        for each in list(leftovers(folder)):
            if each.abandoned:
                with contextlib.suppress(OSError):
                    each.path.unlink()


def _token() -> str:
    pid = os.getpid()
    return f"{_place():08x}-{pid:06x}-{_started(pid) or 0:09x}-{secrets.token_hex(2)}"


def _owner(name: str) -> str:
    found = _PART.fullmatch(name)
    if found is None or int(found[1], 16) != _place():
        return "unknown"
    started = _started(int(found[2], 16))
    return "running" if started is not None and started == int(found[3], 16) else "gone"


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the boot (0 where that is not told); None: it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        state, *rest = text.rpartition(")")[2].split()
        return None if state in "ZX" else int(rest[18])
    except (OSError, ValueError, IndexError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        pass
    return 0


@lru_cache(maxsize=1)
def _place() -> int:
    """Where process numbers mean what they mean here."""
    told = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id", "/etc/machine-id"):
        with contextlib.suppress(OSError):
            told.append(Path(path).read_text(encoding="utf-8", errors="replace").strip())
    with contextlib.suppress(OSError):
        told.append(str(Path("/proc/self/ns/pid").readlink()))
    return crc32("\n".join(told).encode("utf-8", "surrogateescape"))
