"""Bad inputs and outputs: one plain line with file, cause and remedy, and not a word on stderr."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from sarzip.errors import CorruptError, InputError, OutputError
from sarzip.grid import Window
from sarzip.raster import RasterSink, RasterSource
from sarzip.raster import sink as sink_module
from sarzip.raster.folders import is_dataset

pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """A tiled, compressed GeoTIFF of noise, 600x700."""
    path = tmp_path / "scene.tif"
    data = np.random.default_rng(0).integers(0, 60000, (1, 700, 600)).astype("uint16")
    profile = {"width": 600, "height": 700, "count": 1, "dtype": "uint16"}
    with rasterio.open(path, "w", driver="GTiff", tiled=True, compress="deflate", **profile) as dataset:
        dataset.write(data)
    return path


def read_all(path: Path) -> None:
    with RasterSource.open(path) as raster:
        for row in range(0, raster.info.height, 256):
            raster.read([0], Window(row, 0, min(256, raster.info.height - row), raster.info.width))


def missing(path: Path) -> None:
    path.unlink()


def text(path: Path) -> None:
    path.write_text("I am a letter\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:60])


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def last_block_gone(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5000])


def zeros_inside(path: Path) -> None:
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 200_000] = bytes(200_000)
    path.write_bytes(data)


BAD = {
    missing: "no such file",
    text: "not a raster",
    empty: "not a raster",
    folder: "not a raster",
    header_only: "truncated",
    half: "truncated",
    last_block_gone: "truncated",
    zeros_inside: "damaged",
}


@pytest.mark.parametrize("spoil", BAD, ids=lambda f: f.__name__)
def test_unreadable_input(scene: Path, spoil: Callable[[Path], None], capfd: pytest.CaptureFixture) -> None:
    spoil(scene)
    with pytest.raises(InputError) as caught:
        read_all(scene)
    message = str(caught.value)
    assert message.startswith(f"{scene}: ") and BAD[spoil] in message and "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_unreadable_input_in_a_process_that_configures_nothing(scene: Path) -> None:
    half(scene)
    code = (
        "import sys\nfrom sarzip.grid import Window\nfrom sarzip.raster import RasterSource\n"
        "with RasterSource.open(sys.argv[1], threads=2) as r: r.read([0], Window(0, 0, 700, r.info.width))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(scene)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" in done.stderr  # Python's own, because nobody caught the error
    assert "InputError" in done.stderr and "ERROR 1" not in done.stderr and "_tiff" not in done.stderr


def test_errors_in_another_thread_are_the_same(scene: Path, capfd: pytest.CaptureFixture) -> None:
    half(scene)
    seen: list[BaseException] = []

    def work(raster: RasterSource) -> None:
        try:
            raster.read([0], Window(0, 0, 700, raster.info.width))
        except InputError as error:
            seen.append(error)

    with RasterSource.open(scene) as raster:
        thread = threading.Thread(target=work, args=(raster,))
        thread.start()
        thread.join()
    assert len(seen) == 1
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("keep", range(0, 260, 3))
def test_truncation_anywhere_in_the_header_is_an_input_error(
    scene: Path, keep: int, capfd: pytest.CaptureFixture
) -> None:
    scene.write_bytes(scene.read_bytes()[:keep])
    with pytest.raises(InputError):
        read_all(scene)
    assert capfd.readouterr() == ("", "")


def test_container_of_several_rasters_names_one(tmp_path: Path) -> None:
    path = tmp_path / "many.gpkg"
    with rasterio.Env() as env:
        if "GPKG" not in env.drivers():
            pytest.skip("this GDAL has no GPKG")
    for i, table in enumerate(("HH", "HV")):
        options = {"RASTER_TABLE": table, "APPEND_SUBDATASET": "YES" if i else "NO"}
        shape = {"width": 256, "height": 256, "count": 1, "dtype": "uint8"}
        where = {"crs": "EPSG:4326", "transform": rasterio.Affine(0.1, 0, 0, 0, -0.1, 0)}
        with rasterio.open(path, "w", driver="GPKG", **shape, **where, **options) as dataset:
            dataset.write(np.ones((1, 256, 256), np.uint8))
    with pytest.raises(InputError, match="2 rasters; name one of them") as caught:
        RasterSource.open(path)
    assert "HH" in str(caught.value)
    with RasterSource.open(f"GPKG:{path}:HV") as raster:
        assert raster.info.width == 256


@pytest.mark.skipif(sys.platform == "darwin", reason="file names are UTF-8 there")
def test_name_that_is_not_utf8(scene: Path) -> None:
    other = Path(os.fsdecode(os.fsencode(scene.parent) + b"/latin\xe9.tif"))
    scene.rename(other)
    with pytest.raises(InputError, match=r"file name is not UTF-8.*rename the file"):
        read_all(other)
    other.rename(scene)  # the remedy
    read_all(scene)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://localhost:1/a.tif", r"cannot be fetched \(CURL error.*check the address and the network"),
        ("/vsizip/missing.zip/a.tif", "nothing is there; check the name of the archive"),
        ("NETCDF:missing.nc:x", "no such file"),
        ("/vsicurl/https://localhost:1/a.tif", "cannot be fetched"),
        ("s3://bucket/a.tif", r"without credentials \(.*AWS_NO_SIGN_REQUEST"),
    ],
)
def test_addresses_that_cannot_be_read(
    name: str, said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_NO_SIGN_REQUEST", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(InputError, match=said) as caught:
        RasterSource.open(name)
    assert "truncated" not in str(caught.value)


def test_a_folder_that_is_a_raster(scene: Path, tmp_path: Path) -> None:
    with rasterio.Env() as env:
        if "Zarr" not in env.drivers():
            pytest.skip("this GDAL has no Zarr")
    store = tmp_path / "a.zarr"
    rasterio.shutil.copy(scene, store, driver="Zarr")
    assert is_dataset(store) and not is_dataset(tmp_path)
    with RasterSource.open(store) as raster, RasterSource.open(scene) as original:
        assert (raster.info.width, raster.info.height) == (original.info.width, original.info.height)


def test_complex_rasters_open_and_tell_their_dtype(tmp_path: Path) -> None:
    path = tmp_path / "slc.tif"
    with rasterio.open(path, "w", driver="GTiff", width=4, height=4, count=1, dtype="complex_int16"):
        pass
    with RasterSource.open(path) as raster:
        assert raster.info.dtypes == ("complex_int16",)


@pytest.mark.parametrize(
    ("name", "said"), [("nowhere/a.tif", "no folder"), ("file/a.tif", "no folder"), ("taken", "a folder")]
)
def test_unwritable_output(tmp_path: Path, name: str, said: str, capfd: pytest.CaptureFixture) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError, match=said) as caught:
        RasterSink.create(tmp_path / name, 5, 5, ("uint8",), {})
    assert str(caught.value).startswith(f"{tmp_path / name}: ") and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="permission denied"):
        RasterSink.create(tmp_path / "a.tif", 5, 5, ("uint8",), {})
    tmp_path.chmod(0o700)


def test_damaged_tags_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(CorruptError):
        RasterSink.create(tmp_path / "a.tif", 5, 5, ("uint8",), {"t": [1]})
    assert list(tmp_path.iterdir()) == []


def test_output_larger_than_the_disk_is_refused_at_once(tmp_path: Path) -> None:
    side = 1 << 22
    if shutil.disk_usage(tmp_path).free > side * side * 8:
        pytest.skip("an enormous disk")
    with pytest.raises(OutputError, match="MB are free"):
        RasterSink.create(tmp_path / "a.tif", side, side, ("float64",), {})
    assert list(tmp_path.iterdir()) == []


def test_full_device(capfd: pytest.CaptureFixture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    with (
        pytest.raises(OutputError, match="no space left"),
        RasterSink.create("/dev/full", 600, 600, ("uint16",), {}) as sink,
    ):
        sink.write(0, 0, 0, np.ones((600, 600), np.uint16))
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def small_disk(tmp_path: Path):
    """A file system of 1 MB, where this user may mount one."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("cannot mount a small file system")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.parametrize("options", [{}, {"compress": "zstd"}, {"compress": "zstd", "threads": 2}])
