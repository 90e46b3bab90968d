"""Batches: which rasters there are in files, folders and parts of files, and where their outputs go."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sarzip.batch.job import BatchOptions, Job
from sarzip.batch.run import plan_jobs, run_batch
from sarzip.errors import InputError, UsageError


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def outputs(jobs: tuple[Job, ...], folder: Path) -> list[str]:
    return [Path(job.output).relative_to(folder).as_posix() for job in jobs]


def test_files_folders_and_urls_get_their_outputs(tmp_path):
    day = tmp_path / "day"
    touch(*(day / name for name in ("b.TIFF", "a.tif", "c.vrt", "notes.txt", ".hidden.tif", "a.tif.aux.xml")))
    touch(day / "sub" / "a.tif", day / ".cache" / "x.tif", day / ".x.0123abcd.sarzip-part.tif")
    flat = plan_jobs([str(day)], str(tmp_path))
    assert outputs(flat, tmp_path) == ["a.sarz", "b.sarz", "c.sarz"]
    deep = plan_jobs([str(day)], str(tmp_path), recursive=True)
    assert sorted(outputs(deep, tmp_path)) == ["a.sarz", "b.sarz", "c.sarz", "sub/a.sarz"]
    named = plan_jobs([str(tmp_path / "no.tif"), "https://host/x/s%20c.tif?key=1.2"], str(tmp_path))
    assert outputs(named, tmp_path) == ["no.sarz", "s c.sarz"]
    assert named[1].source == "https://host/x/s%20c.tif?key=1.2"


def test_data_with_an_envi_header_are_rasters(tmp_path):
    folder = tmp_path / "C3"
    touch(
        *(folder / name for name in ("C11.bin", "C11.bin.hdr", "C22.slc", "C22.hdr", "C33.bin", "config.txt"))
    )
    touch(folder / "C11.bin.aux.xml", folder / "C22.txt")
    assert outputs(plan_jobs([str(folder)], str(tmp_path)), tmp_path) == ["C11.sarz", "C22.sarz"]
    touch(tmp_path / "none" / "C33.bin")
    with pytest.raises(InputError, match=r"no raster there .*\.hdr beside"):
        plan_jobs([str(tmp_path / "none")], str(tmp_path))


def test_parts_of_a_file_and_folders_that_are_rasters(tmp_path):
    (tmp_path / "z.zarr").mkdir()
    (tmp_path / "z.zarr" / ".zgroup").write_text("{}")
    parts = [
        "NETCDF:a.nc:VV",
        "NETCDF:a.nc:VH",
        'HDF5:"b.h5"://science/LSAR/HH',
        "SAFE:c.SAFE:IW1_VV:AMPLITUDE",
    ]
    jobs = plan_jobs([*parts, str(tmp_path / "z.zarr")], f"{tmp_path}/out/")
    assert [job.source for job in jobs] == [*parts, str(tmp_path / "z.zarr")]
    names = [Path(job.output).name for job in jobs]
    assert names == [
        "a.nc_VV.sarz",
        "a.nc_VH.sarz",
        "b.h5__HH.sarz",
        "c.SAFE_IW1_VV_AMPLITUDE.sarz",
        "z.sarz",
    ]


def test_plans_that_cannot_be(tmp_path):
    touch(tmp_path / "a" / "x.tif", tmp_path / "b" / "x.tif", tmp_path / "empty" / "x.txt")
    a, b = str(tmp_path / "a" / "x.tif"), str(tmp_path / "b" / "x.tif")
    with pytest.raises(UsageError, match=r"b/x\.tif: and .*a/x\.tif: the same output .*x\.sarz"):
        plan_jobs([a, b], str(tmp_path))
    with pytest.raises(UsageError, match="given twice"):
        plan_jobs([a, a], str(tmp_path))
    with pytest.raises(UsageError, match="end its name with '/'"):
        plan_jobs([a], str(tmp_path / "new"))
    with pytest.raises(UsageError, match="single file"):
        plan_jobs([a, "-"], str(tmp_path))
    with pytest.raises(InputError, match=r"no raster there \(\.tif"):
        plan_jobs([str(tmp_path / "empty")], str(tmp_path))
    assert plan_jobs([a], f"{tmp_path}/new/") == (Job(a, str(tmp_path / "new" / "x.sarz")),)
    assert not (tmp_path / "new").exists()
    for options, words in (
        (BatchOptions(jobs=0), "1 or more"),
        (BatchOptions(jobs=2, scheduler="x"), "excl"),
    ):
        with pytest.raises(UsageError, match=words):
            list(run_batch(plan_jobs([a], f"{tmp_path}/new/"), options))


names = st.lists(st.sampled_from(["a/x.tif", "b/x.tif", "a/y.tif", "y.img", "x.y.tif"]), max_size=5)


@given(names)
def test_no_two_scenes_share_an_output(sources):
    with tempfile.TemporaryDirectory() as folder:
        try:
            jobs = plan_jobs(sources, folder)
        except (UsageError, InputError):
            stems = [Path(source).stem for source in sources]
            assert not sources or len(set(stems)) < len(stems)
        else:
            assert [job.source for job in jobs] == sources
            assert len({job.output for job in jobs}) == len(sources)
