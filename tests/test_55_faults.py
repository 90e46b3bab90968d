"""Faults of disks, pipes, permissions, other processes and workers: one clear line, nothing left behind."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from support.damage import compress_small_groups, read_raster
from support.scenes import speckled

import sarzip
from sarzip.cli import run
from sarzip.errors import InputError, OutputError, UsageError
from sarzip.pipeline import encode, signal_group
from sarzip.usecases.verify import verify

PYTHON = [sys.executable, "-m", "sarzip"]


@pytest.fixture
def files(write_raster, tiny_model, tmp_path, monkeypatch):
    """source raster, its .sarz, the raster that comes back, and an empty folder for outputs."""
    source = write_raster(speckled(300, 530)[None])
    packed, back, out = tmp_path / "a.sarz", tmp_path / "back.tif", tmp_path / "out"
    compress_small_groups(source, packed, tiny_model)
    out.mkdir()
    sarzip.decompress(packed, back, unpack(tiny_model))
    return SimpleNamespace(source=source, packed=packed, back=back, out=out, model=tiny_model)


def unpack(model: Path, threads: int = 2) -> sarzip.DecompressOptions:
    return sarzip.DecompressOptions("cpu", threads, model=str(model))


def pack(model: Path, threads: int = 2) -> sarzip.CompressOptions:
    return sarzip.CompressOptions(device="cpu", threads=threads, model=str(model))


class Faulty(io.RawIOBase):
    """A stream of `data` that fails after so many reads, or gives a few bytes at a time."""

    def __init__(self, data: bytes, most: int = 1 << 30, reads: int = 1 << 30, seeks: bool = False) -> None:
        self._inner = io.BytesIO(data)
        self._most, self._left, self._seeks = most, reads, seeks

    def read(self, size: int = -1) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._inner.read(min(size, self._most) if size >= 0 else size)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._inner.seek(offset, whence)

    def seekable(self) -> bool:
        return self._seeks


def as_input(stream: io.RawIOBase, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a stream what is opened: as standard input, or as a file where it is seekable."""
    if not stream.seekable():
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
        return "-"
    real = Path.open

    def opened(self: Path, *more: object, **named: object) -> object:
        return stream if self.name == "disk.sarz" else real(self, *more, **named)

    monkeypatch.setattr(Path, "open", opened)
    return "disk.sarz"


@pytest.mark.parametrize("most", [1, 7, 4096])
@pytest.mark.parametrize("seeks", [False, True])
def test_short_reads(most, seeks, files, monkeypatch):
    data = files.packed.read_bytes()
    with monkeypatch.context() as patch:
        assert verify(as_input(Faulty(data, most, seeks=seeks), patch)).frames == 6


@pytest.mark.parametrize("seeks", [False, True])
def test_read_errors(seeks, files, monkeypatch):
    """EIO at every single read."""
    data = files.packed.read_bytes()
    failed = 0
    for reads in range(1000):
        with monkeypatch.context() as patch:
            source = as_input(Faulty(data, reads=reads, seeks=seeks), patch)
            try:
                verify(source)
            except InputError as error:
                assert "cannot be read (Input/output error)" in str(error)
                failed += 1
            else:
                break
    assert failed == reads > 5
    source = as_input(Faulty(data, reads=reads - 3, seeks=seeks), monkeypatch)
    with pytest.raises(InputError, match="cannot be read"):
        sarzip.decompress(source, files.out / "a.tif", unpack(files.model))
    assert list(files.out.iterdir()) == []


