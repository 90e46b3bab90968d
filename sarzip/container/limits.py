"""Bounds of the `.sarz` format, listed in FORMAT.md and enforced before anything is allocated.

They are part of the format: a writer must not exceed them, a reader must reject what does. All sizes are in
bytes. They are far above what real scenes need and low enough that a hostile file cannot exhaust a machine.
"""

from __future__ import annotations

MAX_DIMENSION = 2**31 - 1
"""Largest width or height in pixels (GDAL's own bound)."""

GROUP_MULTIPLE = 256
MAX_GROUP = 8192
"""Largest side of a group in pixels; sides are multiples of `GROUP_MULTIPLE`."""

MAX_BANDS = 4096
MAX_MODELS = 64
MAX_PARTS = 32
MAX_SPECIALS = 255
"""Special values of a band: their class numbers 1..255 fit one byte beside class 0, valid."""

MAX_FLOOR = 1e150
MAX_CENTRE_DB = 3e3
MAX_STEP_DB = 1e4
"""Parameters of the radiometric transform and the quantiser: squares and powers of them have to be
finite in float64."""

MAX_FRAMES = 2**22
MAX_STREAMS = 64
"""Streams in one data frame."""

MAX_CREATOR = 256
"""Characters of the creator text."""

MAX_METADATA = 2**23
MAX_SUMMARY = 2**20
"""Bytes of JSON in the metadata frame and in the summary at the end of the index."""

MAX_COPY = 2**19
"""Bytes of base64 of the copy of the metadata frame in the summary."""

MAX_JSON_DEPTH = 32
MAX_JSON_CONTAINERS = 2**17
MAX_JSON_VALUES = 2**19

MAX_WINDOW = 2**23
"""zstd window: what every conforming zstd decoder is recommended to support (RFC 8878, 3.1.1.1.2)."""

MAX_BLOCK = 2**17
MAX_FRAME_CONTENT = 2**28
BYTES_PER_SAMPLE = 16
FRAME_SLACK = 2**16

MIN_FRAME = 14
"""Smallest zstd frame with content size, one block and checksum."""


def frame_content_limit(height: int, width: int, bands: int) -> int:
    """Largest content of a data frame for a group of height x width pixels and a set of so many bands.

    Sides are padded to multiples of 16, as the latent grid is.
    """
    padded = -(-height // 16) * 16 * (-(-width // 16) * 16)
    return min(MAX_FRAME_CONTENT, BYTES_PER_SAMPLE * padded * bands + FRAME_SLACK)


def index_content_limit(frames: int) -> int:
    """Largest content of the index frame of a file with so many data frames."""
    return 1 + 4 + 5 + frames * (5 + 4) + MAX_SUMMARY


def frame_size_limit(content: int) -> int:
    """Largest zstd frame, in bytes, that may hold `content` bytes: above what any zstd encoder needs."""
    return content + content // 64 + 256


def block_count_limit(content: int) -> int:
    """Most zstd blocks a frame with `content` bytes may be cut into."""
    return 64 + content // 256
