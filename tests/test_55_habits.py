"""The same calls on a GeoTIFF by rasterio and on a `.sarz` that holds it bit for bit: the same answers.

Where they differ on purpose: reduced resolutions are means of pixels (as overviews are), and a boundless
masked read with a fill value masks what lies beyond a scene that has no mask (rasterio does not).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.enums import Resampling
from rasterio.transform import Affine
from rasterio.windows import Window
from support.scenes import speckled

import sarzip
from sarzip.errors import SarzipError, UsageError

PLACE = Affine(10.0, 0.0, 399960.0, 0.0, -10.0, 5900040.0)
ROWS, COLUMNS = 300, 400
KINDS = ("plain", "nodata", "nan", "mask", "mask and nodata", "alpha")


def values_of(kind: str) -> np.ndarray:
    values = np.stack([speckled(ROWS, COLUMNS, seed=1), speckled(ROWS, COLUMNS, seed=2)])
    values[:, :, :40] = 0
    if kind == "nan":
        values = np.where(values == 0, np.nan, values).astype(np.float32)
    if kind == "alpha":
        values[1] = np.where(np.arange(COLUMNS) > 60, 65535, 0)
    return values


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, tuple[Path, Path]]:
    """A GeoTIFF and the `.sarz` of it, for each way to tell what is no measurement."""
    folder, made = tmp_path_factory.mktemp("habits"), {}
    for kind in KINDS:
        values, plain = values_of(kind), folder / f"{kind}.tif"
        profile: dict[str, Any] = {"nodata": np.nan} if kind == "nan" else {}
        profile |= {"nodata": 0} if "nodata" in kind else {}
        profile |= {"alpha": "YES", "photometric": "MINISBLACK"} if kind == "alpha" else {}
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            rasterio.open(
                plain, "w", driver="GTiff", count=2, height=ROWS, width=COLUMNS, dtype=values.dtype,
                crs="EPSG:32632", transform=PLACE, **profile,
            ) as dataset,
        ):  # fmt: skip
            dataset.write(values)
            dataset.update_tags(ORBIT="7")
            dataset.update_tags(1, POL="VV")
            dataset.update_tags(ns="OWN", a="b")
            dataset.descriptions = ("first", "second")
            if "mask" in kind:
                mask = np.full((ROWS, COLUMNS), 255, np.uint8)
                mask[:50] = 0
                dataset.write_mask(mask)
        packed = plain.with_suffix(".sarz")
        sarzip.compress(plain, packed, sarzip.CompressOptions(lossless=True, group=256))
        made[kind] = plain, packed
    return made


Call = Callable[[Any], Any]
READS: dict[str, Call] = {
    "all": lambda d: d.read(),
    "one": lambda d: d.read(1),
    "a list of one": lambda d: d.read([1]),
    "in another order": lambda d: d.read((2, 1)),
    "one twice": lambda d: d.read([1, 1]),
    "window": lambda d: d.read(1, window=Window(10, 20, 30, 40)),
    "window of pairs": lambda d: d.read(1, window=((20, 60), (10, 40))),
    "window of slices": lambda d: d.read(1, window=(slice(20, 60), slice(10, 40))),
    "window of fractions": lambda d: d.read(1, window=Window(10.4, 20.6, 30.2, 40.7)),
    "window of halves": lambda d: d.read(1, window=Window(10.5, 20.5, 30.5, 40.5)),
    "window shifted by halves": lambda d: d.read(1, window=Window(10.5, 20.5, 30, 40)),
    "window within a pixel": lambda d: d.read(1, window=Window(10.9, 20.1, 0.4, 0.4)),
    "fractions into a shape": lambda d: d.read(1, window=Window(50.4, 20.6, 30.5, 40), out_shape=(40, 30)),
    "open ends": lambda d: d.read(1, window=((None, 20), (None, 30))),
    "from the end": lambda d: d.read(1, window=((-20, None), (0, 30))),
    "beyond the end": lambda d: d.read(1, window=Window(390, 290, 30, 40)),
    "before the beginning": lambda d: d.read(window=Window(-10, -10, 30, 40)),
    "quite beyond": lambda d: d.read(1, window=Window(500, 290, 30, 40)),
    "quite before": lambda d: d.read(1, window=Window(-50, -50, 10, 10)),
    "no columns": lambda d: d.read(1, window=Window(50, 50, 0, 10)),
    "clipped into a shape": lambda d: d.read(1, window=Window(390, 290, 40, 40), out_shape=(20, 20)),
    "boundless": lambda d: d.read(window=Window(-10, -10, 30, 40), boundless=True),
    "boundless, inside": lambda d: d.read(1, window=Window(80, 80, 40, 40), boundless=True),
    "boundless, outside": lambda d: d.read(1, window=Window(500, 500, 30, 40), boundless=True),
    "boundless, filled": lambda d: d.read(window=Window(390, 290, 30, 40), boundless=True, fill_value=7),
    "boundless, masked": lambda d: d.read(1, window=Window(390, 290, 30, 40), boundless=True, masked=True),
    "enlarged": lambda d: d.read(1, out_shape=(600, 800)),
    "three numbers for one band": lambda d: d.read(1, out_shape=(1, 600, 800)),
    "two numbers for a list": lambda d: d.read([1], out_shape=(600, 800)),
    "masked": lambda d: d.read(1, masked=True),
    "masked, both": lambda d: np.ma.getmaskarray(d.read(masked=True)),
    "masked and filled": lambda d: d.read(1, masked=True, fill_value=5),
    "filled": lambda d: d.read(1, fill_value=5),
    "as another type": lambda d: d.read(1, out_dtype="float64"),
    "into an array": lambda d: d.read(1, out=np.zeros((ROWS, COLUMNS), "float32")),
    "into a smaller window": lambda d: d.read(out=np.zeros((2, 40, 30)), window=Window(9, 9, 30, 40)),
    "masks": lambda d: d.read_masks() > 0,
    "mask of a window": lambda d: d.read_masks(1, window=Window(30, 30, 20, 40)) > 0,
    "mask of the dataset": lambda d: d.dataset_mask() > 0,
    "samples": lambda d: np.array(list(d.sample([(400960, 5899040), (0, 0), (403959.9, 5897040.1)]))),
    "samples of a band": lambda d: np.array(list(d.sample([(400960, 5899040)], indexes=2))),
    "samples, masked": lambda d: [
        bool(np.ma.getmaskarray(each)[0]) for each in d.sample([(400960, 5899040), (0, 0)], masked=True)
    ],
}
ABOUT: dict[str, Call] = {
    **{name: lambda d, name=name: getattr(d, name) for name in (
        "width", "height", "shape", "count", "indexes", "dtypes", "crs", "transform", "bounds", "res", "rpcs",
        "gcps", "nodata", "nodatavals", "descriptions", "units", "scales", "offsets", "colorinterp",
        "mask_flag_enums", "closed", "mode",
    )},
    "tags of a band": lambda d: [d.tags(1), d.tags(2)],
    "tags of a namespace": lambda d: [d.tags(ns="OWN"), d.tags(ns="none")],
    "namespaces": lambda d: "OWN" in d.tag_namespaces(),
    "place": lambda d: (d.xy(3, 4), d.xy(3, 4, offset="ul"), d.index(400960, 5899040)),
    "window of a box": lambda d: d.window(399990, 5899000, 400960, 5900000),
    "window's place": lambda d: (d.window_transform(Window(9, 8, 5, 5)), d.window_bounds(Window(9, 8, 5, 5))),
    "number of block shapes": lambda d: len(d.block_shapes),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", READS.values(), ids=READS)
def test_reads(files, kind, call) -> None:
    plain, packed = files[kind]
    with rasterio.open(plain) as theirs, sarzip.open(packed) as ours:
        expected, found = call(theirs), call(ours)
    assert type(found) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    if isinstance(expected, np.ma.MaskedArray):
        np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(expected))
        np.testing.assert_array_equal(found.compressed(), expected.compressed())
        np.testing.assert_equal(found.fill_value, expected.fill_value)
    else:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_what_they_say(files, kind) -> None:
    plain, packed = files[kind]
    with rasterio.open(plain) as theirs, sarzip.open(packed) as ours:
        for name, call in ABOUT.items():
            np.testing.assert_equal(call(ours), call(theirs), err_msg=name)
        profile = {key: value for key, value in theirs.profile.items() if key in ours.profile}
        np.testing.assert_equal(ours.profile, profile)
        # Blocks and overviews are the file's own.
        assert sum(w.width * w.height for _, w in ours.block_windows(1)) == ROWS * COLUMNS
        assert ours.block_shapes[0] == (256, 256) and ours.overviews(1) == [2, 4, 8, 16]
        assert repr(ours).startswith("<open SarzFile name=")
    assert repr(ours).startswith("<closed SarzFile") and ours.closed


@settings(max_examples=30)
@given(
    st.tuples(*[st.floats(-100, 450) for _ in range(2)], *[st.floats(0, 300) for _ in range(2)]),
    st.booleans(),
)
def test_any_window(files, window, whole) -> None:
    """Its size and, where it falls on whole pixels, its pixels; fractions may round to another neighbour."""
    place = Window(*(map(round, window) if whole else window))
    plain, packed = files["nodata"]
    with rasterio.open(plain) as theirs, sarzip.open(packed) as ours:
        expected, found = theirs.read(1, window=place), ours.read(1, window=place)
        assert found.shape == expected.shape
        if whole:
            np.testing.assert_array_equal(found, expected)
            if found.size:
                args = {"window": place, "boundless": True, "fill_value": 3}
                np.testing.assert_array_equal(ours.read(1, **args), theirs.read(1, **args))


def test_reduced_resolutions_are_means(files) -> None:
    plain, packed = files["nan"]
    with rasterio.open(plain) as theirs, sarzip.open(packed) as ours:
        for shape in ((150, 200), (75, 100), (38, 50), (19, 25)):
            found, whole = ours.read(1, out_shape=shape), theirs.read(1)
            factor = -(-ROWS // shape[0])
            assert found.shape == shape
            blocks = whole[: shape[0] // 2 * factor, 40 // factor * factor + factor :]
            means = 20 * np.log10(np.nanmean(blocks)), 20 * np.log10(np.nanmean(found[: shape[0] // 2, 4:]))
            assert means[0] == pytest.approx(means[1], abs=0.5)
        smooth = ours.read(1, out_shape=(100, 130), resampling=Resampling.bilinear)
        assert smooth.shape == (100, 130) and np.isfinite(smooth[:, 20:]).all()
        window = Window(380, 280, 40, 40)
        assert ours.read(1, window=window, out_shape=(20, 20), boundless=True, fill_value=9)[15, 15] == 9


def test_errors(files) -> None:
    _, packed = files["plain"]
    with sarzip.open(packed) as ours:
        for wrong in (0, 3, -1, [1, 9]):
            with pytest.raises(IndexError, match="there are 2 bands, counted from 1") as raised:
                ours.read(wrong)
            assert isinstance(raised.value, SarzipError) and raised.value.exit_code == 2
        for call in (lambda: ours.tags(3), lambda: ours.overviews(0), lambda: ours.colormap(5)):
            with pytest.raises(IndexError, match="there are 2 bands"):
                call()
        with pytest.raises(UsageError, match="2 bands of rows and columns expected"):
            ours.read(out_shape=(5, 10, 10))
        with pytest.raises(UsageError, match="does not hold"):
            ours.read(out=np.zeros((ROWS, COLUMNS)))
        assert ours.read(np.int64(1)).shape == (ROWS, COLUMNS)
    for call in (
        lambda: ours.read(1), lambda: list(ours.sample([(0, 0)])), lambda: ours.read_masks(1),
        lambda: ours.dataset_mask(),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=r"plain\.sarz: the dataset is closed; open it again"):
            call()
