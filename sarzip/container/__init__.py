"""The bytes of `.sarz` files, specified in FORMAT.md; knows nothing of pixels, networks or rasters."""

from __future__ import annotations

from sarzip.container import limits
from sarzip.container.header import BandHeader, FrameAddress, Header, ModelRef, SetHeader
from sarzip.container.layout import (
    FIRST_SKIPPABLE_KIND,
    FORMAT_MAJOR,
    FORMAT_MINOR,
    StreamKind,
    require_known,
)
from sarzip.container.reader import Reader
from sarzip.container.stream import StreamReader
from sarzip.container.writer import Writer

__all__ = [
    "FIRST_SKIPPABLE_KIND",
    "FORMAT_MAJOR",
    "FORMAT_MINOR",
    "BandHeader",
    "FrameAddress",
    "Header",
    "ModelRef",
    "Reader",
    "SetHeader",
    "StreamKind",
    "StreamReader",
    "Writer",
    "limits",
    "require_known",
]
