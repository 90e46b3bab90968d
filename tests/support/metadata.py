"""Random raster metadata, and control points as scenes have them."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from sarzip.container.georeference import Gcps, Metadata
from sarzip.container.metadata_values import AttributeTable

any_double = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(max_size=20)
namespaces = st.dictionaries(texts, st.dictionaries(texts, texts, min_size=1, max_size=4), max_size=3)


def s1_like_grid(rows: int = 10, width: int = 21) -> np.ndarray:
    """Control points as a Sentinel-1 GRD has them: regular in the image, smooth and noisy on the ground."""
    rng = np.random.default_rng(1)
    i, j = (a.ravel().astype(float) for a in np.mgrid[0:rows, 0:width])
    row, col = np.minimum(i * 100.44199785177229, 836.95), j * 64.02249033618367
    lon = 78.2 - 0.1147 * j - 0.0378 * i + 1e-5 * i * j + rng.normal(0, 1e-9, i.size)
    lat = 10.7 + 0.023 * j - 0.18 * i - 2e-5 * j**2 + rng.normal(0, 1e-9, i.size)
    return np.stack([row, col, lon, lat, np.round(250 + 30 * i + rng.normal(0, 1e-4, i.size), 9)], axis=1)


@st.composite
def tables(draw: st.DrawFn) -> AttributeTable:
    """Attribute tables of up to three columns and rows."""
    columns = draw(st.lists(st.tuples(texts, st.integers(0, 2), st.integers(0, 9)), max_size=3))
    rows = draw(st.integers(0, 3))
    values = [tuple(draw(st.lists(texts, min_size=rows, max_size=rows))) for _ in columns]
    kind = draw(st.sampled_from(["", "thematic", "athematic"]))
    return AttributeTable(kind, tuple(columns), tuple(values), draw(st.none() | st.tuples(texts, texts)))


@st.composite
def metadata(draw: st.DrawFn) -> Metadata:
    """Anything that a raster of up to three bands can carry."""
    count = draw(st.integers(1, 3))

    def per_band(values: st.SearchStrategy) -> tuple:
        return tuple(draw(st.lists(values, min_size=count, max_size=count)))

    n = draw(st.integers(0, 6))
    points = np.array(draw(st.lists(any_double, min_size=5 * n, max_size=5 * n)), np.float64).reshape(n, 5)
    names = tuple(draw(st.lists(texts, min_size=n, max_size=n)))
    crs = st.sampled_from([None, "EPSG:32631", "ESRI:54009", 'PROJCS["x"]'])
    finite = st.floats(allow_nan=False, allow_infinity=False)
    return Metadata(
        count=count,
        nodata=per_band(st.none() | any_double | st.integers(2**53, 2**64 - 1)),
        descriptions=per_band(st.none() | st.text(min_size=1, max_size=9)),
        units=per_band(st.none() | st.text(min_size=1, max_size=9)),
        scales=per_band(any_double),
        offsets=per_band(any_double),
        colours=per_band(st.integers(0, 37)),
        band_tags=per_band(namespaces),
        tags=draw(namespaces),
        crs=draw(crs),
        transform=tuple(draw(st.lists(finite, min_size=6, max_size=6))),
        gcps=Gcps(points, names, names, draw(crs)) if n else None,
        colormaps={0: ((1, 2, 3, 255), (0, 0, 0, 0))} if draw(st.booleans()) else {},
        categories=draw(st.dictionaries(st.integers(0, count - 1), st.lists(texts, min_size=1).map(tuple))),
        tables=draw(st.dictionaries(st.integers(0, count - 1), tables(), max_size=1)),
        mask=draw(st.booleans()),
    )
