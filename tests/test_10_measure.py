"""Quality measures against values worked out by hand or from theory."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.errors import UsageError
from sarzip.measure import QualityAccumulator, Strip, measure_quality, quality_of
from sarzip.measure import strips as strips_module


def speckle_power(shape: tuple[int, int], looks: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).gamma(looks, 1.0 / looks, shape)


def test_constant_gain_is_found_by_every_measure() -> None:
    reference = np.sqrt(speckle_power((128, 160), 4, 1)) * 300
    decoded = reference * 10 ** (0.5 / 20)
    quality = quality_of(reference, decoded, "amplitude")
    assert quality.rmse_db == pytest.approx(0.5)
    assert quality.mean_error_db == pytest.approx(0.5)
    assert quality.max_error_db == pytest.approx(0.5)
    assert quality.bias_mean_db == pytest.approx(0.5)
    assert quality.bias_median_db == pytest.approx(0.5)
    assert quality.bias_p95_db == pytest.approx(0.5)
    assert quality.enl_ratio == pytest.approx(1.0)
    assert quality.epi == pytest.approx(1.0)
    assert quality.ratio_mean == pytest.approx(10**-0.05)
    assert quality.ratio_variance == pytest.approx(0.0, abs=1e-9)
    assert 0.99 < quality.ssim_db < 1.0
    assert quality.windows == 20
    error = decoded - reference
    peak = np.percentile(reference, 99.9)
    assert quality.psnr_amp == pytest.approx(20 * np.log10(peak) - 10 * np.log10(np.mean(error**2)), abs=0.03)
    assert quality.max_error_value == pytest.approx(np.abs(error).max())
    assert quality.rmse_value == pytest.approx(np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize("domain", ["amplitude", "power", "db"])
def test_the_same_scene_gives_the_same_in_every_domain(domain: str) -> None:
    power = speckle_power((96, 96), 2, 3)
    decoded = power * 10 ** (np.random.default_rng(4).normal(0, 0.7, power.shape) / 10)
    convert = {"amplitude": np.sqrt, "power": lambda p: p, "db": lambda p: 10 * np.log10(p)}[domain]
    expected = quality_of(power, decoded, "power")
    got = quality_of(convert(power), convert(decoded), domain)  # type: ignore[arg-type]
    for field in ("rmse_db", "bias_mean_db", "enl_ratio", "ratio_mean", "epi", "ssim_db", "psnr_amp"):
        assert getattr(got, field) == pytest.approx(getattr(expected, field), rel=1e-6), field


def test_identical_images() -> None:
    image = np.random.default_rng(0).integers(0, 900, (70, 50)).astype(np.uint16)
    quality = quality_of(image, image.copy(), "amplitude")
    assert quality.identical
    assert quality.rmse_db == 0 and quality.max_error_value == 0 and quality.bias_p95_db == 0
    assert quality.epi == pytest.approx(1) and quality.ssim_db == pytest.approx(1)
    assert quality.psnr_amp == np.inf
    as_json = json.loads(json.dumps(quality.to_dict(), allow_nan=False))
    assert as_json["psnr_amp"] is None and as_json["identical"] is True


def test_one_flipped_bit_is_not_identical() -> None:
    image = np.ones((40, 40), np.float32)
    other = image.copy()
    other[39, 39] = np.nextafter(np.float32(1), np.float32(2))
    assert not quality_of(image, other, "power").identical


def test_zeros_are_clamped_at_half_a_number() -> None:
    image = np.full((32, 32), 8, np.uint16)
    decoded = image.copy()
    decoded[0, 0] = 0
    quality = quality_of(image, decoded, "amplitude")
    assert quality.max_error_db == pytest.approx(20 * np.log10(16))
    assert quality.floor == 0.5
    as_power = quality_of(image, decoded, "power")
    assert as_power.max_error_db == pytest.approx(10 * np.log10(32))


def test_floats_are_clamped_at_the_smallest_positive_valid_value_of_the_reference() -> None:
    image = np.full((32, 32), 4.0, np.float32)
    image[0, 0], image[0, 1], image[0, 2] = 1.0, -3.0, 0.01
    valid = np.ones(image.shape, bool)
    valid[0, 2] = False  # not looked at: the floor is 1.0
    decoded = np.where(image == 4, 0, image).astype(np.float32)
    quality = quality_of(image, decoded, "power", valid)
    assert quality.floor == 1.0
    assert quality.max_error_db == pytest.approx(10 * np.log10(4))


def test_invalid_pixels_take_no_part() -> None:
    reference = speckle_power((64, 64), 4, 5).astype(np.float32)
    decoded = (reference * 1.1).astype(np.float32)
    valid = np.ones(reference.shape, bool)
    valid[:, :20] = False
    reference[40, 40], decoded[40, 40] = 500, 400  # a point target, so that nothing is undefined
    expected = quality_of(reference, decoded, "power", valid)
    assert expected.point_count == 1
    for rubbish in (np.nan, np.inf, -5.0, 1e30):
        spoiled_reference, spoiled_decoded = reference.copy(), decoded.copy()
        spoiled_reference[~valid] = rubbish
        spoiled_decoded[~valid] = -rubbish
        assert quality_of(spoiled_reference, spoiled_decoded, "power", valid) == expected
    assert expected.valid_pixels == 64 * 44 and expected.pixels == 64 * 64


def test_a_decoded_nan_is_an_infinite_error() -> None:
    reference = np.ones((32, 32), np.float32)
    decoded = reference.copy()
    decoded[3, 3] = np.nan
    quality = quality_of(reference, decoded, "power")
    assert quality.rmse_db == np.inf and quality.max_error_value == np.inf and not quality.identical


def test_windows_with_fewer_than_half_their_pixels_do_not_count() -> None:
    reference = np.ones((64, 48), np.float64)
    decoded = reference.copy()
    decoded[:, 32:] = 2.0  # 32 x 16 pixels: exactly half a window
    counted = quality_of(reference, decoded, "power")
    assert counted.windows == 4
    assert counted.bias_mean_db == pytest.approx(10 * np.log10(2) / 2)
    dropped = quality_of(reference[:, :47], decoded[:, :47], "power")
    assert dropped.windows == 2 and dropped.bias_mean_db == 0


def test_a_scene_smaller_than_any_window_is_one_window() -> None:
    quality = quality_of(np.array([[100.0]]), np.array([[200.0]]), "power")
    assert quality.windows == 1
    assert quality.bias_mean_db == pytest.approx(10 * np.log10(2))
    assert np.isnan(quality.ssim_db) and np.isnan(quality.epi) and quality.point_count == 0


def test_no_valid_pixel_leaves_everything_undefined() -> None:
    image = np.zeros((40, 40), np.float32)
    quality = quality_of(image, image, "power", np.zeros(image.shape, bool))
    assert quality.valid_pixels == 0 and quality.identical
    assert np.isnan(quality.rmse_db) and np.isnan(quality.bias_p95_db)
    json.dumps(quality.to_dict(), allow_nan=False)


def test_looks_are_estimated_and_smoothing_raises_them() -> None:
    power = speckle_power((640, 640), 4.4, 6)
    smooth = (power + np.roll(power, 1, 0)) / 2
    quality = quality_of(power, smooth, "power")
    # The most homogeneous tenth is chosen by its low variance, hence lies above the true 4.4.
    assert 4.4 < quality.enl_reference < 6.0
    assert quality.enl_decoded > 1.5 * quality.enl_reference
    assert quality.enl_ratio == pytest.approx(quality.enl_decoded / quality.enl_reference)


def test_the_ratio_image_of_smoothed_speckle_is_speckle() -> None:
    power = speckle_power((320, 320), 5, 7)
    quality = quality_of(power, np.ones_like(power), "power")
    assert quality.ratio_mean == pytest.approx(1.0, abs=0.01)
    assert quality.ratio_variance == pytest.approx(1 / 5, rel=0.05)
    assert np.isnan(quality.epi)  # the decoded image has no edges at all


def test_edges_are_correlated_pixel_by_pixel() -> None:
    rng = np.random.default_rng(8)
    a = rng.normal(0, 3, (90, 75))
    noise = rng.normal(0, 3, a.shape)
    quality = quality_of(a, a + noise, "db")
    # The Laplacian is linear, so the correlation is that of a signal and itself plus equal noise.
    assert quality.epi == pytest.approx(np.sqrt(0.5), abs=0.01)


def ssim_by_hand(x: np.ndarray, y: np.ndarray) -> float:
    c1, c2, total, count = 0.5**2, 1.5**2, 0.0, 0
    for row in range(0, x.shape[0] - 7, 4):
        for column in range(0, x.shape[1] - 7, 4):
            a, b = x[row : row + 8, column : column + 8], y[row : row + 8, column : column + 8]
            cov = np.mean((a - a.mean()) * (b - b.mean()))
            luminance = 1 - (a.mean() - b.mean()) ** 2 / (50**2 / 2 + c1)
            total += luminance * (2 * cov + c2) / (a.var() + b.var() + c2)
            count += 1
    return total / count


def test_ssim_against_the_formula() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(-12, 4, (75, 61))
    y = x + rng.normal(0.3, 2, x.shape)
    assert quality_of(x, y, "db").ssim_db == pytest.approx(ssim_by_hand(x, y), abs=1e-5)
    shifted = quality_of(x + 55, y + 55, "db").ssim_db
    assert shifted == pytest.approx(ssim_by_hand(x, y), abs=1e-5)


def test_point_targets_are_found_and_their_peaks_compared() -> None:
    rng = np.random.default_rng(10)
    power = rng.gamma(4, 0.25, (200, 200))
    rows, columns = np.array([20, 60, 110, 150]), np.array([30, 90, 150, 40])
    power[rows, columns] = 10 ** (np.array([30.0, 28.0, 26.0, 24.0]) / 10)
    power[100:106, 20:26] = 2000.0  # a bright block is not a point
    power[3, 100] = 5000.0  # too near the border to be judged
    decoded = power.copy()
    decoded[rows, columns] *= 10 ** (np.array([-1.0, -0.5, 0.5, -1.0]) / 10)
    decoded[rows[0], columns[0] + 1] = decoded[rows[0], columns[0]]
    decoded[rows[0], columns[0]] = 1.0  # the peak moved by a pixel: not an error
    quality = quality_of(power, decoded, "power")
    assert quality.point_count == 4
    assert quality.point_error_db == pytest.approx(0.75, abs=1e-4)
    assert quality.point_bias_db == pytest.approx(-0.5, abs=1e-4)


def test_complex_measures() -> None:
    rng = np.random.default_rng(11)
    x = rng.normal(size=(96, 80)) + 1j * rng.normal(size=(96, 80))
    rotated = quality_of(x, x * np.exp(1j * np.radians(10)), "amplitude").complex
    assert rotated is not None
    assert rotated.phase_rmse_deg == pytest.approx(10)
    assert rotated.coherence == pytest.approx(1)
    noise = rng.normal(size=x.shape) + 1j * rng.normal(size=x.shape)
    noisy = quality_of(x, x + 0.1 * noise, "amplitude").complex
    assert noisy is not None
    assert noisy.sqnr_db == pytest.approx(20, abs=0.15)
    assert noisy.coherence == pytest.approx(1 / np.sqrt(1.01), abs=0.002)
    strange = quality_of(x, noise, "amplitude").complex
    assert strange is not None and strange.coherence < 0.1
    with pytest.raises(UsageError):
        quality_of(x, x, "power")


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 150),
    st.integers(1, 90),
    st.lists(st.integers(1, 60), min_size=1, max_size=12),
    st.integers(0, 2**31),
)
def test_cutting_into_strips_changes_nothing(height: int, width: int, cuts: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    reference = rng.gamma(1.0, 100.0, (height, width)).astype(np.float32)
    decoded = (reference * rng.lognormal(0, 0.1, reference.shape)).astype(np.float32)
    valid = rng.random(reference.shape) > 0.2
    floor = 0.01
    whole = quality_of(reference, decoded, "power", valid, floor).to_dict()
    accumulator = QualityAccumulator(width, "power", floor)
    row, turn = 0, 0
    while row < height:
        end = min(height, row + cuts[turn % len(cuts)])
        accumulator.add(Strip(reference[row:end], decoded[row:end], valid[row:end]))
        row, turn = end, turn + 1
    assert accumulator.result().to_dict() == whole


def test_small_blocks_give_what_one_block_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    reference = rng.gamma(4.0, 100.0, (300, 70))
    reference[::37, ::23] *= 300
    decoded = reference * rng.lognormal(0, 0.1, reference.shape)
    valid = rng.random(reference.shape) > 0.01
    whole = quality_of(reference, decoded, "power", valid).to_dict()
    monkeypatch.setattr(strips_module, "BLOCK_PIXELS", 1)
    blocks = quality_of(reference, decoded, "power", valid).to_dict()
    assert blocks.keys() == whole.keys()
    for key, value in whole.items():
        # The Laplacian's and SSIM's planes are float32 and the sums differ in order.
        assert blocks[key] == pytest.approx(value, rel=1e-6), key


def test_the_floor_is_found_in_a_pass_of_its_own() -> None:
    images = [np.full((32, 8), value, np.float32) for value in (4.0, 2.0, 0.5)]
    calls = []

    def strips() -> list[Strip]:
        calls.append(1)
        return [Strip(image, image * 0, np.ones(image.shape, bool)) for image in images]

    quality = measure_quality(strips, "power")
    assert quality.floor == 0.5 and len(calls) == 2
    assert quality.max_error_db == pytest.approx(10 * np.log10(8))


def test_misuse_is_told_plainly() -> None:
    image = np.ones((4, 4), np.float32)
    with pytest.raises(UsageError, match="differ in shape"):
        quality_of(image, image[:3], "power")
    with pytest.raises(UsageError, match="unknown domain"):
        quality_of(image, image, "sigma")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="nothing to compare"):
        measure_quality(lambda: [], "power")
    with pytest.raises(UsageError, match="floor"):
        quality_of(image, image, "power", floor=0.0)
    accumulator = QualityAccumulator(5, "power", 1.0)
    with pytest.raises(UsageError, match="wide"):
        accumulator.add(Strip(image, image, image > 0))
