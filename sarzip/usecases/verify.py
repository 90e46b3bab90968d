"""Check a `.sarz`: every checksum, and on request that everything decodes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from sarzip.container import Header
from sarzip.usecases.atomic import naming
from sarzip.usecases.runtime import choose_machine
from sarzip.usecases.sarzfile import Frames, open_sarz


@dataclass(frozen=True)
class VerifyReport:
    """What was checked. decoded_sha256: per band, of the decoded samples block by block (deep only)."""

    file: str
    groups: int
    frames: int
    bands: int
    deep: bool
    decoded_sha256: tuple[str, ...] = ()


def verify(
    path: str | os.PathLike[str], deep: bool = False, device: str = "auto", threads: int = 0
) -> VerifyReport:
    """Verify a file or, for '-', standard input. Raises CorruptError naming the damaged part.

    deep: also decode every group, which needs the model. Raises ModelError when it is missing.
    """
    with open_sarz(path) as (header, frames), naming(str(path)):
        if not deep:
            count = sum(1 for _ in frames)
            return VerifyReport(str(path), header.group_count, count, len(header.bands), False)
        return VerifyReport(
            str(path),
            header.group_count,
            header.frame_count,
            len(header.bands),
            True,
            _decode(header, frames, device, threads),
        )


def _decode(header: Header, frames: Frames, device: str, threads: int) -> tuple[str, ...]:
    # Only a deep check runs a network; the plain one must not pay for importing it.
    from sarzip.usecases.decode import MASK_BAND, SceneDecoder

    digests = [hashlib.sha256() for _ in header.bands]
    for block in SceneDecoder(header, choose_machine(device, threads)).blocks(frames):
        if block.band != MASK_BAND:
            digests[block.band].update(block.values.tobytes())
    return tuple(digest.hexdigest() for digest in digests)