def test_interrupted_system_calls(files):
    """EINTR: a signal arrives every few milliseconds while a slow pipe is read and a file written."""
    reading, writing = os.pipe()
    data = files.packed.read_bytes()

    def feed() -> None:
        with os.fdopen(writing, "wb", buffering=0) as sink:
            for start in range(0, len(data), 97):
                sink.write(data[start : start + 97])

    count = 0

    def count_signal(number: int, frame: object) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGALRM, count_signal)
    feeder = threading.Thread(target=feed)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
        feeder.start()
        with pytest.MonkeyPatch.context() as patch, os.fdopen(reading, "rb") as stream:
            patch.setattr(sys, "stdin", SimpleNamespace(buffer=stream))
            sarzip.decompress("-", files.out / "a.tif", unpack(files.model))
        sarzip.compress(files.source, files.out / "a.sarz", pack(files.model))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        feeder.join()
    assert count > 10
    np.testing.assert_array_equal(read_raster(files.out / "a.tif"), read_raster(files.back))
    assert verify(files.out / "a.sarz").groups == 1


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_write_errors_of_the_sarz(fault, files, monkeypatch):
    """Every single write fails once."""
    real, left = Path.open, 0

    class Full(io.FileIO):
        def write(self, data: object) -> int:
            nonlocal left
            left -= 1
            if left < 0:
                raise OSError(fault, os.strerror(fault))
            return super().write(data)

    def opened(self: Path, mode: str = "r", *more: object, **named: object) -> object:
        return Full(self, "wb") if mode == "xb" else real(self, mode, *more, **named)

    monkeypatch.setattr(Path, "open", opened)
    for writes in range(100):
        left = writes
        try:
            sarzip.compress(files.source, files.out / "a.sarz", pack(files.model, 1))
        except OutputError as error:
            assert os.strerror(fault) in str(error) and "a.sarz" in str(error)
            assert list(files.out.iterdir()) == []
        else:
            break
    assert writes >= 3


@pytest.mark.parametrize("fault", [errno.EIO, errno.EACCES, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "link"])
def test_failures_at_the_very_end(call, fault, files, monkeypatch):
    def fail(*arguments: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        if call == "link":  # a file system without hard links falls back to renaming
            patch.setattr(Path, "replace", fail)
        for work in (
            lambda: sarzip.decompress(files.packed, files.out / "a.tif", unpack(files.model)),
            lambda: sarzip.compress(files.source, files.out / "a.sarz", pack(files.model)),
        ):
            with pytest.raises(OutputError, match=os.strerror(fault)):
                work()
    assert list(files.out.iterdir()) == []


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [100_000])
def test_file_size_limit(size, files):
    """The kernel refuses to let the file grow (EFBIG), for GDAL as for us."""
    target = files.out / "a.tif"
    command = [*PYTHON, "decompress", files.packed, "-o", target, "--model", files.model]
    done = subprocess.run(command, capture_output=True, preexec_fn=limited(size), check=False)
    assert done.returncode == 1 and list(files.out.iterdir()) == []
    last = done.stderr.decode().splitlines()[-1]  # libtiff may have had its say before
    assert last.startswith(f"sarzip: {target}: cannot be written") and "part" not in last


def test_folder_that_vanishes(files):
    def vanish(done: int, total: int) -> None:
        if files.out.exists():
            files.out.rename(files.out.with_name("elsewhere"))

    with pytest.raises(OutputError, match="cannot be written"):
        sarzip.compress(files.source, files.out / "a.sarz", pack(files.model), vanish)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_permission_that_is_withdrawn(files, monkeypatch):
    real = encode.SceneEncoder.frames

    def frames(self: encode.SceneEncoder) -> object:
        files.out.chmod(0o500)
        return real(self)

    monkeypatch.setattr(encode.SceneEncoder, "frames", frames)
    try:
        with pytest.raises(OutputError, match="ermission"):
            sarzip.compress(files.source, files.out / "a.sarz", pack(files.model))
    finally:
        files.out.chmod(0o700)


@pytest.mark.parametrize("change", ["touched", "grown", "cut"])
def test_sarz_that_changes_while_it_is_read(change, files, monkeypatch):
    real = signal_group.SignalGroups.decode
    monkeypatch.setattr(signal_group.SignalGroups, "decode", changing(real, files.packed, change))
    with pytest.raises(InputError, match="changed while it was being read"):
        sarzip.decompress(files.packed, files.out / "a.tif", unpack(files.model, 1))
    assert list(files.out.iterdir()) == []


@pytest.mark.parametrize("change", ["touched", "grown", "cut"])
def test_raster_that_changes_while_it_is_read(change, files, monkeypatch):
    real = signal_group.SignalGroups.encode
    monkeypatch.setattr(signal_group.SignalGroups, "encode", changing(real, files.source, change))
    with pytest.raises(InputError, match="changed while it was being read"):
        sarzip.compress(files.source, files.out / "a.sarz", pack(files.model))
    assert list(files.out.iterdir()) == []


