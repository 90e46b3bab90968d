"""Any raster, from file to file: only backscatter is coded as backscatter; nothing is destroyed unseen."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

import sarzip
from sarzip.cli import run

UTM = {"crs": "EPSG:32633", "transform": from_origin(5e5, 5e6, 10, 10)}


@dataclass(frozen=True)
class Scene:
    """Four looks over textured land: power, and the standardised texture under it."""

    size: tuple[int, int] = (96, 128)
    seed: int = 1
    power: np.ndarray = field(init=False)
    texture: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        f = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, self.size), indexing="ij"))
        field_ = np.fft.ifft2(np.fft.fft2(rng.normal(size=self.size)) / (f + 0.01) ** 1.3).real
        texture = field_ / field_.std()
        power = 10 ** ((4 * texture - 12) / 10) * rng.gamma(4, 0.25, self.size)
        object.__setattr__(self, "texture", texture.astype(np.float32))
        object.__setattr__(self, "power", power.astype(np.float32))


@pytest.fixture
def round_trip(tmp_path: Path):
    """Function that compresses and decompresses a raster: the report, the input and what came back."""

    def go(values, name="a.tif", options=sarzip.CompressOptions(), **about):
        values = values[None] if values.ndim == 2 else values
        profile = UTM | {key: about[key] for key in ("nodata",) if key in about}
        shape = {"count": len(values), "height": values.shape[1], "width": values.shape[2]}
        path = tmp_path / name
        with rasterio.open(path, "w", driver="GTiff", dtype=values.dtype, **shape, **profile) as dataset:
            dataset.write(values)
            for at, text in enumerate(about.get("descriptions", ()), start=1):
                dataset.set_band_description(at, text)
            for at, text in enumerate(about.get("units", ()), start=1):
                dataset.set_band_unit(at, text)
            dataset.update_tags(**about.get("tags", {}))
            if "scale" in about:
                dataset.scales = (about["scale"],) * len(values)
                dataset.offsets = (about.get("offset", 0.0),) * len(values)
        report = sarzip.compress(path, tmp_path / "a.sarz", options)
        sarzip.decompress(tmp_path / "a.sarz", tmp_path / "back.tif", sarzip.DecompressOptions(force=True))
        with rasterio.open(tmp_path / "back.tif") as dataset:
            back = dataset.read()
        return report, values, back

    return go


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[both].astype(float), b[both].astype(float))[0, 1])


OTHERS = {
    "signed covariance": ("C12_real", lambda s: 0.3 * s.power * s.texture, "signed"),
    "displacement": ("los_displacement", lambda s: 0.02 * s.texture, "signed"),
    "log ratio": ("log_ratio", lambda s: np.log(s.power / s.power.mean()), "signed"),
    "wrapped phase": ("wrapped_phase", lambda s: np.angle(np.exp(3j * s.texture)), "phase"),
    "coherence": ("coherence", lambda s: np.clip(0.6 + 0.15 * s.texture, 0, 1), "coherence"),
    "incidence angle": ("localIncidenceAngle", lambda s: 35 + 4 * s.texture, "angle"),
    "latitude": ("latitude", lambda s: 45 + 1e-4 * np.mgrid[:96, :128][0], "coordinate"),
    "elevation": ("elevation", lambda s: 300 + 80 * s.texture, "elevation"),
}


@pytest.mark.parametrize("case", OTHERS)
def test_what_is_no_backscatter_comes_back_as_it_was(case, round_trip):
    description, make, kind = OTHERS[case]
    values = make(Scene()).astype(np.float32)
    report, before, back = round_trip(values, descriptions=[description])
    (band,) = report.plan
    assert (band.kind, band.treatment) == (kind, "exact")
    np.testing.assert_array_equal(before, back)


@pytest.mark.parametrize(
    ("name", "dtype", "values"),
    [
        ("scene_ls_map.tif", "uint8", lambda t: np.where(t > 1, 2, np.where(t < -1, 1, 0))),
        ("N10E010_20_date_F02DAR.tif", "uint16", lambda t: 2300 + 14 * (t > 0) + 42 * (t > 1)),
        ("landcover.tif", "uint8", lambda t: np.digitize(t, np.linspace(-2, 2, 11))),
        ("looks.tif", "int16", lambda t: 10 + np.digitize(t, [-1, 0, 1])),
        ("mask.tif", "uint8", lambda t: 255 * (t > 0)),
    ],
)
def test_labels_dates_and_counts_are_exact(name, dtype, values, round_trip):
    report, before, back = round_trip(values(Scene().texture).astype(dtype), name)
    assert report.plan[0].treatment == "exact"
    np.testing.assert_array_equal(before, back)


def test_a_stack_codes_each_band_as_what_it_is(round_trip):
    """As SNAP and Sentinel Hub write them: gamma0 beside geometry and a mask of valid data."""
    scene = Scene()
    layers = [scene.power, scene.power * 0.2, 35 + 4 * scene.texture, scene.texture > -1]
    names = ["Gamma0_VV", "Gamma0_VH", "localIncidenceAngle", "dataMask"]
    report, before, back = round_trip(np.stack(layers).astype(np.float32), descriptions=names)
    assert [band.treatment for band in report.plan] == ["lossy", "lossy", "exact", "exact"]
    assert [band.domain for band in report.plan] == ["power", "power", "", ""]
    np.testing.assert_array_equal(before[2:], back[2:])
    assert min(correlation(before[at], back[at]) for at in (0, 1)) > 0.95


@pytest.mark.parametrize(
    ("scale", "offset", "dtype", "name"),
    [
        (0.001, -60.0, "uint16", "Gamma0_VV_db"),
        (0.01, 0.0, "int16", "sigma0_dB"),
        (0.25, -50.0, "uint8", "VV"),
    ],
)
def test_packed_decibels_are_decibels_of_the_unpacked_value(scale, offset, dtype, name, round_trip):
    packed = np.rint((10 * np.log10(Scene().power) - offset) / scale).astype(dtype)
    about = {"units": ["dB"], "descriptions": [name], "scale": scale, "offset": offset}
    report, before, back = round_trip(packed, **about)
    assert report.domains == ("db",)
    error = (back.astype(float) - before) * scale
    assert np.sqrt(np.mean(error**2)) < 1.0 and report.bpp < 5
    measured = sarzip.compare(report.source, report.output).bands[0]
    assert measured.quality.rmse_db == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-3)
    assert measured.units.rmse == pytest.approx(np.sqrt(np.mean(error**2)) / scale, rel=1e-3)


@pytest.mark.parametrize("share", [0.03, 0.3])
def test_noise_subtracted_power_keeps_its_signs(share, round_trip):
    power = Scene().power * 0.05
    negative = np.random.default_rng(1).random(power.shape) < share
    report, before, back = round_trip(np.where(negative, -power, power), descriptions=["Sigma0_VV"])
    np.testing.assert_array_equal(before, back)
    assert any("negative" in note for note in report.notes)


@pytest.mark.parametrize("fill", [-9999.0, -3.4028234663852886e38, 1e20, -32768.0])
def test_undeclared_fill_is_found_named_and_kept(fill, round_trip, recwarn):
    power = Scene().power.copy()
    power[:, 100:] = fill
    report, before, back = round_trip(power, descriptions=["sigma0_VV"])
    assert any("(fill)" in each for each in report.plan[0].special)
    np.testing.assert_array_equal(before == fill, back == fill)
    inside = np.s_[0, :, :100]
    assert correlation(before[inside], back[inside]) > 0.95
    assert not [each for each in recwarn if issubclass(each.category, RuntimeWarning)]


def test_fill_that_the_sample_does_not_show_is_found_while_encoding(round_trip):
    """A corner of a scene so large that only pieces of it are looked at beforehand."""
    power = np.tile(Scene((512, 512)).power, (3, 3))
    power[700:712, 801:815] = -9999
    report, before, back = round_trip(power, descriptions=["sigma0_VV"])
    assert report.plan[0].treatment == "lossy" and report.plan[0].special == ("-9999 (fill)",)
    np.testing.assert_array_equal(before == -9999, back == -9999)
    assert correlation(before[before > 0], back[before > 0]) > 0.95


def test_saturated_pixels_stay_and_no_other_gets_there(round_trip):
    scene = Scene((256, 256))
    values = np.clip(np.sqrt(scene.power) * 6e4, 1, 65535).astype(np.uint16)
    assert 20 < (values == 65535).sum() < 6000
    _, before, back = round_trip(values, descriptions=["amplitude_VV"])
    np.testing.assert_array_equal(before == 65535, back == 65535)


def test_a_band_that_is_wrongly_called_backscatter_is_kept_after_all(round_trip):
    """The codec notices by itself: a smooth field would be off by many times what its pixels differ."""
    smooth = (20 + 0.01 * np.add.outer(np.arange(300), np.arange(320))).astype(np.float32)
    report, before, back = round_trip(smooth, options=sarzip.CompressOptions(band_kinds=("1=power",)))
    assert report.plan[0].treatment == "exact" and "neighbouring pixels" in report.plan[0].reason
    assert any("kept exactly" in note for note in report.notes)
    np.testing.assert_array_equal(before, back)


def test_in_its_own_units_a_wrong_domain_does_not_look_perfect(tmp_path):
    """Covariances of ±0.01 within ±0.6 'dB' of the truth are nothing of it."""
    values = (0.01 * Scene().texture)[None].astype(np.float32)
    wrong = values + np.random.default_rng(0).normal(0, 0.4, values.shape).astype(np.float32)
    for name, array in (("a.tif", values), ("b.tif", wrong)):
        shape = {"count": 1, "height": values.shape[1], "width": values.shape[2], "dtype": "float32"}
        with rasterio.open(tmp_path / name, "w", driver="GTiff", **shape, **UTM) as dataset:
            dataset.write(array)
    band = sarzip.compare(tmp_path / "a.tif", tmp_path / "b.tif", "db").bands[0]
    assert band.quality.rmse_db < 0.5
    assert band.units.correlation < 0.1 and band.units.sign_flips > 0.3


EXTREMES = {
    "int8": [-128, -1, 0, 127],
    "uint32": [0, 1, 2**31, 2**32 - 1],
    "int32": [-(2**31), -1, 0, 2**31 - 1],
    "uint64": [0, 1, 2**53 + 1, 2**64 - 1],
    "int64": [-(2**63), -(2**53) - 1, 0, 2**63 - 1],
}


@pytest.mark.parametrize("dtype", EXTREMES)
def test_other_types_are_exact_and_never_wrap_around(dtype, round_trip):
    values = np.random.default_rng(2).choice(np.array(EXTREMES[dtype], dtype), (40, 50))
    report, before, back = round_trip(values)
    assert report.plan[0].treatment == "exact" and back.dtype == dtype
    np.testing.assert_array_equal(before, back)


@pytest.mark.parametrize("dtype", ["complex_int16", "complex64", "complex128"])
def test_complex_data_are_refused_with_a_remedy(dtype, tmp_path):
    place = {"driver": "GTiff", "width": 40, "height": 30, "count": 1, "dtype": dtype}
    with rasterio.open(tmp_path / "slc.tif", "w", **place) as dataset:
        dataset.write(np.ones((1, 30, 40), np.complex64 if dtype == "complex_int16" else dtype))
    with pytest.raises(sarzip.errors.InputError, match=r"slc\.tif: .* complex data .* rio calc"):
        sarzip.compress(tmp_path / "slc.tif", tmp_path / "slc.sarz")
    assert not (tmp_path / "slc.sarz").exists()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lossless_keeps_every_bit(dtype, round_trip):
    """Negative zero, denormals, infinities, and NaNs with payloads."""
    kind = np.dtype(dtype)
    values = Scene().power.astype(dtype)
    bits = values.view(f"u{kind.itemsize}")
    values[0, :4] = -0.0, np.inf, -np.inf, np.finfo(kind).smallest_subnormal
    bits[1, :3] = np.array([np.nan], kind).view(bits.dtype)[0] + np.arange(3, dtype=bits.dtype)
    options = sarzip.CompressOptions(lossless=True)
    report, before, back = round_trip(values, options=options, descriptions=["sigma0_VV"])
    assert report.plan[0].treatment == "exact" and report.plan[0].kind == "backscatter"
    np.testing.assert_array_equal(before.view(bits.dtype), back.view(bits.dtype))


def test_amplitude_or_power_without_a_name_is_called_a_guess(round_trip):
    report, before, back = round_trip(Scene((256, 256)).power * 0.1)
    assert report.plan[0].certainty == "guess" and report.plan[0].treatment == "lossy"
    assert any("a guess" in note and "if it is power" in note for note in report.notes)
    # The mean power of cells is right under either reading: that of amplitudes is the square.
    for exponent in (1, 2):
        first, second = (
            (values.astype(float) ** exponent).reshape(8, 32, 8, 32).mean((1, 3)) for values in (before, back)
        )
        assert np.percentile(abs(10 * np.log10(second / first)), 95) < 0.055


def test_a_comparison_says_where_it_guesses(write_raster):
    source = write_raster((Scene((256, 256)).power * 0.1)[None])
    assert sarzip.compare(source, source).bands[0].guess
    assert not sarzip.compare(source, source, "power").bands[0].guess


def test_bands_that_are_none_can_be_refused(round_trip, tmp_path, capfd):
    values = (35 + 4 * Scene().texture).astype(np.float32)
    options = sarzip.CompressOptions(others="refuse")
    with pytest.raises(sarzip.errors.InputError, match="band 1 is no backscatter but angle"):
        round_trip(values, descriptions=["incidenceAngle"], options=options)
    code = run(["compress", str(tmp_path / "a.tif"), "-o", str(tmp_path / "b.sarz"), "--others", "refuse"])
    assert code == 3 and "--band-kind 1=backscatter" in capfd.readouterr().err


def test_a_person_overrules_what_was_found(round_trip):
    values = np.abs(Scene().texture).astype(np.float32)
    report, before, back = round_trip(values, options=sarzip.CompressOptions(band_kinds=("1=phase",)))
    assert (report.plan[0].kind, report.plan[0].treatment) == ("phase", "exact")
    np.testing.assert_array_equal(before, back)
    with pytest.raises(sarzip.errors.UsageError, match="phase"):
        round_trip(values, options=sarzip.CompressOptions(band_kinds=("1=nonsense",), force=True))


HYP3 = "S1A_IW_20180128T161201_DVP_RTC10_G_gpuned_3DB4"
OPERA = "OPERA_L2_RTC-S1_T069-147170-IW1_20231001T000000Z_S1A_30_v1.0"
PRODUCTS = {
    "HyP3": {
        f"{HYP3}_VV.tif": ("power", lambda s: s.power),
        f"{HYP3}_inc_map.tif": ("angle", lambda s: 0.6 + 0.05 * s.texture),
        f"{HYP3}_dem.tif": ("elevation", lambda s: 300 + 80 * s.texture),
    },
    "OPERA": {
        f"{OPERA}_VV.tif": ("power", lambda s: s.power),
        f"{OPERA}_mask.tif": ("class", lambda s: 1.0 * (s.texture > 0)),
    },
    "PolSARpro C3": {
        "C11.tif": ("power", lambda s: s.power),
        "C12_real.tif": ("signed", lambda s: 0.3 * s.power * s.texture),
        "C12_imag.tif": ("signed", lambda s: -0.2 * s.power * s.texture),
        "C22.tif": ("power", lambda s: 0.2 * s.power),
    },
}


@pytest.mark.parametrize("product", PRODUCTS)
def test_folders_of_products(product, tmp_path, capfd):
    """Through batch, as an archive takes them in; every file by its own name."""
    source = tmp_path / "in"
    source.mkdir()
    for seed, (name, (_, make)) in enumerate(PRODUCTS[product].items()):
        values = make(Scene(seed=seed)).astype("uint8" if name.endswith("_mask.tif") else "float32")
        shape = {"count": 1, "height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
        with rasterio.open(source / name, "w", driver="GTiff", **shape, **UTM) as dataset:
            dataset.write(values, 1)
    assert run(["compress", str(source), "-o", f"{tmp_path}/out/", "--json"]) == 0
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    found = {Path(line["source"]).name: line["plan"][0] for line in lines}
    for name, (expected, _) in PRODUCTS[product].items():
        band = found[name]
        assert (band["domain"] or band["kind"]) == expected, band
        assert band["treatment"] == ("lossy" if band["domain"] else "exact")


def test_info_says_what_was_kept_and_why(round_trip, tmp_path):
    scene = Scene()
    stack = np.stack([scene.power, 35 + 4 * scene.texture]).astype(np.float32)
    round_trip(stack, descriptions=["Sigma0_VV", "incidenceAngle"])
    first, second = sarzip.inspect(tmp_path / "a.sarz").bands
    assert (first.kind, first.treatment) == ("backscatter", "lossy")
    assert (second.kind, second.treatment) == ("angle", "exact") and "incidence" in second.reason.lower()
