"""models and train."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Json, Quiet

if TYPE_CHECKING:
    from sarzip.training.loop import Event, Plan

models = typer.Typer(help="The released models: their cards and hashes.")


@models.command("list")
def list_models(json: Json = False) -> None:
    """List the released models."""
    from sarzip.pipeline.models import ModelStore

    cards = ModelStore().list()
    if json:
        render.print_json([{"id": card.id, "family": card.family, "sha256": card.sha256} for card in cards])
        return
    for card in cards:
        print(f"{card.id}  family {card.family}  sha256 {card.sha256}")


@models.command("show")
def show_model(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Id of a released model, or a folder.")],
) -> None:
    """Print a model's card as JSON."""
    from sarzip.pipeline.models import ModelStore

    print(ModelStore().find(model).to_json(), end="")


@models.command("verify")
def verify_models(
    model: Annotated[
        str | None, typer.Argument(metavar="[MODEL]", help="One model; all released ones without it.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Check that the weights have the hash in their card and can be read."""
    from sarzip.pipeline.models import ModelStore

    store = ModelStore()
    for name in [model] if model else [card.id for card in store.list()]:
        card = store.verify(name)
        render.say(f"{card.id}: weights have the hash of the card", quiet)


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="The recipe, a TOML file.")],
    data: Annotated[Path, typer.Option("--data", metavar="DIR", help="Rasters to learn from.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Receives weights, card, log, checkpoint.")
    ],
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")] = "auto",
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
