"""What a `.sarz` says of itself, without decoding anything."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from sarzip.container import Reader, SetHeader
from sarzip.container.describe import describe
from sarzip.pipeline.bounds import bound_of
from sarzip.pipeline.sarzfile import open_seekable
from sarzip.pipeline.shares import band_shares
from sarzip.system.outputs import naming
from sarzip.system.remote import is_url


@dataclass(frozen=True)
class InspectOptions:
    """What a batch of files needs to know; nothing is computed."""

    device: str = "cpu"
    threads: int = 1


@dataclass(frozen=True)
class BandInfo:
    """One band: sample type, radiometric domain, transform, special values, model and step in dB.

    kind, certainty, reason: what compress took it for, '' where the file does not tell. treatment: lossy,
    exact, or 'within' a bound on the error of each measurement.
    """

    band: int
    dtype: str
    domain: str
    floor: float
    centre_db: float
    specials: tuple[float | int, ...]
    model: str | None
    step_db: float
    bytes: int
    bpp: float
    kind: str
    certainty: str
    reason: str
    treatment: str


@dataclass(frozen=True)
class FileInfo:
    """Everything in the header and index. Sizes in bytes, bpp in bits per pixel and band."""

    file: str
    format: str
    creator: str
    width: int
    height: int
    group: int
    groups: int
    bytes: int
    overhead_bytes: int
    bpp: float
    models: tuple[dict[str, str], ...]
    bands: tuple[BandInfo, ...]
    raster: dict[str, Any]
    summary: dict[str, Any] | None


def _treatment(of: SetHeader) -> str:
    bound = bound_of(of)
    return f"within {bound}" if bound else "exact" if of.lossless else "lossy"


def inspect(path: str | os.PathLike[str]) -> FileInfo:
    """Read header and index of a `.sarz` ('-' is standard input); no pixel is decoded.

    Raises InputError when it cannot be read and CorruptError when header or index are damaged.
    """
    with open_seekable(path) as file, naming(str(path)):
        reader = Reader(file)
        header = reader.header
        major, minor = reader.version
        pixels = header.width * header.height
        bands = []
        for number, each in enumerate(header.sets):
            shares = band_shares(reader, number, local=not is_url(str(path)))
            for band, share in zip(each.bands, shares, strict=True):
                about = header.bands[band]
                bands.append(
                    BandInfo(
                        band=band + 1,
                        dtype=about.dtype,
                        domain=about.domain,
                        floor=about.floor,
                        centre_db=about.centre,
                        specials=about.specials,
                        model=None if each.model is None else header.models[each.model].id,
                        step_db=each.step,
                        bytes=round(share),
                        bpp=8 * share / pixels,
                        kind=str(about.extra.get("kind", "" if each.model is None else "backscatter")),
                        certainty=str(about.extra.get("sure", "")),
                        reason=str(about.extra.get("why", "")),
                        treatment=_treatment(each),
                    )
                )
        return FileInfo(
            file=str(path),
            format=f"{major}.{minor}",
            creator=header.creator,
            width=header.width,
            height=header.height,
            group=header.group,
            groups=header.group_count,
            bytes=reader.file_size,
            overhead_bytes=reader.overhead,
            bpp=8 * reader.file_size / (pixels * len(header.bands)),
            models=tuple({"id": model.id, "sha256": model.sha256} for model in header.models),
            bands=tuple(sorted(bands, key=lambda band: band.band)),
            raster=describe(header.raster, len(header.bands)),
            summary=reader.summary,
        )
