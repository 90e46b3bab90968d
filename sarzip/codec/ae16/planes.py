"""Integer planes to bytes in a layout that suits zstd, and back.

zstd's entropy stage is a Huffman code over bytes: it cannot spend less than one bit on a byte, knows nothing
of channels and sees no neighbours. The layout does what it cannot: channels lie one after another, each with
symbols of 2, 4 or 8 bits, so that a byte holds 2×2, 1×2 or 1 neighbours and shares its bit among them; rare
large values escape to a list of their own instead of widening a whole channel; channels that vary smoothly
are predicted from the left and upper neighbour. Against int8 planes under the same zstd level, latents of
ae16 took 17, 12, 5, 4, 0 and -2 % fewer bytes at steps of 20, 10, 5, 2.5, 1.25 and 0.6 dB, 9 to 15 % above
the order-0 entropy of the channels.

The payload is one zstd frame (with content size) of, for indices of C channels, h rows and w columns:

* C bytes, one per channel: the symbol width in bits (0: all indices are zero, nothing follows), plus 64 if
  predicted;
* for widths 2, 4, 8 in this order, and for every channel of that width in ascending order: its symbols, in
  blocks of 2×2, 1×2 or 1 pixels in raster order (rows and columns padded with zeros to whole blocks), a
  block's first pixel in the lowest bits of its byte;
* the escapes as four byte planes, lowest byte first: a uint32 for every symbol of value 2^width - 1, in the
  order of those symbols in raster order of the channels as above.

A value v (index, or index minus prediction) becomes the unsigned u = 2v or -2v - 1; its symbol is min(u,
2^width - 1) and its escape u - (2^width - 1). The prediction is floor((left + upper + 1) / 2), in the first
row the left and in the first column the upper neighbour, 0 for the first pixel.
"""

from __future__ import annotations

import numpy as np
import zstandard
from numpy.typing import NDArray

from sarzip.codec.streams.byte_planes import inflate
from sarzip.errors import CorruptError

WIDTHS = (2, 4, 8)
_BLOCKS = {2: (2, 2), 4: (1, 2), 8: (1, 1)}
_PREDICTED = 64
# On latents at steps of 0.6 to 20 dB, 15 gives payloads 2 to 10 % smaller than 9 and up to 1 % smaller than
# 19. A trained dictionary changed them by less than 2 %, but for the smallest scenes at 20 dB: left out.
_LEVEL = 15
_ESCAPE_BITS = 14  # roughly what an escape costs after zstd
_MOST_ESCAPES = 1 / 8  # of a channel; more of them and the estimate above no longer holds
# Bytes of 8-bit symbols come out larger than their entropy says, more so than packed ones.
_WIDE_PENALTY = 1.06


def pack(indices: NDArray[np.int32]) -> bytes:
    """Indices (C, h, w), within ±(2^30 - 1), to a payload."""
    channels = len(indices)
    costs, candidates = [], []
    for values in (indices, _residuals(indices)):
        unsigned = _zigzag(values)
        for width in WIDTHS:
            packed, cost = _symbols(unsigned, width)
            candidates.append((width, packed, unsigned))
            costs.append(cost)
    best = np.argmin(np.array(costs), axis=0)
    empty = ~indices.reshape(channels, -1).any(axis=1)
    codes = np.zeros(channels, np.uint8)
    sections: dict[int, list[NDArray[np.uint8]]] = {width: [] for width in WIDTHS}
    escapes: dict[int, list[NDArray[np.uint32]]] = {width: [] for width in WIDTHS}
    for channel in np.flatnonzero(~empty):
        width, packed, unsigned = candidates[best[channel]]
        codes[channel] = width + (_PREDICTED if best[channel] >= len(WIDTHS) else 0)
        sections[width].append(packed[channel])
        top = np.uint32(2**width - 1)
        escapes[width].append(unsigned[channel][unsigned[channel] >= top] - top)
    symbols = [part for width in WIDTHS for part in sections[width]]
    escaped = np.concatenate([np.zeros(0, "<u4"), *(part for width in WIDTHS for part in escapes[width])])
    planes = escaped.astype("<u4").view(np.uint8).reshape(-1, 4).T
    content = b"".join([codes.tobytes(), *(part.tobytes() for part in symbols), planes.tobytes()])
    return zstandard.ZstdCompressor(level=_LEVEL, write_content_size=True).compress(content)


