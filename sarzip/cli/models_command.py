"""models."""

from __future__ import annotations

from typing import Annotated

import typer

from sarzip.cli import render
from sarzip.cli.options import Json, Quiet

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
