"""Outputs that appear under their final name only when complete. The one place where commands write files."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from sarzip.errors import CorruptError, InputError, ModelError, OutputError, UsageError
from sarzip.system.parts import companions, part_path, remove_abandoned
from sarzip.system.scratch import scratch_folder
from sarzip.system.streams import ReaderGone, stdout

STANDARD_STREAM = "-"
_PSEUDO_FOLDERS = ("/dev", "/proc", "/sys")
# Here files are made, not devices.
_SHARED_MEMORY = "/dev/shm"


@contextlib.contextmanager
def atomic_path(destination: str | os.PathLike[str], force: bool = False) -> Iterator[Path]:
    """Yield a temporary path beside `destination`; on success it gets that name, else it is removed.

    The file is flushed to disk before it is renamed; a link is replaced, never followed. Sidecars that were
    written beside the temporary path get the final name too; others that lie beside the destination would
    attach to the new file: they are removed with `force`. For '-' the file is copied to standard output in
    the end; its sidecars are dropped. What killed processes left in the folder is removed first.

    Raises UsageError when the destination or such a sidecar exists and `force` is off, or is no place for a
    file; OutputError when it cannot be written.
    """
    if str(destination) == STANDARD_STREAM:
        with _copied_to_stdout() as part:
            yield part
        return
    final = Path(destination)
    check_destination(final, force)
    remove_abandoned(final.parent)
    part = part_path(final)
    try:
        yield part
        _publish(part, final, force)
    except OSError as error:
        raise OutputError(f"{final}: cannot be written ({_reason(error)})") from error
    except OutputError as error:
        # Whoever wrote to the temporary file knows only its name.
        raise OutputError(str(error).replace(str(part), str(final))) from error
    finally:
        _remove(part)


def check_destination(destination: str | os.PathLike[str], force: bool) -> None:
    """Refuse a destination that could not be written in the end, before any work is done; '-' always can."""
    if str(destination) == STANDARD_STREAM:
        stdout()
        return
    final = Path(destination)
    try:
        _check_kind(final)
    except OSError as error:
        raise OutputError(f"{final}: cannot be written ({_reason(error)})") from error
    if final.is_symlink() and not final.exists():
        if not force:
            raise UsageError(
                f"{final}: is a link to nowhere ({final.readlink()}); name the file itself, or use `force` "
                "to replace the link"
            )
    elif final.exists() and not force:
        raise UsageError(f"{final}: already exists; use `force` to replace it")
    for beside in () if force else companions(final):
        if _exists(beside):
            raise UsageError(
                f"{beside}: exists already and would attach itself to {final.name}; move it away, or use "
                "`force` to remove it"
            )
    folder = final.parent
    if not folder.is_dir():
        raise OutputError(f"{final}: folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK):
        raise OutputError(
            f"{final}: folder {folder} is not writable; choose another or change its permissions"
        )


def is_folder(name: str) -> bool:
    """Whether outputs go into it, or inputs lie in it, rather than by its name."""
    return name.endswith("/") or Path(name).is_dir()


def refuse_same_file(source: str | os.PathLike[str], *destinations: str | os.PathLike[str]) -> None:
    """UsageError where an output is the input itself, under whatever name."""
    for destination in destinations:
        with contextlib.suppress(OSError):  # names of URLs and the like
            if Path(destination).exists() and Path(source).samefile(destination):
                raise UsageError(f"{destination}: is the input itself; give another name for the output")


def _check_kind(final: Path) -> None:
    """Nothing but a file may be replaced: no folder, and no device or pipe, of which there is only one."""
    try:
        mode = final.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        mode = None
    if mode is not None and stat.S_ISDIR(mode):
        raise UsageError(f"{final}: is a folder; give the name of a file")
    folder = str(final.parent.resolve())
    pseudo = any(folder == each or folder.startswith(each + "/") for each in _PSEUDO_FOLDERS)
    special = mode is not None and not stat.S_ISREG(mode)
    if special or (pseudo and not folder.startswith(_SHARED_MEMORY)):
        raise UsageError(
            f"{final}: is a device or a pipe, not a place for a file; use - to write to standard output, and "
            "lead that there"
        )


def _exists(path: Path) -> bool:
    """Whether there is a file, or a link, of this name; a name too long to exist does not."""
    try:
        path.lstat()
    except OSError:
        return False
    return True


def _publish(part: Path, final: Path, force: bool) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    pairs = zip(companions(part), companions(final), strict=True)
    found = [(made, beside) for made, beside in pairs if _exists(made)]
    for _, beside in found:
        _exists_or_fits(beside)
    if force:
        for beside in companions(final):
            if _exists(beside):
                beside.unlink()
        part.replace(final)
    else:
        try:
            os.link(part, final)  # unlike a rename this never replaces what another process just wrote
        except FileExistsError:
            raise UsageError(
                f"{final}: appeared while it was being written; use `force` to replace it"
            ) from None
        except OSError:
            part.replace(final)  # a file system without hard links
    for made, beside in found:
        made.replace(beside)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _exists_or_fits(beside: Path) -> None:
    """OutputError where the file system has no such long names."""
    try:
        beside.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise OutputError(
                f"{beside}: belongs beside the output, but its name is too long; use a shorter one"
            ) from error
        raise


def _reason(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "its name is too long for the file system; give a shorter one"
    return error.strerror or str(error)


def _remove(part: Path) -> None:
    for path in (part, *companions(part)):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def writing_stdout() -> Iterator[BinaryIO]:
    """Standard output for bytes, flushed in the end; OutputError where it cannot be written."""
    stream = stdout()
    try:
        yield stream
        stream.flush()
    except ReaderGone as error:
        raise OutputError(str(error)) from error  # which matters to whoever wanted the data
    except OSError as error:
        raise OutputError(f"standard output: cannot be written ({error.strerror or error})") from error


@contextlib.contextmanager
def _copied_to_stdout() -> Iterator[Path]:
    """A temporary path whose content goes to standard output: what is seeked in cannot be written there."""
    stdout()
    folder = scratch_folder()
    remove_abandoned(folder)
    part = part_path(folder / "sarzip-stdout")
    try:
        try:
            yield part
        except OutputError as error:
            raise OutputError(str(error).replace(str(part), f"temporary file in {folder}")) from error
        with part.open("rb") as file, writing_stdout() as stream:
            shutil.copyfileobj(file, stream)
    finally:
        _remove(part)


@contextlib.contextmanager
def binary_output(destination: str | os.PathLike[str], force: bool = False) -> Iterator[BinaryIO]:
    """A binary stream, seekable, that becomes `destination` when complete; '-' is standard output."""
    with atomic_path(destination, force) as part:
        try:
            file = part.open("xb")
        except OSError as error:
            raise OutputError(f"{destination}: cannot be written ({_reason(error)})") from error
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
