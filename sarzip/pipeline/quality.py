"""What the user asks for: a quality, a size or an error; and the goal that follows for one scene."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from sarzip.errors import TargetError, UsageError
from sarzip.pipeline.step_search import Target

TOLERANCE = 0.02

KINDS = ("quality", "bpp", "ratio", "size", "rmse_db")


@dataclass(frozen=True)
class Fidelity:
    """What the user asks for: a kind of KINDS and a value in its unit (bytes, bpp of a band, dB).

    given: whether somebody asked for it, or it is only what there is by default.
    """

    kind: str = "quality"
    value: float = 60.0
    given: bool = field(default=True, compare=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UsageError(f"fidelity {self.kind}: expected one of {', '.join(KINDS)}")
        if self.kind == "quality":
            if not 0 <= self.value <= 100:
                raise UsageError(f"{self.words}: must be within 0 to 100")
        elif not (math.isfinite(self.value) and self.value > 0):
            raise UsageError(f"{self.words}: must be a positive number")

    @property
    def words(self) -> str:
        """For messages: parameter and value."""
        return f"`{self.kind}` {self.value:g}"

    @property
    def option(self) -> str:
        """As it is given on the command line, and kept in files."""
        return f"--{self.kind.replace('_', '-')} {self.value:g}"


def quality_to_step(quality: float) -> float:
    """Quality 0..100 to the quantiser step in dB: 20 dB at 0, halved with every 20 points."""
    return float(f"{20.0 * 2.0 ** (-quality / 20.0):.6g}")


def step_to_quality(step_db: float) -> float:
    """The quality that has this step in dB (> 0), to a tenth; a size that was aimed at may have any."""
    return round(20.0 * math.log2(20.0 / step_db), 1)


@dataclass(frozen=True)
class Goal:
    """A fidelity other than quality, for one scene: bytes or dB, and back to the unit the user gave.

    pixels: bands counted. source_bytes: size of the input file, 0 if unknown.
    """

    fidelity: Fidelity
    pixels: int
    source_bytes: int

    def __post_init__(self) -> None:
        if self.fidelity.kind == "ratio" and not self.source_bytes:
            raise UsageError("`ratio`: the size of the input is not known; give `size` or `bpp`")

    @property
    def target(self) -> Target:
        """What is to be measured: bytes of the whole file, or RMS error in dB."""
        value = self.fidelity.value
        if self.fidelity.kind == "rmse_db":
            return Target(value, TOLERANCE, rising=True)
        wanted = {"size": value, "ratio": self.source_bytes / value, "bpp": value * self.pixels / 8}
        return Target(
            wanted[self.fidelity.kind], TOLERANCE, rising=False, ceiling=self.fidelity.kind == "size"
        )

    def unreachable(self, measured: float) -> TargetError:
        """The error that names the nearest value there is, in the unit of the option."""
        value = {
            "size": measured,
            "ratio": self.source_bytes / max(measured, 1),
            "bpp": 8 * measured / self.pixels,
            "rmse_db": measured,
        }[self.fidelity.kind]
        return TargetError(f"{self.fidelity.words}: cannot be reached; the nearest is {value:.6g}")
