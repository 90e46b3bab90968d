"""From samples to colours: areas, stretches, composites, colour maps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sarzip.errors import UsageError
from sarzip.grid import Window
from sarzip.picture.average import AreaMean, Nearest
from sarzip.picture.colormaps import COLORMAPS, CYCLIC, colours
from sarzip.picture.composites import COMPOSITES, pair_of
from sarzip.picture.draw import Look, Plane, draw

WHOLE = st.tuples(st.integers(1, 70), st.integers(1, 70))


def blocks(scene: Window, edge: int) -> list[Window]:
    """A scene in squares, the last first: the order must not matter."""
    places = [
        Window(row, column, edge, edge).intersection(scene)
        for row in range(0, scene.rows, edge)
        for column in range(0, scene.columns, edge)
    ]
    return places[::-1]


@settings(max_examples=40)
@given(WHOLE, st.data(), st.sampled_from([1, 2, 4]))
def test_means_over_exactly_the_area_of_each_pixel(size, data, scale):
    """Against every pixel of the scene repeated so often that the pixels of the picture are whole."""
    scene = Window(0, 0, *size)
    row, column = data.draw(st.integers(0, size[0] - 1)), data.draw(st.integers(0, size[1] - 1))
    rows, columns = data.draw(st.integers(1, size[0] - row)), data.draw(st.integers(1, size[1] - column))
    window = Window(row, column, rows, columns)
    shape = data.draw(st.integers(1, min(9, rows))), data.draw(st.integers(1, min(9, columns)))
    rng = np.random.default_rng(rows * 100 + columns)
    reduced = rng.normal(size=(-(-size[0] // scale), -(-size[1] // scale)))
    known = rng.random(reduced.shape) < 0.7
    canvas = AreaMean(window, shape)
    for place in blocks(scene, 8 * scale):
        at = place.slices(scene, scale)
        canvas.add(np.where(known, reduced, np.nan)[at], known[at], place, scale)
    found, valid = canvas.finish()

    fine = np.kron(reduced, np.ones((scale, scale)))[window.slices(scene)]
    sure = np.kron(known, np.ones((scale, scale)))[window.slices(scene)]
    fine, sure = (np.kron(each, np.ones(shape)) for each in (fine, sure))
    boxes = (shape[0], rows, shape[1], columns)
    share = sure.reshape(boxes).mean((1, 3))
    expected = (fine * sure).reshape(boxes).mean((1, 3)) / np.maximum(share, 1e-12)
    assert (valid == (share >= 0.5))[np.abs(share - 0.5) > 1e-9].all()
    np.testing.assert_allclose(found[share > 0], expected[share > 0], atol=1e-9)


def test_labels_are_those_at_the_centres():
    labels = np.arange(35).reshape(5, 7)
    canvas = Nearest(Window(0, 0, 10, 14), (5, 7))
    for place in blocks(Window(0, 0, 10, 14), 4):
        at = place.slices(Window(0, 0, 10, 14), 2)
        canvas.add(labels[at], labels[at] != 8, place, 2)
    values, valid = canvas.finish()
    assert (values[valid] == labels[labels != 8]).all() and not valid[1, 1] and valid.sum() == 34


def test_colour_maps_rise_steadily_in_lightness():
    for name in COLORMAPS:
        table = colours(name)
        assert table.shape == (256, 3) and table.dtype == np.uint8
        lightness = table @ [0.2126, 0.7152, 0.0722]
        if name == CYCLIC:
            assert np.abs(table[0].astype(int) - table[-1]).max() < 12
        else:
            assert (np.diff(lightness) > -1.2).all() and lightness[-1] - lightness[0] > 120
    pyplot = pytest.importorskip("matplotlib")
    for name in ("viridis", "inferno", "magma"):
        reference = np.rint(255 * pyplot.colormaps[name](np.arange(256))[:, :3])
        assert np.abs(reference - colours(name)).max() <= 2


def planes(count: int = 2) -> list[Plane]:
    rng = np.random.default_rng(1)
    return [
        Plane(name, rng.normal(level, 3, (20, 30)).astype(np.float32), np.ones((20, 30), np.bool_))
        for name, level in zip(("VV", "VH", "HH")[:count], (-10, -17, -9), strict=False)
    ]


def test_percentiles_and_limits():
    (plane,) = planes(1)
    drawing = draw([plane], Look(percentiles=(10, 90)))
    assert drawing.pixels.shape == (1, 20, 30)
    assert abs((drawing.pixels == 0).mean() - 0.1) < 0.02 < 0.08 < (drawing.pixels == 255).mean() < 0.12
    (channel,) = draw([plane], Look(limits=((-25, 0),))).channels
    assert (channel.low, channel.high, channel.unit, channel.colour) == (-25, 0, "dB", "gray")
    fixed = draw([plane], Look(limits=((-25, 0),))).pixels[0]
    np.testing.assert_allclose(fixed, np.clip((plane.values + 25) * 10.2, 0, 255), atol=0.51)
    coloured = draw([plane], Look(colormap="batlow", limits=((-25, 0),))).pixels
    assert (np.moveaxis(coloured, 0, -1) == colours("batlow")[fixed]).all()


@pytest.mark.parametrize(
    ("name", "shows", "blue"),
    [
        ("ratio", ["VV", "VH", "VV/VH"], lambda a, b: a - b),
        ("cross-ratio", ["VV", "VH", "VH/VV"], lambda a, b: b - a),
        ("product", ["VV", "VH", "VV·VH"], lambda a, b: a + b),
        (
            "difference",
            ["VH", "VV", "|VV-VH|"],
            lambda a, b: 10 * np.log10(abs(10 ** (a / 10) - 10 ** (b / 10))),
        ),
    ],
)
def test_composites(name, shows, blue):
    """Channels equal to drawing the formula on its own."""
    first, second = planes()
    drawing = draw([first, second], Look(composite=name))
    assert [channel.shows for channel in drawing.channels] == shows
    expected = blue(first.values.astype(float), second.values.astype(float))
    alone = draw([Plane("x", expected.astype(np.float32), first.valid)]).pixels[0]
    assert np.abs(alone.astype(int) - drawing.pixels[2]).max() <= 1
    assert (drawing.pixels[shows.index("VH")] == draw([second]).pixels[0]).all()


def test_fixed_limits_of_composites_are_the_same_for_every_scene():
    limits = [(each.low, each.high) for each in draw(planes(), Look(limits=((-25, 0),))).channels]
    assert limits == [(-25, 0), (-25, 0), (0, 15)]
    three = ((-20, 0), (-30, -5), (2, 12))
    assert tuple((each.low, each.high) for each in draw(planes(), Look(limits=three)).channels) == three
    assert set(COMPOSITES) == {"ratio", "cross-ratio", "difference", "product"}


def test_only_what_is_valid_nowhere_is_transparent():
    first, second, third = planes(3)
    first.valid[:4], second.valid[:2], third.valid[:1] = False, False, False
    pixels = draw([first, second, third]).pixels
    assert len(pixels) == 4 and (pixels[3, 0] == 0).all() and (pixels[3, 1:] == 255).all()
    assert (pixels[0, :4] == 0).all() and pixels[2, 1:4].any()
    nothing = Plane("VV", np.zeros((2, 2), np.float32), np.zeros((2, 2), np.bool_))
    drawing = draw([nothing])
    assert drawing.channels[0].low is None and not drawing.pixels.any()
    constant = Plane("VV", np.full((2, 2), 3, np.float32), np.ones((2, 2), np.bool_))
    assert draw([constant]).pixels.shape == (1, 2, 2)


def test_labels_in_the_colours_of_their_palette():
    palette = np.array([[9, 9, 9, 0], [255, 0, 0, 255], [0, 0, 255, 255]], np.uint8)
    labels = np.array([[0, 1], [2, 7]], np.float32)
    pixels = draw([Plane("class", labels, np.ones((2, 2), np.bool_), "", palette=palette)]).pixels
    assert pixels[:, 0, 1].tolist() == [255, 0, 0, 255] and pixels[:, 1, 0].tolist() == [0, 0, 255, 255]
    assert pixels[3, 0, 0] == pixels[3, 1, 1] == 0


def test_pairs_of_polarisations():
    assert pair_of(["vh", "vv"]) == (1, 0) and pair_of(["hh", "hv", "vh", "vv"]) == (3, 2)
    assert pair_of(["hv", None, "hh"]) == (2, 0) and pair_of(["hh", "vv"]) == (0, 1)
    assert pair_of(["vv", "vv"]) is None and pair_of([None, "vh"]) is None


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"composite": "rainbow"}, "ratio, cross-ratio"),
        ({"colormap": "jet"}, "viridis"),
        ({"percentiles": (98.0, 2.0)}, "percentiles"),
        ({"limits": ((0.0, -25.0),)}, "lower one first"),
        ({"limits": ((0.0, float("nan")),)}, "lower one first"),
        ({"limits": ((0.0, 1.0), (0.0, 1.0))}, "red, green and blue"),
    ],
)
def test_looks_refused(what, words):
    with pytest.raises(UsageError, match=words):
        Look(**what)


def test_planes_refused():
    first, second = planes()
    with pytest.raises(UsageError, match="single band"):
        draw([first, second], Look(colormap="magma"))
    with pytest.raises(UsageError, match="composite of backscatter"):
        draw([first, Plane("height", second.values, second.valid, "m")])
    with pytest.raises(UsageError, match="one pair"):
        draw([first], Look(limits=((0, 1),) * 3))
