"""Outputs that appear under their final name only when complete."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sarzip.errors import CorruptError, InputError, ModelError, OutputError, UsageError

STANDARD_STREAM = "-"
PART_SUFFIX = ".sarzip-part"
SIDECARS = (".aux.xml", ".msk", ".ovr")
"""What GDAL keeps beside a raster and would read with whatever has that name next."""


@contextlib.contextmanager
def atomic_path(destination: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `destination`; on success it gets that name, else it is removed.

    The file is flushed to disk before it is renamed; a link is replaced, never followed. Sidecars that were
    written beside the temporary path get the final name too; others that lie beside the destination would
    attach to the new file: they are removed with `force`. Raises UsageError when the destination or such a
    sidecar exists and `force` is off, OutputError when it cannot be written.
    """
    final = Path(destination)
    check_destination(final, force)
    # The suffix stays last, so that drivers which look at it still see what they expect.
    part = final.with_name(f".{final.stem}.{secrets.token_hex(4)}{PART_SUFFIX}{final.suffix}")
    try:
        yield part
        _publish(part, final, force)
    except OSError as error:
        raise OutputError(f"{final}: cannot be written ({error.strerror or error})") from error
    except OutputError as error:
        # Whoever wrote to the temporary file knows only its name.
        raise OutputError(str(error).replace(str(part), str(final))) from error
    finally:
        for suffix in ("", *SIDECARS):
            with contextlib.suppress(OSError):
                part.with_name(part.name + suffix).unlink(missing_ok=True)


def is_part_of(path: Path, final: Path) -> bool:
    """Whether `path` is a temporary file, or one beside it, that atomic_path makes for `final`."""
    beside = "|".join(map(re.escape, SIDECARS))
    name = rf"\.{re.escape(final.stem)}\.[0-9a-f]{{8}}{re.escape(PART_SUFFIX + final.suffix)}({beside})?"
    return path.parent == final.parent and re.fullmatch(name, path.name) is not None


def check_destination(final: Path, force: bool) -> None:
    """Refuse a destination that could not be written in the end, before any work is done."""
    if final.is_dir():
        raise UsageError(f"{final}: is a folder; give the name of a file")
    if final.exists() and not force:
        raise UsageError(f"{final}: already exists; use --force to replace it")
    for suffix in () if force else SIDECARS:
        beside = final.with_name(final.name + suffix)
        if beside.exists():
            raise UsageError(
                f"{beside}: exists already and would attach itself to {final.name}; move it away, or use "
                "--force to remove it"
            )
    folder = final.parent
    if not folder.is_dir():
        raise OutputError(f"{final}: folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"{final}: folder {folder} is not writable; choose another or change its permissions"
        )


def _publish(part: Path, final: Path, force: bool) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    if force:
        for suffix in SIDECARS:
            final.with_name(final.name + suffix).unlink(missing_ok=True)
        part.replace(final)
    else:
        try:
            os.link(part, final)  # unlike a rename this never replaces what another process just wrote
        except FileExistsError:
            raise UsageError(
                f"{final}: appeared while it was being written; use --force to replace it"
            ) from None
        except OSError:
            part.replace(final)  # a file system without hard links
    for suffix in SIDECARS:
        beside = part.with_name(part.name + suffix)
        if beside.exists():
            beside.replace(final.with_name(final.name + suffix))
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


@contextlib.contextmanager
def binary_output(destination: str | os.PathLike[str], force: bool = False) -> Iterator[BinaryIO]:
    """A binary stream that becomes `destination` when complete; '-' is standard output, written at once."""
    if str(destination) == STANDARD_STREAM:
        try:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
        except OSError as error:
            # Python would complain again when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            closed = isinstance(error, BrokenPipeError)
            cause = "the reader closed the pipe before the end" if closed else error.strerror
            raise OutputError(f"standard output: cannot be written ({cause})") from error
        return
    with atomic_path(destination, force) as part:
        try:
            file = part.open("xb")
        except OSError as error:
            raise OutputError(f"{destination}: cannot be written ({error.strerror})") from error
        with file:
            yield file


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Put the input's name in front of an error that a lower layer raised without knowing it."""
    try:
        yield
    except (InputError, CorruptError, ModelError) as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
