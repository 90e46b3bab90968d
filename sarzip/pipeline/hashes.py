"""Hashes of everything a `.sarz` decodes to, as verify reports them (see verify.py for what they mean)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sarzip.container import Header
from sarzip.pipeline.band import EXACT_DOMAIN, BandTransform
from sarzip.pipeline.decode import DecodedBlock, Key, RegionGroups
from sarzip.pipeline.group import MASK_BAND

_NO_DB = np.iinfo(np.int32).min


class IntegerHashes:
    """Hashes of the integers of every group: a hook of the decoder (on_streams)."""

    def __init__(self, header: Header, groups: RegionGroups) -> None:
        self._header = header
        self._groups = groups
        self._digests: dict[Key, bytes | None] = {}

    def add(self, key: Key, streams: Mapping[int, bytes]) -> None:
        """Take in the streams of a group."""
        coder, place = self._groups.coder(key.set), self._groups.grid.latents(key.row, key.column)
        integers = coder.codec.integers(streams, (place.rows, place.columns), coder.quality)
        digest = None if integers is None else hashlib.sha256(integers.astype("<i4").tobytes()).digest()
        self._digests[key] = digest

    def sha256(self) -> tuple[str | None, ...]:
        """Per set: the hash of its groups' hashes in raster order; None where a codec tells none."""
        result: list[str | None] = []
        for number in range(len(self._header.sets)):
            digests = [self._digests[key] for key in sorted(self._digests) if key.set == number]
            known = [digest for digest in digests if digest is not None]
            whole = len(known) == len(digests)
            result.append(hashlib.sha256(b"".join(known)).hexdigest() if whole else None)
        return tuple(result)


class DecodedHashes:
    """Hashes of the samples of every band; blocks may come in any order within a row of groups."""

    def __init__(self, header: Header, tolerance_db: float) -> None:
        self._header = header
        self._bands = [_BandHash(BandTransform.from_header(band), tolerance_db) for band in header.bands]
        self._mask = _StripHash("uint8")
        self._has_mask = False

    def add(self, block: DecodedBlock) -> None:
        """Take in a block of samples or of the dataset mask."""
        top = block.window.row
        shape = min(self._header.group, self._header.height - top), self._header.width
        if block.band == MASK_BAND:
            self._has_mask = True
            self._mask.add(block, shape)
        else:
            self._bands[block.band].add(block, shape)

    def exact(self) -> tuple[str, ...]:
        """Per band: of the samples."""
        return tuple(band.exact.hexdigest() for band in self._bands)

    def rounded(self) -> tuple[str | None, ...]:
        """Per band of floats: of the samples in dB rounded to the tolerance."""
        return tuple(band.rounded.hexdigest() if band.is_float else None for band in self._bands)

    def mean_db(self) -> tuple[float | None, ...]:
        """Per band: mean of the samples in dB."""
        return tuple(round(band.total / band.count, 6) if band.count else None for band in self._bands)

    def mask(self) -> str | None:
        """Of the dataset mask, where there is one."""
        return self._mask.exact.hexdigest() if self._has_mask else None


class _StripHash:
    """Puts the blocks of a row of groups together and hashes it row by row of pixels."""

    def __init__(self, dtype: str) -> None:
        self.exact = hashlib.sha256()
        self._dtype = np.dtype(dtype).newbyteorder("<")
        self._strip: NDArray[Any] | None = None
        self._missing = 0

    def add(self, block: DecodedBlock, shape: tuple[int, int]) -> None:
        if self._strip is None or self._strip.shape != shape:
            self._strip = np.empty(shape, self._dtype)
        self._missing = self._missing or self._strip.size
        window = block.window
        self._strip[:, window.column : window.column + window.columns] = block.values
        self._missing -= block.values.size
        if self._missing == 0:
            self.exact.update(self._strip.data)
            self.complete(self._strip)

    def complete(self, strip: NDArray[Any]) -> None:
        """Called with every whole strip."""


class _BandHash(_StripHash):
    """The same for a band of samples, with what is known of it in dB."""

    def __init__(self, coding: BandTransform, tolerance_db: float) -> None:
        super().__init__(coding.dtype)
        self._coding = coding
        self._tolerance = tolerance_db
        self.rounded = hashlib.sha256()
        self.is_float = self._dtype.kind == "f" and coding.radiometry.domain != EXACT_DOMAIN
        self.total, self.count = 0.0, 0

    def complete(self, strip: NDArray[Any]) -> None:
        if self._coding.radiometry.domain == EXACT_DOMAIN:
            return
        for row in range(0, len(strip), 64):  # so few rows at a time that float64 copies stay small
            self._add_db(strip[row : row + 64])

    def _add_db(self, values: NDArray[Any]) -> None:
        invalid = self._coding.classify(values) > 0
        db = values.astype(np.float64)
        domain, unit = self._coding.radiometry.domain, self._coding.radiometry.unit
        if domain == "db":
            db *= unit
        else:
            with np.errstate(divide="ignore", invalid="ignore"):
                db = (20.0 if domain == "amplitude" else 10.0) * np.log10(db)
        valid = np.isfinite(db) & ~invalid
        self.total += float(db[valid].sum())
        self.count += int(valid.sum())
        if self.is_float:
            steps = np.full(db.shape, _NO_DB, "<i4")
            steps[valid] = np.rint(db[valid] / self._tolerance)
            self.rounded.update(steps.data)
