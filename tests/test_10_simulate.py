"""Simulated speckle against theory, and scenes that do not depend on how they are asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.errors import UsageError
from sarzip.simulate import SceneConfig, Simulator, ground_points, preset, simulate, utm_transform
from sarzip.simulate import backscatter as land
from sarzip.simulate.chance import bits, gaussian_table, key_of, uniform
from sarzip.simulate.speckle import REACH, impulse_response, look_weights, shaping_filter

DB_PER_NEPER = 10 / np.log(10)


def flat(**options: object) -> SceneConfig:
    base = SceneConfig(512, 512, looks=1, form="power", seed=5, noise_db=-60.0, landscape="flat")
    return replace(base, **options)  # type: ignore[arg-type]


def psi1(looks: int) -> float:
    """Trigamma of a whole number."""
    return float(np.pi**2 / 6 - sum(1 / k**2 for k in range(1, looks)))


def psi(looks: int) -> float:
    """Digamma of a whole number."""
    return float(-np.euler_gamma + sum(1 / k for k in range(1, looks)))


def band_correlation(lags: np.ndarray, oversampling: float, weighting: float) -> np.ndarray:
    """Correlation of the complex image: the transform of the squared spectrum, by brute force."""
    frequency = np.linspace(-0.5 / oversampling, 0.5 / oversampling, 4001)
    power = (weighting + (1 - weighting) * np.cos(2 * np.pi * frequency * oversampling)) ** 2
    sums = [np.sum(power * np.cos(2 * np.pi * frequency * lag)) for lag in lags]
    return np.array(sums) / np.sum(power)


@pytest.mark.parametrize("looks", [1, 2, 5, 16])
def test_looks_and_decibel_moments(looks: int) -> None:
    power = simulate(flat(looks=looks)).astype(np.float64)
    assert power.mean() == pytest.approx(0.1, rel=0.02)
    assert power.mean() ** 2 / power.var() == pytest.approx(looks, rel=0.04)
    db = 10 * np.log10(power)
    # Log-gamma: standard deviation sqrt(psi1(L)), 5.57 dB for one look; mean psi(L) - ln L under power's.
    assert db.std() == pytest.approx(DB_PER_NEPER * np.sqrt(psi1(looks)), rel=0.02)
    assert db.mean() + 10 == pytest.approx(DB_PER_NEPER * (psi(looks) - np.log(looks)), abs=0.06)


@pytest.mark.parametrize("looks", [1.5, 2.7, 4.4])
def test_fractions_of_a_look(looks: float) -> None:
    weights = look_weights(looks).astype(np.float64)
    assert weights.sum() == pytest.approx(1)
    assert 1 / np.sum(weights**2) == pytest.approx(looks, rel=1e-5)
    power = simulate(flat(looks=looks)).astype(np.float64)
    assert power.mean() ** 2 / power.var() == pytest.approx(looks, rel=0.05)


def test_single_look_amplitude_is_rayleigh() -> None:
    number = simulate(flat(form="amplitude", gain_db=70.0)).astype(np.float64)
    rms = np.sqrt(np.mean(number**2))
    assert rms == pytest.approx(np.sqrt(0.1) * 10**3.5, rel=0.02)
    assert number.mean() / rms == pytest.approx(np.sqrt(np.pi) / 2, rel=0.005)
    for fraction in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999):
        expected = rms * np.sqrt(-np.log(1 - fraction))
        assert np.quantile(number, fraction) == pytest.approx(expected, rel=0.04)


def test_forms_agree() -> None:
    power = simulate(flat(looks=4))
    assert np.allclose(simulate(flat(looks=4, form="db")), 10 * np.log10(power), atol=1e-4)
    number = simulate(flat(looks=4, form="amplitude", gain_db=80.0)).astype(np.float64)
    assert np.allclose(number / 1e4, np.sqrt(power), atol=0.6e-4)


def test_complex_speckle_is_circular() -> None:
    image = simulate(flat(form="complex", gain_db=70.0))
    assert image.dtype == np.int16 and image.shape == (512, 512, 2)
    real, imaginary = image[..., 0].astype(np.float64), image[..., 1].astype(np.float64)
    size = np.mean(real**2 + imaginary**2)
    assert size == pytest.approx(0.1 * 1e7, rel=0.02)
    assert np.mean(real**2) / size == pytest.approx(0.5, abs=0.01)
    assert np.mean(real * imaginary) / size == pytest.approx(0, abs=0.01)
    assert np.mean(real) ** 2 / size < 1e-3
    amplitude = np.hypot(real, imaginary)
    # Fourth moment of a circular Gaussian: E|z|^4 = 2 (E|z|^2)^2.
    assert np.mean(amplitude**4) / size**2 == pytest.approx(2, rel=0.03)


@pytest.mark.parametrize(
    ("rows", "columns", "weighting"), [(1.1, 1.4, 0.54), (1.4, 1.2, 0.7), (2.0, 1.8, 0.7)]
)
def test_neighbours_correlate_as_the_band_says(rows: float, columns: float, weighting: float) -> None:
    config = flat(form="complex", gain_db=70.0, oversampling=(rows, columns), weighting=weighting)
    parts = simulate(config).astype(np.float64)
    image = parts[..., 0] + 1j * parts[..., 1]
    image /= np.sqrt(np.mean(np.abs(image) ** 2))
    lags = np.array([1, 2, 3])
    for oversampling, moved in ((rows, image), (columns, image.T)):
        expected = band_correlation(lags, oversampling, weighting)
        got = [np.mean(moved[lag:] * np.conj(moved[:-lag])) for lag in lags]
        assert np.allclose(got, expected, atol=0.025)
        power = np.abs(moved) ** 2 - 1
        got_power = [np.mean(power[lag:] * power[:-lag]) for lag in lags]
        # Siegert: the intensity's correlation is the squared one of the field.
        assert np.allclose(got_power, expected**2, atol=0.035)


def test_the_spectrum_ends_with_the_band() -> None:
    image = simulate(flat(form="complex", gain_db=70.0, oversampling=(1.0, 2.0), weighting=0.54)).astype(
        float
    )
    spectrum = np.abs(np.fft.fft(image[..., 0] + 1j * image[..., 1], axis=1)) ** 2
    density = spectrum.mean(axis=0)
    outside = density[512 // 4 + 30 : 512 - 512 // 4 - 30].mean()
    assert outside < 2e-3 * density.mean()  # what cutting the filter to 17 taps leaves


def test_spatial_multilook_averages_correlated_samples() -> None:
    down, right = 2, 5
    power = simulate(flat(multilook=(down, right))).astype(np.float64)
    variance = 1.0
    for number, rate in ((down, 1.4), (right, 1.2)):
        lags = np.arange(-number + 1, number)
        weight = (number - np.abs(lags)) / number**2
        variance *= np.sum(weight * band_correlation(lags, rate, 0.7) ** 2)
    assert power.mean() == pytest.approx(0.1, rel=0.02)
    assert power.mean() ** 2 / power.var() == pytest.approx(1 / variance, rel=0.04)


def test_thermal_noise_adds_its_power() -> None:
    power = simulate(flat(looks=4, noise_db=-7.0))
    assert power.mean() == pytest.approx(0.1 + 10**-0.7, rel=0.02)
    quiet = simulate(SceneConfig(400, 400, looks=4, form="power", seed=1, noise_db=-60.0))
    noisy = simulate(SceneConfig(400, 400, looks=4, form="power", seed=1, noise_db=-20.0))
    assert noisy.mean() - quiet.mean() == pytest.approx(0.01, rel=0.2)


def test_the_impulse_response_has_the_side_lobes_of_its_window() -> None:
    x = np.linspace(-30, 30, 60001)
    response = np.abs(impulse_response(x, 1.3, 0.54))
    assert response.max() == pytest.approx(1) and x[response.argmax()] == pytest.approx(0, abs=1e-9)
    beyond = response[np.abs(x) > 2.01 * 1.3].max()
    assert 20 * np.log10(beyond) == pytest.approx(-42.7, abs=0.5)
    assert np.sum(shaping_filter(1.3, 0.7) ** 2) == pytest.approx(1, rel=1e-5)
    whole = np.sum(impulse_response(np.arange(-400.0, 401.0), 1.9, 0.7) ** 2)
    inside = np.sum(impulse_response(np.arange(-REACH, REACH + 1.0), 1.9, 0.7) ** 2)
    assert 1 - inside / whole < 0.01


def test_point_targets_stand_out_with_side_lobes() -> None:
    config = SceneConfig(2048, 1024, looks=1, form="db", seed=2, noise_db=-35.0, weighting=1.0)
    db = simulate(config)
    row, column = np.unravel_index(np.argmax(db[40:-40, 40:-40]), (944, 1968))
    row, column = row + 40, column + 40
    assert db[row, column] > 15
    across = np.abs(np.arange(-32, 33))
    cross = np.maximum(db[row, column - 32 : column + 33].mean(), db[row - 32 : row + 33, column].mean())
    corners = db[row - 32 : row + 33, column - 32 : column + 33][np.ix_(across > 8, across > 8)]
    # Without weighting the lobes fall off as 1/x along rows and columns: a bright cross.
    assert cross > np.median(corners) + 10


def test_the_landscape_has_everything() -> None:
    shares = np.zeros(6)
    for seed in range(4):
        key = key_of(seed, 0)
        fields = land.slow_fields(key, 400.0, (-1, -1), (70, 70))
        for row in range(0, 512, 7):
            for column in range(0, 512, 7):
                shares[land.cover(key, 400.0, fields, (-1, -1), (row, column))] += 1
    shares /= shares.sum()
    assert (shares > 0.003).all(), shares
    assert shares.max() < 0.7, shares


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 299), st.integers(0, 259), st.integers(1, 300), st.integers(1, 260))
def test_a_window_is_a_part_of_the_scene(row: int, column: int, rows: int, columns: int) -> None:
    config = SceneConfig(260, 300, looks=1.6, seed=9, border=0.1)
    rows, columns = min(rows, 300 - row), min(columns, 260 - column)
    whole = _whole(config)
    part = Simulator(config).window(row, column, rows, columns)
    assert np.array_equal(part, whole[row : row + rows, column : column + columns])


_SCENES: dict[SceneConfig, np.ndarray] = {}


def _whole(config: SceneConfig) -> np.ndarray:
    if config not in _SCENES:
        _SCENES[config] = simulate(config)
    return _SCENES[config]


@pytest.mark.parametrize("form", ["amplitude", "power", "db", "complex"])
def test_strips_and_threads_change_nothing(form: str) -> None:
    looks = 1 if form == "complex" else 2
    config = SceneConfig(300, 270, looks=looks, form=form, seed=4, border=0.05)  # type: ignore[arg-type]
    whole = simulate(config)
    assert whole.dtype == config.dtype
    for rows, threads in ((256, 1), (100, 2), (33, 3)):
        joined = np.concatenate(list(Simulator(config).strips(rows, threads)))
        assert np.array_equal(joined, whole, equal_nan=form in ("power", "db"))


def test_multilooked_windows_join_too() -> None:
    config = SceneConfig(90, 80, looks=1, multilook=(2, 3), seed=4)
    assert np.array_equal(Simulator(config).window(13, 7, 50, 60), simulate(config)[13:63, 7:67])


def test_seeds_matter_and_repeat() -> None:
    config = SceneConfig(128, 128, seed=1)
    assert np.array_equal(simulate(config), simulate(config))
    assert not np.array_equal(simulate(config), simulate(replace(config, seed=2)))


def test_borders_hold_no_data_and_the_rest_does() -> None:
    config = SceneConfig(400, 300, border=0.1, seed=3)
    image, valid = simulate(config), Simulator(config).valid(0, 0, 300, 400)
    assert np.array_equal(image > 0, valid)
    assert 0.85 < valid.mean() < 0.97
    left, right = valid.argmax(axis=1), 400 - valid[:, ::-1].argmax(axis=1)
    middle = slice(20, 280)
    assert left[middle][0] > left[middle][-1] and right[middle][0] > right[middle][-1]  # both sides slant
    floats = simulate(replace(config, form="power"))
    assert np.array_equal(np.isfinite(floats), valid) and (floats[valid] > 0).all()


def test_the_yardstick_scene() -> None:
    config = preset("s1-grdh")
    assert (config.width, config.height, config.dtype) == (25788, 16685, np.uint16)
    small = preset("s1-grdh", size=400, seed=3)
    assert (small.width, small.height, small.seed) == (400, 259, 3)
    number = Simulator(config).window(8000, 12000, 200, 300)
    assert (number > 0).all()
    points = ground_points(config)
    assert len(points) == 210
    assert {(p.row, p.column) for p in points} >= {(0.0, 0.0), (16684.0, 25787.0)}
    first, last = points[0], points[-1]
    assert all(-90 < p.latitude < 90 and 0 < p.longitude < 20 for p in points)
    metres = np.hypot(
        (first.latitude - last.latitude) * 111_320,
        (first.longitude - last.longitude) * 111_320 * np.cos(np.radians(47.5)),
    )
    assert metres == pytest.approx(10 * np.hypot(25787, 16684), rel=0.02)
    with pytest.raises(UsageError, match="s1-grdh"):
        preset("landsat")
    assert utm_transform()[0] == -utm_transform()[4] == 10


def test_random_numbers_are_uniform_and_gaussian() -> None:
    table = gaussian_table().astype(np.float64)
    assert table.mean() == pytest.approx(0, abs=1e-6) and table.var() == pytest.approx(1, abs=1e-6)
    assert np.mean(table**4) == pytest.approx(3, abs=0.01)
    key = key_of(1, 2)
    sample = np.array([uniform(key, row, column) for row in range(-50, 50) for column in range(100)])
    assert sample.mean() == pytest.approx(0.5, abs=0.01)
    assert sample.var() == pytest.approx(1 / 12, rel=0.03)
    field = sample.reshape(100, 100) - 0.5
    assert abs(np.mean(field[1:] * field[:-1])) < 0.003 and abs(np.mean(field[:, 1:] * field[:, :-1])) < 0.003
    words = {int(bits(key, row, column)) for row in range(-20, 20) for column in range(-20, 20)}
    assert len(words) == 1600


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"looks": 0.5},
        {"form": "phase"},
        {"landscape": "moon"},
        {"form": "complex"},
        {"oversampling": (0.9, 1.2)},
        {"multilook": (0, 1)},
        {"border": 0.6},
        {"weighting": 0.2},
    ],
)
def test_impossible_scenes_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        replace(SceneConfig(64, 64), **wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        Simulator(SceneConfig(64, 64)).window(0, 0, 65, 64)
