"""Grid and halo: strips with halo equal the whole plane extended at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sarzip.grid import Extension, Grid, ceil_to, fold, strips_together


def extended_whole(plane: np.ndarray, multiple: int, halo: int) -> np.ndarray:
    rows, columns = plane.shape[1:]
    padded = np.pad(
        plane,
        ((0, 0), (0, ceil_to(rows, multiple) - rows), (0, ceil_to(columns, multiple) - columns)),
        mode="symmetric",
    )
    return np.pad(padded, ((0, 0), (halo, halo), (halo, halo)), mode="symmetric")


@given(
    st.integers(1, 90), st.integers(1, 60), st.sampled_from([(16, 16), (16, 48), (1, 2), (1, 5)]), st.data()
)
def test_strips_with_halo_equal_the_whole(height, width, sizes, data):
    multiple, halo = sizes
    least = ceil_to(max(halo, multiple), multiple)
    strip = data.draw(st.integers(1, 3)) * least
    plane = np.random.default_rng(0).normal(size=(2, height, width)).astype(np.float32)
    whole = extended_whole(plane, multiple, halo)
    extension = Extension(height, width, multiple, halo)
    parts = list(extension.strips(plane[:, top : top + strip] for top in range(0, height, strip)))
    assert len(parts) == -(-height // strip)
    for number, part in enumerate(parts):
        top = number * strip
        rows = ceil_to(min(strip, height - top), multiple) + 2 * halo
        cropped = part.crop(0, ceil_to(width, multiple))
        np.testing.assert_array_equal(cropped, whole[:, top : top + rows])
        if width > 3 * multiple:
            some = part.crop(multiple, multiple)
            np.testing.assert_array_equal(
                some, whole[:, top : top + rows, multiple : 2 * multiple + 2 * halo]
            )


def test_planes_of_two_resolutions_keep_together():
    plane = np.random.default_rng(1).normal(size=(1, 112, 40)).astype(np.float32)
    coarse = plane[:, ::16, ::16]
    extensions = [Extension(112, 40, 16, 16), Extension(7, 3, 1, 1)]
    rows = ([plane[:, 16 * top : 16 * top + 48], coarse[:, top : top + 3]] for top in range(0, 7, 3))
    for fine, rough in strips_together(extensions, rows):
        tops = fine.crop(0, 48)[:, ::16, ::16]
        assert tops.shape == rough.crop(0, 3).shape
        np.testing.assert_array_equal(tops[:, 1:-1, 1:-1], rough.crop(0, 3)[:, 1:-1, 1:-1])


def test_mirrored_latents_take_the_sign_of_their_channel():
    signs = np.array([[1, -1], [1, 1]], np.float32)
    plane = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2)
    (strip,) = Extension(2, 2, 1, 1, signs).strips([plane])
    part = strip.crop(0, 2)
    assert (part[0, 0, 1:3] == plane[0, 0]).all()
    assert (part[1, 0, 1:3] == -plane[1, 0]).all()
    assert (part[1, 1:3, 0] == plane[1, :, 0]).all()


def test_fold_of_a_single_pixel():
    index, _ = fold(-20, 60, 1, 16)
    assert (index == 0).all()


@given(st.integers(1, 5000), st.integers(1, 5000))
def test_groups_tile_the_scene(width, height):
    grid = Grid(width, height, 1024)
    covered = 0
    for row in range(grid.rows):
        for column in range(grid.columns):
            window = grid.window(row, column)
            covered += window.rows * window.columns
            assert grid.latent_shape(row, column) == (-(-window.rows // 16), -(-window.columns // 16))
    assert covered == width * height
