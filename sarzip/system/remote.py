"""Reading what is not in a file system: any URL that fsspec knows, by ranges."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from sarzip.errors import InputError, SarzipError

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
            # fsspec calls a server that does not answer a file that is not there.
            cause = error.__cause__
            if isinstance(cause, OSError):
                raise InputError(
                    f"{url}: cannot be reached ({cause.strerror or cause}); check the address and the network"
                ) from error
            raise InputError(f"{url}: nothing is there; check the address") from None
        except ImportError as error:
            raise InputError(f"{url}: this kind of URL needs another package ({error})") from error
        except SarzipError:
            raise
        except Exception as error:  # every fsspec backend has exceptions of its own
            raise InputError(f"{url}: cannot be opened ({error or type(error).__name__})") from error
        yield cast(BinaryIO, _Remote(file))


class _Remote(io.RawIOBase):
    """A file of fsspec that says itself whether it can seek, and whose faults are OSErrors."""

    def __init__(self, file: Any) -> None:
        self._file = file
        # Servers without ranges do not tell a size either; fsspec calls their streams seekable all the same.
        self._seekable = getattr(file, "size", 0) is not None and file.seekable()

    def read(self, size: int = -1) -> bytes:
        with _faults():
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