def unpack(payload: bytes, shape: tuple[int, int, int]) -> NDArray[np.int32]:
    """The indices (C, h, w) of a payload; CorruptError if it is not one of that shape."""
    channels, rows, columns = shape
    largest = channels + channels * (rows + 1) * (columns + 1) * 5
    content = np.frombuffer(inflate(payload, range(largest + 1), "latents"), np.uint8)
    codes = content[:channels]
    widths = codes & (_PREDICTED - 1)
    if len(codes) != channels or not np.isin(codes, [0, *WIDTHS, *(w + _PREDICTED for w in WIDTHS)]).all():
        raise CorruptError("latents: unknown layout of a channel")
    position = channels
    unsigned = np.zeros(shape, np.uint32)
    escaped = []
    for width in WIDTHS:
        which = np.flatnonzero(widths == width)
        tall, wide = _BLOCKS[width]
        blocks = -(-rows // tall) * -(-columns // wide)
        part = content[position : position + which.size * blocks]
        if part.size != which.size * blocks:
            raise CorruptError("latents: fewer symbols than the group has")
        position += part.size
        unsigned[which] = _spread(part.reshape(which.size, blocks), width, rows, columns)
        escaped.append((which, unsigned[which] == 2**width - 1))
    count = sum(int(flags.sum()) for _, flags in escaped)
    if content.size != position + 4 * count:
        raise CorruptError("latents: the escapes do not match the symbols")
    escapes = np.ascontiguousarray(content[position:].reshape(4, count).T).view("<u4").reshape(-1)
    first = 0
    for which, flags in escaped:
        values = unsigned[which]
        number = int(flags.sum())
        values[flags] += escapes[first : first + number]
        unsigned[which] = values
        first += number
    indices = (unsigned >> 1).view(np.int32) ^ -(unsigned & 1).view(np.int32)
    which = np.flatnonzero(codes & _PREDICTED)
    if which.size:
        indices[which] = _predicted(indices[which])
    return indices


def _zigzag(values: NDArray[np.int32]) -> NDArray[np.uint32]:
    return ((values << 1) ^ (values >> 31)).view(np.uint32)


def _symbols(unsigned: NDArray[np.uint32], width: int) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Packed symbols (C, blocks) of one width and their estimated cost (C,) in bits."""
    channels, rows, columns = unsigned.shape
    top = 2**width - 1
    symbols = np.minimum(unsigned, top).astype(np.uint8)
    tall, wide = _BLOCKS[width]
    symbols = np.pad(symbols, ((0, 0), (0, -rows % tall), (0, -columns % wide)))
    parts = [
        symbols[:, i::tall, j::wide] << (width * (i * wide + j)) for i in range(tall) for j in range(wide)
    ]
    packed = np.bitwise_or.reduce(parts).reshape(channels, -1)
    keys = packed + (np.arange(channels) << 8)[:, None]
    counts = np.bincount(keys.reshape(-1), minlength=channels << 8).reshape(channels, 256)
    share = counts / max(1, packed.shape[1])
    entropy = -(counts * np.log2(share, out=np.zeros_like(share), where=counts > 0)).sum(axis=1)
    escapes = (unsigned >= top).reshape(channels, -1).sum(axis=1)
    cost = entropy * (_WIDE_PENALTY if width == WIDTHS[-1] else 1.0) + _ESCAPE_BITS * escapes
    if width != WIDTHS[-1]:
        cost[escapes > _MOST_ESCAPES * rows * columns] = np.inf
    return packed, cost


def _spread(packed: NDArray[np.uint8], width: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """Inverse of the packing: bytes (n, blocks) to symbols (n, rows, columns)."""
    tall, wide = _BLOCKS[width]
    high, across = -(-rows // tall), -(-columns // wide)
    blocks = packed.reshape(len(packed), high, across)
    symbols = np.empty((len(packed), high * tall, across * wide), np.uint8)
    for i in range(tall):
        for j in range(wide):
            symbols[:, i::tall, j::wide] = (blocks >> (width * (i * wide + j))) & (2**width - 1)
    return symbols[:, :rows, :columns]


def _residuals(indices: NDArray[np.int32]) -> NDArray[np.int32]:
    """Indices (n, h, w) minus their predictions."""
    residuals = indices.copy()
    residuals[:, 0, 1:] -= indices[:, 0, :-1]
    residuals[:, 1:, 0] -= indices[:, :-1, 0]
    residuals[:, 1:, 1:] -= (indices[:, 1:, :-1] + indices[:, :-1, 1:] + 1) >> 1
    return residuals


def _predicted(residuals: NDArray[np.int32]) -> NDArray[np.int32]:
    """Inverse of _residuals, along diagonals: their pixels do not depend on one another."""
    indices = residuals.copy()
    np.cumsum(indices[:, 0], axis=1, dtype=np.int32, out=indices[:, 0])
    np.cumsum(indices[:, :, 0], axis=1, dtype=np.int32, out=indices[:, :, 0])
    _, rows, columns = indices.shape
    for diagonal in range(2, rows + columns - 1):
        row = np.arange(max(1, diagonal - columns + 1), min(rows - 1, diagonal - 1) + 1)
        column = diagonal - row
        mean = (indices[:, row, column - 1] + indices[:, row - 1, column] + 1) >> 1
        indices[:, row, column] += mean
    return indices
