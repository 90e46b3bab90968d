"""`sarzip train`: read it from top to bottom; the whole of the training is the function `train`.

The run is deterministic: the crops and the noise of step k depend on the seed and on k alone, so that a run
that was interrupted and resumed ends with the weights of one that was not (on the same device and number of
threads).
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save

from sarzip.errors import ModelError, OutputError, SarzipError, UsageError
from sarzip.pipeline.models import CARD, WEIGHTS, ModelCard, ModelStore
from sarzip.training.checkpoint import load_checkpoint, read_header, save_checkpoint
from sarzip.training.dataset import Dataset, find_sources, load_dataset, simulated_sources, split_validation
from sarzip.training.recipe import Recipe, Schedule, read_recipe
from sarzip.training.trainable import (
    activation_bytes,
    autocast,
    build_trainable,
    choose_batch,
    free_bytes,
    parameter_count,
    resolve_precision,
    training_bytes,
)

_log = logging.getLogger(__name__)

LOG = "log.jsonl"
_CACHE = "signals.i16"
_LOG_EVERY = 50  # steps between two lines of the log: their mean is steady enough to see a trend
_DOMAIN = "dB about the band's median, from amplitude, power, dB or the amplitude of complex data"


@dataclass(frozen=True)
class Plan:
    """What a training will do and need, known before it starts. Memory in bytes, lengths in pixels."""

    parameters: int
    receptive_field: int
    batch: int
    at_a_time: int
    memory: int
    free: int
    precision: str
    device: str
    training_pixels: int
    validation_pixels: int
    first_step: int
    steps: int


@dataclass(frozen=True)
class Event:
    """Something to show: kind is 'step', 'validation', 'saved' or 'done'; values are scalars by name."""

    kind: str
    step: int
    steps: int
    values: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Watch:
    """How a caller follows a training; both are called from the training's thread."""

    planned: Callable[[Plan], None] = lambda plan: None
    event: Callable[[Event], None] = lambda event: None


