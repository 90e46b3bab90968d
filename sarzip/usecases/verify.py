"""Check a `.sarz`: every checksum, and on request that everything decodes, with hashes of what came out.

Two stations that decode the same file compare the hashes of their reports:

* `decoded_sha256` of a band: its samples, row by row from the upper left, little-endian: what is in the
  decompressed raster. Equal hashes mean equal bits. Floating-point networks may differ in their last digits
  between devices, so that unequal ones may still mean the same within rounding: integers may then differ by
  one where a value lies between two.
* `rounded_sha256` of a band of floats: the same of the samples in dB, as int32 multiples of `tolerance_db`
  (special values and what has no dB as the least one). Equal hashes mean equal within the tolerance; unequal
  ones that at least one sample lies on different sides of a rounding boundary.
* `mean_db` of a band over all samples that have one, in float64: to compare where the others differ.
* `integers_sha256` of a set of bands: the integers that entropy decoding gives, before any floating-point
  operation: the hash of the hashes of its groups in raster order, each of int32 values. These must be equal
  on every device; None where the model's family does not tell them.

No hash depends on threads or on the order in which groups are decoded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from sarzip.errors import UsageError
from sarzip.pipeline.sarzfile import open_sarz
from sarzip.system.machine import choose_machine
from sarzip.system.outputs import naming

TOLERANCE_DB = 0.01

Progress = Callable[[int, int], None]
"""Called with the number of pixels (bands counted) finished and their total."""


@dataclass(frozen=True)
class VerifyReport:
    """What was checked. The fields after `deep` are described above; without deep they are empty."""

    file: str
    groups: int
    frames: int
    bands: int
    deep: bool
    decoded_sha256: tuple[str, ...] = ()
    rounded_sha256: tuple[str | None, ...] = ()
    mean_db: tuple[float | None, ...] = ()
    integers_sha256: tuple[str | None, ...] = ()
    mask_sha256: str | None = None
    tolerance_db: float = TOLERANCE_DB


@dataclass(frozen=True)
class VerifyOptions:
    """deep: also decode every group, which needs the model: a released one, or the one in the folder `model`,
    whose hash must be the file's unless trust_model. device, threads: as for decompress.
    """

    deep: bool = False
    device: str = "auto"
    threads: int = 0
    model: str | None = None
    trust_model: bool = False

    def __post_init__(self) -> None:
        if self.trust_model and self.model is None:
            raise UsageError("`trust_model`: give the folder of the model with `model`")


def verify(
    path: str | os.PathLike[str],
    options: VerifyOptions = VerifyOptions(),
    progress: Progress | None = None,
) -> VerifyReport:
    """Verify a file or, for '-', standard input; progress is told of the pixels decoded.

    Raises CorruptError naming the damaged part, ModelError where a deep check has no model or another one.
    """
    with open_sarz(path) as (header, frames), naming(str(path)):
        about = str(path), header.group_count, header.frame_count, len(header.bands)
        if not options.deep:
            for _ in frames:
                pass
            return VerifyReport(*about, False)
        # Only a deep check runs a network; the plain one must not pay for importing it.
        from sarzip.pipeline.coders import DecodeOptions, region_groups
        from sarzip.pipeline.decode import Decoder, Hooks
        from sarzip.pipeline.group import MASK_BAND
        from sarzip.pipeline.hashes import DecodedHashes, IntegerHashes
        from sarzip.pipeline.selection import whole_scene

        machine = choose_machine(options.device, options.threads)
        how = DecodeOptions(options.device, options.threads, options.model, options.trust_model)
        groups = region_groups(header, whole_scene(header), machine.device, how)
        done = 0
        integers, hashes = IntegerHashes(header, groups), DecodedHashes(header, TOLERANCE_DB)
        for block in Decoder(groups, header, machine, Hooks(on_streams=integers.add)).blocks(frames):
            hashes.add(block)
            done += block.values.size if block.band != MASK_BAND else 0
            if progress:
                progress(done, header.width * header.height * len(header.bands))
        return VerifyReport(
            *about,
            True,
            hashes.exact(),
            hashes.rounded(),
            hashes.mean_db(),
            integers.sha256(),
            hashes.mask(),
        )
