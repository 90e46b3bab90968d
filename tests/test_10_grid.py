"""Grid and halo: strips with halo equal the whole plane extended at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sarzip.grid import (
    Grid,
    Neighbourhood,
    Part,
    Window,
    ceil_to,
    fold,
    mirrored_beside,
    with_neighbours,
)


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
    around = Neighbourhood(height, width, multiple, halo)
    parts = [Part(top, 0, plane[:, top : top + strip]) for top in range(0, height, strip)]
    tails = with_neighbours(parts, lambda part: part)
    for number, (above, current, below) in enumerate(tails):
        near = [each for each in (above, current, below) if each is not None]
        rows = current.samples.shape[1]
        window = Window(current.row, 0, rows, width)
        top, high = number * strip, ceil_to(rows, multiple) + 2 * halo
        np.testing.assert_array_equal(around.around(window, near), whole[:, top : top + high])
        if width > 3 * multiple:
            some = around.around(Window(current.row, multiple, rows, multiple), near)
            np.testing.assert_array_equal(
                some, whole[:, top : top + high, multiple : 2 * multiple + 2 * halo]
            )
        reach = around.reach(window)
        assert reach.intersection(Window(0, 0, height, width)) == reach


def test_neighbours_come_with_the_tail_of_what_was_before():
    seen = list(with_neighbours(iter("abcd"), str.upper))
    assert seen == [(None, "a", "b"), ("A", "b", "c"), ("B", "c", "d"), ("C", "d", None)]
    assert list(with_neighbours(iter("a"), str.upper)) == [(None, "a", None)]
    assert list(with_neighbours(iter(""), str.upper)) == []


def test_mirrored_latents_take_the_sign_of_their_channel():
    signs = np.array([[1, -1], [1, 1]], np.float32)
    plane = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2)
    part = Neighbourhood(2, 2, 1, 1, signs).around(Window(0, 0, 2, 2), [Part(0, 0, plane)])
    assert (part[0, 0, 1:3] == plane[0, 0]).all()
    assert (part[1, 0, 1:3] == -plane[1, 0]).all()
    assert (part[1, 1:3, 0] == plane[1, :, 0]).all()


def test_a_missing_neighbour_is_the_mirror_image_of_its_own():
    """What stands for a lost group beside is what the border of a scene would be."""
    signs = np.array([[1, -1], [-1, 1]], np.float32)
    plane = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    own = Part(3, 4, plane)
    lost = [Window(r, c, 3, 4) for r in (0, 3, 6) for c in (0, 4, 8) if (r, c) != (3, 4)]
    parts = [own, *(mirrored_beside(own, each, signs) for each in lost)]
    found = Neighbourhood(9, 12, 1, 2).around(Window(3, 4, 3, 4), parts)
    at_the_border = Neighbourhood(3, 4, 1, 2, signs).around(Window(0, 0, 3, 4), [Part(0, 0, plane)])
    np.testing.assert_array_equal(found, at_the_border)


windows = st.builds(Window, st.integers(0, 50), st.integers(0, 50), st.integers(0, 40), st.integers(0, 40))


@given(windows, windows)
def test_rectangles_intersect_as_their_pixels_do(one, other):
    both = np.zeros((100, 100), int)
    for each in (one, other):
        both[each.row : each.bottom, each.column : each.right] += 1
    found = one.intersection(other)
    assert found.rows * found.columns == np.count_nonzero(both == 2)
    scene = Window(0, 0, 100, 100)
    assert both[found.slices(scene)].sum() == 2 * np.count_nonzero(both == 2)
    wide = one.widened(16, scene)
    assert wide.intersection(one) == one and not (wide.row % 16 or wide.column % 16)


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
            assert grid.latents(row, column)[2:] == (-(-window.rows // 16), -(-window.columns // 16))
            assert grid.covering(window) == [(row, column)]
    assert covered == width * height