@pytest.mark.parametrize("height", [1020, 1024, 1300, 2048])
def test_disk_that_fills_up(
    small_disk: Path,
    options: dict,
    height: int,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture,
) -> None:
    # GDAL closes some of these files without an error; a file that is not whole must never pass for one.
    monkeypatch.setattr(sink_module, "_check_space", lambda path, size: None)
    noise = np.random.default_rng(1).integers(0, 65535, (height, 512)).astype(np.uint16)
    path = small_disk / "a.tif"
    try:
        with RasterSink.create(path, 512, height, ("uint16",), {}, **options) as sink:
            for row in range(0, height, 256):
                sink.write(0, row, 0, noise[row : row + 256])
    except OutputError as error:
        assert "no space left" in str(error) and "\n" not in str(error)
    else:
        with rasterio.open(path) as dataset:
            assert np.array_equal(dataset.read(1), noise)
    assert capfd.readouterr() == ("", "")


def test_words_of_others_on_stderr_pass_through(capfd: pytest.CaptureFixture) -> None:
    from sarzip.raster.gdal import captured_stderr

    with captured_stderr() as lines:
        os.write(2, b"_tiffWriteProc: No space left on device.\nsomebody else\n")
    assert lines == ["_tiffWriteProc: No space left on device."]
    assert capfd.readouterr().err == "somebody else\n"


def test_an_exception_while_writing_closes_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), RasterSink.create(tmp_path / "a.tif", 5, 5, ("uint8",), {}) as sink:
        raise KeyError("x")
    sink.close()  # harmless
    (tmp_path / "a.tif").unlink()