def train(
    config: Path, data: Path, output: Path, device: str = "auto", watch: Watch | None = None
) -> ModelCard:
    """Train the recipe `config` on the rasters of `data`; leaves model.safetensors and card.json in `output`.

    `output` also keeps a checkpoint, from which the same call continues, and the log. SIGINT and
    SIGTERM save one and raise KeyboardInterrupt. Raises UsageError, InputError or OutputError before anything
    is trained.
    """
    watch = watch or Watch()
    recipe = read_recipe(config)
    schedule = recipe.training
    where = _device(device)
    _prepare(output, config)
    header = read_header(output)
    if header is not None and header["recipe"] != recipe.to_mapping():
        raise UsageError(
            f"{output}: holds a checkpoint of another recipe; choose another folder or remove it"
        )

    torch.manual_seed(schedule.seed)
    try:
        model = build_trainable(recipe.family, recipe.architecture, recipe.loss)
    except ModelError as error:
        raise UsageError(f"{config.name}: {error}") from error
    begun = _start(model, recipe)
    model.to(where, memory_format=torch.channels_last)
    sources = find_sources(data, schedule.released) + simulated_sources(schedule.simulated)
    dataset = load_dataset(sources, output / _CACHE)
    training, validation = split_validation(dataset, schedule.validation_share)
    optimiser = torch.optim.AdamW(
        model.parameters(), schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    first = 0
    if header is not None:
        load_checkpoint(output, model, optimiser)
        first = int(header["step"])

    per_crop = activation_bytes(model, schedule.crop, where, schedule.precision)
    free = free_bytes(where)
    batch, at_a_time = choose_batch(model, schedule.batch, per_crop, free)
    watch.planned(
        Plan(
            parameters=parameter_count(model),
            receptive_field=model.receptive_field(),
            batch=batch,
            at_a_time=at_a_time,
            memory=training_bytes(model, at_a_time, per_crop),
            free=free,
            precision=resolve_precision(where, schedule.precision),
            device=str(where),
            training_pixels=training.pixels,
            validation_pixels=validation.pixels,
            first_step=first,
            steps=schedule.steps,
        )
    )

    crops = torch.from_numpy(validation.fixed_crops(schedule.crop, schedule.validation_crops))
    results: dict[str, Any] = header["results"] if header is not None else {}
    averages = _Averages()
    with _stop_requested() as stop, (output / LOG).open("a", encoding="utf-8") as log:
        for step in range(first, schedule.steps):
            model.train()
            model.set_progress(step / schedule.steps)
            for group in optimiser.param_groups:
                group["lr"] = schedule.rate(step)
            pixels = training.batch(batch, schedule.crop, np.random.default_rng((schedule.seed, step)))
            torch.manual_seed(schedule.seed * 1_000_003 + step)

            optimiser.zero_grad()
            for part in torch.from_numpy(pixels).to(where).split(at_a_time):
                with autocast(where, schedule.precision):
                    loss, logged = model.training_loss(part)
                (loss * (len(part) / batch)).backward()
                averages.add(loss=loss, **logged)
            if schedule.clip > 0:
                torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            optimiser.step()

            done = step + 1
            if done % _LOG_EVERY == 0 or done == schedule.steps:
                values = averages.take() | {"learning_rate": schedule.rate(step)}
                if not math.isfinite(values["loss"]):
                    raise SarzipError(
                        f"training diverged before step {done}: lower learning_rate or set clip"
                    )
                _tell(watch, log, Event("step", done, schedule.steps, values))
            if done % schedule.validate_every == 0 or done == schedule.steps:
                results = validate(model, crops, schedule)
                flat = {
                    f"{key}@{row['step']:g}": row[key]
                    for row in results["validation"]
                    for key in ("rmse_db", "bpp")
                }
                _tell(watch, log, Event("validation", done, schedule.steps, flat))
            if done % schedule.checkpoint_every == 0 or done == schedule.steps or stop.is_set():
                state = {"step": done, "recipe": recipe.to_mapping(), "results": results}
                save_checkpoint(output, model, optimiser, state)
                _tell(watch, log, Event("saved", done, schedule.steps))
            if stop.is_set() and done < schedule.steps:
                raise KeyboardInterrupt
    card = release(model, recipe, (training, validation), results, output, begun)
    (output / _CACHE).unlink(missing_ok=True)
    watch.event(Event("done", schedule.steps, schedule.steps))
    return card


def validate(model: Any, crops: torch.Tensor, schedule: Schedule) -> dict[str, Any]:
    """RMSE in dB and estimated bits per pixel over all crops at every validation step, in float32."""
    model.eval()
    device = next(model.parameters()).device
    rows = []
    for step in schedule.validation_steps:
        squares = bits = 0.0
        for part in crops.split(8):
            batch = part.to(device)
            decoded, rate = model.evaluate(batch, step)
            squares += float((decoded - batch).square().sum())
            bits += rate * batch.numel()
        rows.append(
            {
                "step": step,
                "rmse_db": round(math.sqrt(squares / crops.numel()), 4),
                "bpp": round(bits / crops.numel(), 4),
            }
        )
    return {"validation": rows}


def release(
    model: Any,
    recipe: Recipe,
    data: tuple[Dataset, Dataset],
    results: dict[str, Any],
    output: Path,
    begun: ModelCard | None = None,
) -> ModelCard:
    """Write model.safetensors and then card.json into `output`, each under its name only when complete.

    begun: the model whose weights the training began with.
    """
    content = save({name: tensor.contiguous() for name, tensor in sorted(model.export().items())})
    device = next(model.parameters()).device
    card = ModelCard(
        id=recipe.id,
        family=recipe.family,
        sha256=hashlib.sha256(content).hexdigest(),
        config=model.config(),
        domain=_DOMAIN,
        data=tuple(
            {"file": source.path.name, "kind": source.kind, "licence": source.licence, "use": use}
            for use, chosen in zip(("training", "validation"), data, strict=True)
            for source in chosen.sources
        ),
        recipe=recipe.to_mapping()
        | ({"start": {"id": begun.id, "sha256": begun.sha256}} if begun else {})
        | {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "sarzip": _version(),
        },
        results={"parameters": parameter_count(model), **results},
    )
    try:
        for name, written in ((WEIGHTS, content), (CARD, card.to_json().encode())):
            part = output / (name + ".part")
            part.write_bytes(written)
            part.replace(output / name)
    except OSError as error:
        raise OutputError(f"{output}: the model cannot be written ({error})") from error
    return card


def _start(model: Any, recipe: Recipe) -> ModelCard | None:
    """Put the weights of the recipe's `start` into the model; UsageError if there are none that fit."""
    if not recipe.training.start:
        return None
    try:
        card, weights = ModelStore().load(recipe.training.start)
        if card.family != recipe.family or not hasattr(model, "start"):
            raise ModelError(f"a {recipe.family} cannot start from {card.id}, a {card.family}")
        model.start(weights)
    except (ModelError, KeyError, RuntimeError) as error:
        raise UsageError(f"recipe: start: {error}") from error
    return card


class _Averages:
    """Means of what was logged since the last line."""

    def __init__(self) -> None:
        self.sums: dict[str, torch.Tensor] = {}
        self.count = 0

    def add(self, **values: torch.Tensor) -> None:
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, torch.zeros(())).to(value.device) + value.detach()
        self.count += 1

    def take(self) -> dict[str, float]:
        means = {name: float(value) / max(1, self.count) for name, value in self.sums.items()}
        self.sums, self.count = {}, 0
        return means


def _tell(watch: Watch, log: Any, event: Event) -> None:
    """One line of the log, and the caller's callback."""
    rounded = {name: float(f"{value:.5g}") for name, value in event.values.items()}
    log.write(
        json.dumps({"kind": event.kind, "step": event.step, "time": round(time.time()), **rounded}) + "\n"
    )
    log.flush()
    watch.event(event)


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"unknown device {name}") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"{name}: no CUDA device is available")
    return device


def _prepare(output: Path, config: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        if config.resolve() != (output / "config.toml").resolve():
            shutil.copyfile(config, output / "config.toml")
    except OSError as error:
        raise OutputError(f"{output}: cannot be written ({error})") from error


@contextmanager
def _stop_requested() -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets: the step in progress is finished and saved. A second stops."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def request(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _version() -> str:
    """The package's version, with the commit in a checkout."""
    try:
        number = version("sarzip")
    except PackageNotFoundError:
        number = "checkout"
    root = Path(__file__).resolve().parents[2]
    if (root / ".git").exists() and (git := shutil.which("git")):
        run = subprocess.run(
            [git, "-C", str(root), "rev-parse", "--short", "HEAD"], capture_output=True, text=True
        )
        if run.returncode == 0:
            return f"{number} {run.stdout.strip()}"
    return number
