"""Reading what is not in a file system: any URL that fsspec knows, by ranges."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, cast

from sarzip.errors import InputError, SarzipError
from sarzip.system.scratch import spooled

# How far a remote file is read ahead: header, index and neighbouring groups then share requests, and a window
# still takes little more than its own bytes.
_READ_AHEAD = 1 << 16
# fsspec chains schemes, as in filecache::https://; GDAL's HDF5:"a.h5"://HH is no URL.
_SCHEME = re.compile(r"[A-Za-z][\w+.:-]*://")


def is_url(name: str) -> bool:
    """Whether a name is to be opened by fsspec instead of the file system."""
    return _SCHEME.match(name) is not None


@contextlib.contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """The bytes behind a URL, seekable where its server knows ranges. Raises InputError."""
    try:
        import fsspec
    except ImportError:
        raise InputError(f"{url}: reading URLs needs fsspec; pip install 'sarzip[remote]'") from None
    with contextlib.ExitStack() as stack:
        try:
            system, path = fsspec.core.url_to_fs(url, **_system_options(url))
            file = stack.enter_context(system.open(path, "rb", **_file_options(url)))
        except FileNotFoundError as error:
            raise InputError(f"{url}: {_why_missing(error.__cause__)}") from error
        except ImportError as error:
            raise InputError(f"{url}: this kind of URL needs another package ({error})") from error
        except SarzipError:
            raise
        except Exception as error:  # every fsspec backend has exceptions of its own
            raise InputError(f"{url}: cannot be opened ({error or type(error).__name__})") from error
        yield cast(BinaryIO, _Remote(file, lambda: stack.enter_context(_whole(system, path, url))))


def _why_missing(cause: BaseException | None) -> str:
    """Why fsspec did not find a file: it says so, too, of servers that do not answer, or answer otherwise."""
    status = getattr(cause, "status", None)
    if status in (401, 403):
        return f"not allowed without credentials (the server answered {status}); check the address"
    if status not in (None, 404):
        answer = status or type(cause).__name__
        return f"cannot be opened (the server answered {answer}); try again later, or check the address"
    if isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError):
        return f"cannot be reached ({cause.strerror or cause}); check the address and the network"
    return "nothing is there; check the address"


@contextlib.contextmanager
def _whole(system: Any, path: str, url: str) -> Iterator[IO[bytes]]:
    """A copy of all that a server has, where it knows no ranges."""
    with system.open(path, "rb", block_size=0) as stream, spooled(stream, url) as copy:
        yield copy


class _Remote(io.RawIOBase):
    """A file of fsspec that says itself whether it can seek, and whose faults are OSErrors."""

    def __init__(self, file: Any, copied: Callable[[], IO[bytes]]) -> None:
        """copied: gives a copy of all of it."""
        self._file = file
        self._copied = copied
        # Servers without ranges do not tell a size either; fsspec calls their streams seekable all the same.
        self._seekable = getattr(file, "size", 0) is not None and file.seekable()

    def read(self, size: int = -1) -> bytes:
        with _faults():
            position = self.tell()
            try:
                return bytes(self._file.read(size))
            except ValueError as error:  # of a server that tells a size but knows no ranges
                if "range requests" not in str(error):
                    raise
            self._file = self._copied()
            self._file.seek(position)
            return bytes(self._file.read(size))

    def seek(self, offset: int, whence: int = 0) -> int:
        with _faults():
            return int(self._file.seek(offset, whence))

    def tell(self) -> int:
        return int(self._file.tell())

    def seekable(self) -> bool:
        return bool(self._seekable)

    def readable(self) -> bool:
        return True


@contextlib.contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except OSError:
        raise
    except Exception as error:  # of aiohttp, botocore and the like
        raise OSError(str(error) or type(error).__name__) from error


def _system_options(url: str) -> dict[str, object]:
    """HTTP alone would keep nothing of what it reads ahead."""
    return {"cache_type": "readahead"} if url.startswith(("http://", "https://")) else {}


def _file_options(url: str) -> dict[str, object]:
    """Object stores would read 5 MB or more at a time. Chained systems, such as caches, decide themselves."""
    return {} if "::" in url else {"block_size": _READ_AHEAD}
