"""Writes a planned scene at a given step, or at the step that meets a goal."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, BinaryIO

from sarzip.container import Writer
from sarzip.pipeline.band_checks import checked, with_checks
from sarzip.pipeline.bounds import Achieved, KeptBound
from sarzip.pipeline.doubt import Objections, Watch
from sarzip.pipeline.encode import SceneEncoder
from sarzip.pipeline.plan import ScenePlan, Watching
from sarzip.pipeline.quality import TOLERANCE, Goal
from sarzip.pipeline.rate_control import RateProbe, find_step
from sarzip.pipeline.sources import Source
from sarzip.system.machine import Machine, math_threads
from sarzip.system.work_pool import WorkPool

Progress = Callable[[int, int], None]
"""Called with the number of pixels finished (bands counted) and their total."""

# A sample may miss the size of a large scene; each attempt corrects it by what the last one missed.
_ATTEMPTS = 4


class SceneWriter:
    """Streams a source into a file. rmse_db: what the search for an RMSE ended with. objections: of the last
    file, what must not be coded like this (see doubt). bounds: what became of them in the last file.
    """

    def __init__(
        self, source: Source, plan: ScenePlan, machine: Machine, progress: Progress | None = None
    ) -> None:
        self._source = source
        self._plan = plan
        self._machine = machine
        self._progress = progress
        self.rmse_db: float | None = None
        self.objections = Objections()
        self.bounds: tuple[KeptBound, ...] = ()

    def write(self, sink: BinaryIO, step_db: float, summary: dict[str, Any] | None = None) -> int:
        """Write the whole file at a step in dB and return its size in bytes."""
        linear = {band: self._plan.transforms[band].radiometry.domain != "db" for band in self._plan.lossy}
        watch, achieved = Watch(linear, self._plan.header.grid), Achieved()
        header = self._plan.header_at(step_db)
        coders = self._plan.coders(step_db, Watching(watch, achieved))
        writer = Writer(sink, header)
        encoder = SceneEncoder(self._source, header.grid, coders, self._machine)
        with contextlib.closing(encoder.frames()) as frames:
            done = 0
            for ordinal, streams in enumerate(frames):
                group, number, _ = header.address(ordinal)
                writer.write_frame(with_checks(streams, ordinal) if checked(coders[number]) else streams)
                if self._progress:
                    place = header.window(group)
                    done += place.rows * place.columns * len(coders[number].bands)
                    self._progress(done, self._plan.pixels)
        self.objections = watch.objections()
        self.bounds = achieved.kept(self._plan.bounds)
        if self.bounds:
            told = [{"band": each.band, each.unit: each.achieved} for each in self.bounds]
            summary = {**(summary or {}), "achieved": told}
        return writer.finish(summary)

    def write_to_goal(self, sink: BinaryIO, goal: Goal) -> tuple[float, int]:
        """Search the step on a sample, write, and correct it while the size misses; step and size.

        sink: can be rewound. Raises TargetError with the nearest value there is.
        """
        if not self._plan.searched:
            return 0.0, self._write_exactly(sink, goal)
        with math_threads(1), WorkPool(self._machine.threads) as pool:
            probe = RateProbe(self._source, self._plan, pool)
            correction = 1.0
            for _ in range(_ATTEMPTS):
                found = find_step(probe, goal, correction)
                summary: dict[str, Any] = {"asked": goal.fidelity.option}
                if goal.fidelity.kind == "rmse_db":
                    self.rmse_db = found.value
                    summary["rmse_db"] = round(found.value, 4)
                sink.seek(0)
                sink.truncate()
                size = self.write(sink, found.step, summary)
                if goal.fidelity.kind == "rmse_db" or goal.target.met_by(size):
                    break
                # The middle of what is allowed: a ceiling is then cleared at the next attempt.
                correction *= goal.target.value * (1 - TOLERANCE / 2 * goal.target.ceiling) / size
            else:
                raise goal.unreachable(size)
        return found.step, size

    def _write_exactly(self, sink: BinaryIO, goal: Goal) -> int:
        """A scene without a band that could be coarser: it has the size that it has, and no error."""
        sink.seek(0)
        sink.truncate()
        size = self.write(sink, 0.0, {"asked": goal.fidelity.option})
        if goal.fidelity.kind != "rmse_db" and size > goal.target.value * (1 + TOLERANCE):
            raise goal.unreachable(size)
        return size
