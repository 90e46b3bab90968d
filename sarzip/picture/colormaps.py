"""Perceptually uniform colour maps, as 33 equidistant colours each.

Interpolated, they are within 2 of 255 levels of the tables they were taken from: viridis, inferno and magma
from https://github.com/BIDS/colormap (S. van der Walt, N. Smith, E. Firing; CC0), batlow and the cyclic romaO
from Scientific colour maps 8 (F. Crameri, doi:10.5281/zenodo.1243862), of which the notice below speaks.
"""

# Copyright (c) 2020 Fabio Crameri (batlow, romaO). Permission is hereby granted, free of charge, to any
# person obtaining a copy of this software and associated documentation files (the "Software"), to deal in the
# Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
# distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
# furnished to do so, subject to the following conditions: The above copyright notice and this permission
# notice shall be included in all copies or substantial portions of the Software. THE SOFTWARE IS PROVIDED "AS
# IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
# MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
# COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT,
# TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
# THE SOFTWARE.

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CYCLIC = "romaO"
"""Ends as it begins: for phase."""
_COLOURS = {
    "viridis": (
        "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e"
        "21908c1f978b1f9f8821a68527ad8131b57b3ebc744dc26c5cc8636ece5882d34d95d840aadc32c0df25d5e21aeae51afde725"
    ),
    "inferno": (
        "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b56106e63156e70196e7d1e6d89226a962766a32c61af315b"
        "bb3654c63d4dd14545da4f3ce35932eb6529f1721ef67f14f98c0afb9b06fcaa0ffbba1ff9c932f5d949f2e865f3f586fcffa4"
    ),
    "magma": (
        "0000040303120a0822130d341d114729115a36106b440f7650127c5d177f691c817621818226818f2a819c2e7fa9337d"
        "b6367ac33b75cf4070db476ae65164ee5c5ef46a5cf9785dfb8861fd9668fea571feb47bfec287fed194fde0a1fceeb0fcfdbf"
    ),
    "batlow": (
        "01195908255b0d315d0f3b5f114360134b611752621b59622260612b655e356a59406f534d734d597745667b3e747e38"
        "82823290862da0892bb08d2ebf9035ce923fdc954ce8985bf19d6cf8a27efca891fdaea2fdb4b4fdbac4fcbfd6fbc6e8faccfa"
    ),
    CYCLIC: (
        "73395779384c7e3942843d3a8b4433924d2f99582ca2662caa742fb38536bd9741c6a951cfbb65d4ca7ad6d68fd3dea2"
        "cce1b2c0e1beb0ddc79fd6cc8ccccf7abfce69b2cb5da3c75494c04f86b84f76ae5267a15859935f4d836644746c3d65723959"
    ),
}
COLORMAPS = tuple(_COLOURS)


def colours(name: str) -> NDArray[np.uint8]:
    """A map by name: 256 colours from low to high, uint8 (256, 3)."""
    nodes = np.frombuffer(bytes.fromhex(_COLOURS[name]), np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(nodes))
    channels = [np.interp(np.arange(256), places, nodes[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)