def changing(real: Callable, path: Path, change: str) -> Callable:
    """`real`, with a change to the file at its first call."""
    done = threading.Event()

    def wrapped(*arguments: object) -> object:
        if not done.is_set():
            done.set()
            size, at = path.stat().st_size, path.stat().st_mtime_ns
            if change == "touched":
                os.utime(path, ns=(at, at + 1))
            else:
                os.truncate(path, size + 1 if change == "grown" else size // 2)
        return real(*arguments)

    return wrapped


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("fault", [RuntimeError("CUDA error: device-side assert"), MemoryError("no memory")])
def test_workers_that_die(fault, threads, files, monkeypatch, capfd):
    def dying(real: Callable, alive: int) -> Callable:
        calls = iter(range(10**6))

        def wrapped(*arguments: object) -> object:
            if next(calls) >= alive:
                raise fault
            return real(*arguments)

        return wrapped

    def unpacked(*more: str) -> int:
        target = str(files.out / "a.tif")
        return run(["decompress", str(files.packed), "-o", target, "--model", str(files.model), *more])

    def packed(*more: str) -> int:
        target = str(files.out / "a.sarz")
        return run(["compress", str(files.source), "-o", target, "--model", str(files.model), *more])

    for name, work in (
        ("decode", unpacked),
        ("restore", unpacked),
        ("encode", packed),
        ("prepare", packed),
    ):
        with monkeypatch.context() as patch:
            real = getattr(signal_group.SignalGroups, name)
            patch.setattr(signal_group.SignalGroups, name, dying(real, 0 if work is packed else 2))
            assert work("--threads", str(threads), "--device", "cpu") == 1
        message = capfd.readouterr().err
        assert message.startswith("sarzip: ") and message.count("\n") == 1 and str(fault) in message
        assert list(files.out.iterdir()) == []
    assert threading.active_count() < 20


def test_processes_that_write_the_same_output(files):
    """One of two wins; with --force the last does, and the file is always whole."""
    target = files.out / "a.sarz"
    command = [*PYTHON, "compress", files.source, "-o", target, "--quiet"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    runs = [subprocess.Popen(command, stderr=subprocess.PIPE, env=environment) for _ in range(2)]
    messages = [process.communicate()[1] for process in runs]
    codes = sorted(process.returncode for process in runs)
    assert codes == [0, 2] and all(message.count(b"\n") <= 1 for message in messages)
    options = sarzip.CompressOptions(device="cpu", threads=1, force=True)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: sarzip.compress(files.source, target, options), range(6)))
    assert verify(target).groups == 1 and list(files.out.iterdir()) == [target]


def test_sidecars_of_a_replaced_raster_go_with_it(files):
    """GDAL would read the statistics, overviews and mask of the old raster with the new one."""
    target = files.out / "a.tif"
    sarzip.decompress(files.packed, target, unpack(files.model))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(target, "r+") as dataset:
        dataset.write_mask(np.zeros((300, 530), np.uint8))
    sidecars = [files.out / f"a.tif{suffix}" for suffix in (".aux.xml", ".ovr")]
    sidecars[0].write_text("<PAMDataset><Metadata><MDI key='old'>1</MDI></Metadata></PAMDataset>")
    sidecars[1].write_bytes(b"II*\0")
    other = files.out / "a.tif.txt"
    other.write_text("mine")
    assert (files.out / "a.tif.msk").exists()
    with pytest.raises(UsageError):
        sarzip.decompress(files.packed, target, unpack(files.model))
    assert all(path.exists() for path in sidecars)
    sarzip.decompress(
        files.packed, target, sarzip.DecompressOptions("cpu", 2, force=True, model=str(files.model))
    )
    assert sorted(path.name for path in files.out.iterdir()) == ["a.tif", "a.tif.txt"]
    with rasterio.open(target) as dataset:
        assert "old" not in dataset.tags() and dataset.read_masks(1).all()


def test_links_are_replaced_and_never_followed(files):
    precious, link = files.out / "precious", files.out / "a.tif"
    precious.write_bytes(b"precious")
    link.symlink_to(precious)
    with pytest.raises(UsageError, match="already exists"):
        sarzip.decompress(files.packed, link, unpack(files.model))
    sarzip.decompress(
        files.packed, link, sarzip.DecompressOptions("cpu", 2, force=True, model=str(files.model))
    )
    assert precious.read_bytes() == b"precious" and not link.is_symlink()
    dangling = files.out / "b.sarz"
    dangling.symlink_to(files.out / "nowhere")
    with contextlib.suppress(UsageError):
        sarzip.compress(files.source, dangling, pack(files.model))
    assert dangling.is_symlink() and not (files.out / "nowhere").exists()
