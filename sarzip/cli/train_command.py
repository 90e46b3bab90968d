"""train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Device, Quiet

if TYPE_CHECKING:
    from sarzip.training.loop import Event, Plan


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The recipe, a TOML file.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Rasters to learn from.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Receives weights, card, log, checkpoint.")
    ],
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Train a model; call it again with the same folder to continue."""
    from sarzip.training.loop import Watch, train

    with render.progress_bar("training", quiet, pixels=False) as progress:

        def event(event: Event) -> None:
            if progress:
                progress(event.step, event.steps)
            values = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            render.say(f"{event.kind} {event.step}/{event.steps}: {values}", quiet)

        def planned(plan: Plan) -> None:
            render.say(
                f"{plan.parameters:,} parameters, receptive field {plan.receptive_field} pixels, batch "
                f"{plan.batch} ({plan.at_a_time} at a time), {render.size(plan.memory)} of "
                f"{render.size(plan.free)} free memory, {plan.precision} on {plan.device}; "
                f"{plan.training_pixels / 1e6:.1f} MPix to learn from, "
                f"{plan.validation_pixels / 1e6:.1f} MPix to validate on",
                quiet,
            )

        card = train(config, data, output, device, Watch(planned, event))
    render.say(f"{output}: model {card.id}, sha256 {card.sha256}", quiet)
