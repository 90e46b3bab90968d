"""Training: the data it takes, the recipe it follows, that it learns, resumes and leaves a usable model."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio

from sarzip.errors import InputError, OutputError, UsageError
from sarzip.training.dataset import (
    SCALE,
    balanced_weights,
    find_sources,
    load_dataset,
    scene_name,
    simulated_sources,
    split_validation,
)
from sarzip.training.recipe import parse_recipe, read_recipe

torch = pytest.importorskip("torch")

from support.models import write_lapped_model  # noqa: E402

from sarzip.codec.base import Quality  # noqa: E402
from sarzip.codec.registry import build_codec  # noqa: E402
from sarzip.pipeline.models import ModelStore  # noqa: E402
from sarzip.training import trainable  # noqa: E402
from sarzip.training.loop import Event, Plan, Watch, train  # noqa: E402

RECIPE = """
id = "toy"
family = "ae16"
[architecture]
latents = 8
widths = [8, 8, 8]
[loss]
step_low = 1.0
step_high = 8.0
[training]
steps = 30
batch = 4
crop = 32
learning_rate = 1e-2
warmup = 3
seed = 5
precision = "float32"
validate_every = 10
checkpoint_every = 10
validation_crops = 4
validation_steps = [2.0]
validation_share = 0.4
"""


def write_raster(path: Path, values: np.ndarray, nodata: float | None = None) -> None:
    profile = {"driver": "GTiff", "height": values.shape[-2], "width": values.shape[-1], "nodata": nodata}
    bands = values.reshape(-1, *values.shape[-2:])
    path.parent.mkdir(parents=True, exist_ok=True)
    with rasterio.open(path, "w", count=len(bands), dtype=values.dtype, **profile) as raster:
        raster.write(bands)


def speckle(seed: int, shape: tuple[int, ...] = (96, 80)) -> np.ndarray:
    """Single-look amplitude over a field with an edge."""
    rng = np.random.default_rng(seed)
    field = np.where(np.arange(shape[-1]) < shape[-1] // 2, 50.0, 200.0)
    return (field * np.sqrt(rng.exponential(size=shape))).astype(np.float32)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    for number in range(3):
        write_raster(folder / f"a_amplitude_place{number}.tif", speckle(number))
    write_raster(folder / "a_amplitude_place9.tif", speckle(9, (20, 300)).round().astype(np.uint16))
    return folder


def manifest(folder: Path, rows: list[tuple[str, str, str]]) -> None:
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "split", "may_train_released_weights", "sensor", "license"])
        writer.writerows((*row, "S", "CC0") for row in rows)


def test_the_manifest_decides_what_may_be_used(data: Path) -> None:
    assert len(find_sources(data)) == 4
    manifest(
        data,
        [
            ("a_amplitude_place0.tif", "train", "yes"),
            ("a_amplitude_place1.tif", "train", "no"),
            ("a_amplitude_place2.tif", "test", "yes"),
            ("gone.tif", "train", "yes"),
        ],
    )
    assert [s.path.name for s in find_sources(data)] == ["a_amplitude_place0.tif"]
    assert len(find_sources(data, released=False)) == 2
    assert find_sources(data)[0].licence == "CC0"
    manifest(data, [("a_amplitude_place1.tif", "train", "no")])
    with pytest.raises(InputError):
        find_sources(data)
    (data / "manifest.csv").write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns"):
        find_sources(data)


def test_signals_are_db_about_the_median(data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(find_sources(data), tmp_path / "cache")
    assert [(s.rows, s.columns) for s in dataset.scenes] == [(96, 80)] * 3 + [(20, 300)]
    signal_db = dataset.signal(dataset.scenes[0]) / SCALE
    expected = 20 * np.log10(speckle(0))
    expected -= np.median(expected)
    shallow = expected > -20  # deeper fades are bent by the noise floor
    assert np.abs(signal_db - expected)[shallow].max() < 0.3
    assert dataset.pixels == 3 * 96 * 80 + 20 * 300


def test_complex_data_gives_its_amplitude_and_nodata_is_filled(tmp_path: Path) -> None:
    values = speckle(1)
    phase = np.exp(1j * np.random.default_rng(0).uniform(0, 6, values.shape)).astype(np.complex64)
    write_raster(tmp_path / "d" / "amplitude.tif", values)
    write_raster(tmp_path / "d" / "complex.tif", values * phase)
    holed = values.copy()
    holed[30:50, 30:50] = -9999
    write_raster(tmp_path / "d" / "holed_amplitude.tif", holed, nodata=-9999)
    write_raster(tmp_path / "d" / "void_amplitude.tif", np.full((64, 64), np.nan, np.float32))
    dataset = load_dataset(find_sources(tmp_path / "d"), tmp_path / "cache")
    planes = {s.source.path.stem: dataset.signal(s).astype(int) for s in dataset.scenes}
    assert set(planes) == {"amplitude", "complex", "holed_amplitude"}
    assert np.abs(planes["amplitude"] - planes["complex"]).max() <= 2
    assert np.abs(planes["holed_amplitude"][30:50, 30:50]).max() < 15 * SCALE


def test_simulated_scenes_are_a_kind_of_their_own(data: Path, tmp_path: Path) -> None:
    sources = find_sources(data) + simulated_sources(2)
    dataset = load_dataset(sources, tmp_path / "cache")
    made = [s for s in dataset.scenes if s.source.kind == "simulated"]
    assert [(s.rows, s.columns) for s in made] == [(512, 512)] * 2
    spread = [dataset.signal(s).std() / SCALE for s in made]
    assert all(1.5 < each < 15 for each in spread) and spread[0] != spread[1]


def test_unreadable_rasters_are_left_out(data: Path, tmp_path: Path) -> None:
    (data / "text.tif").write_text("no raster")
    assert len(load_dataset(find_sources(data), tmp_path / "cache").scenes) == 4
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.tif").write_text("no raster")
    with pytest.raises(InputError):
        load_dataset(find_sources(tmp_path / "bad"), tmp_path / "cache2")


def test_batches_depend_on_the_seed_alone(data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(find_sources(data), tmp_path / "cache")
    first, second, other = (dataset.batch(6, 64, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == (6, 1, 64, 64) and first.dtype == np.float32
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_small_scenes_are_mirrored(data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(find_sources(data), tmp_path / "cache")
    crop = dataset.crop(dataset.scenes[3], 0, 0, 64)
    np.testing.assert_array_equal(crop[20:40], crop[:20][::-1])
    assert dataset.fixed_crops(64, 5).shape == (5, 1, 64, 64)


def test_no_kind_dominates(data: Path, tmp_path: Path) -> None:
    write_raster(data / "other" / "b_amplitude_x.tif", speckle(4, (48, 40)))
    dataset = load_dataset(find_sources(data), tmp_path / "cache")
    weights = balanced_weights(dataset.scenes)
    assert weights.sum() == pytest.approx(1)
    pixels = np.array([s.pixels for s in dataset.scenes])
    # One kind has 15 times the pixels of the other: it is drawn less than 15 times, but more often.
    ratio = weights[:-1].sum() / weights[-1]
    assert ratio == pytest.approx(np.sqrt(pixels[:-1].sum() / pixels[-1]))


def test_validation_keeps_places_apart(data: Path, tmp_path: Path) -> None:
    dataset = load_dataset(find_sources(data), tmp_path / "cache")
    training, validation = split_validation(dataset, 0.4)
    inside = {s.source.scene for s in training.scenes}
    held = {s.source.scene for s in validation.scenes}
    assert inside and held and not inside & held
    assert len(training.scenes) + len(validation.scenes) == 4
    whole = split_validation(dataset, 0.0)
    assert whole == (dataset, dataset)


def test_scene_names() -> None:
    assert scene_name("S1_SLC-amplitude_lely-3_VV") == "lely"
    assert scene_name("S1_TC-intensity-10m_Berlin_VV-VH") == "Berlin"
    assert scene_name("GRD_20200101") == "GRD_20200101"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("crop = 32", "crop = 33"),
        ("steps = 30", "steps = 0"),
        ("steps = 30", 'steps = "many"'),
        ("[training]", "[trainer]"),
        ("seed = 5", "sead = 5"),
        ('precision = "float32"', 'precision = "int4"'),
        ('id = "toy"', "id = "),
        ("validation_share = 0.4", "validation_share = 1.0"),
        ("warmup = 3", "warmup = true"),
        ("seed = 5", "seed = 5.5"),
        ("seed = 5", "start = 5"),
    ],
)
def test_recipes_that_are_refused(old: str, new: str) -> None:
    assert old in RECIPE
    with pytest.raises(UsageError):
        parse_recipe(RECIPE.replace(old, new), "recipe.toml")


def test_the_released_recipe_is_readable() -> None:
    recipe = read_recipe(Path(__file__).parents[1] / "models" / "ae16" / "config.toml")
    assert (recipe.id, recipe.family) == ("ae16", "ae16")
    model = trainable.build_trainable(recipe.family, recipe.architecture, recipe.loss)
    assert model.receptive_field() == 31


def test_learning_rate_warms_up_and_falls() -> None:
    schedule = parse_recipe(RECIPE, "recipe.toml").training
    rates = [schedule.rate(step) for step in range(30)]
    assert np.argmax(rates) in (2, 3) and max(rates) == pytest.approx(1e-2)
    assert np.all(np.diff(rates[3:]) < 0) and rates[-1] < 5e-4


def test_batch_follows_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = torch.nn.Linear(2, 2)
    monkeypatch.setattr(trainable, "training_bytes", lambda m, n, per: n * per)
    assert trainable.choose_batch(model, 8, 100, 10_000) == (8, 8)
    assert trainable.choose_batch(model, 8, 100, 700) == (8, 4)
    assert trainable.choose_batch(model, 0, 100, 700) == (5, 5)
    assert trainable.choose_batch(model, 0, 1, 10_000) == (32, 32)
    with pytest.raises(UsageError, match="smaller crop"):
        trainable.choose_batch(model, 8, 100, 100)


def test_activations_grow_with_the_crop_and_leave_no_trace() -> None:
    recipe = parse_recipe(RECIPE, "recipe.toml")
    model = trainable.build_trainable("ae16", recipe.architecture, recipe.loss)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    cpu = torch.device("cpu")
    small, large = (trainable.activation_bytes(model, crop, cpu, "float32") for crop in (64, 128))
    assert 3.5 < large / small < 4.5
    # At the least every stage's convolution and normalisation keep their inputs.
    assert small > 4 * (64 * 64 + 32 * 32 * 8 * 4)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


class Recorder:
    """A watch that remembers, and can interrupt at a step."""

    def __init__(self, interrupt: int | None = None) -> None:
        self.plans: list[Plan] = []
        self.events: list[Event] = []
        self.interrupt = interrupt

    def watch(self) -> Watch:
        return Watch(self.plans.append, self._event)

    def _event(self, event: Event) -> None:
        self.events.append(event)
        if event.kind == "validation" and event.step == self.interrupt:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


def test_training_learns_and_leaves_a_model(data: Path, recipe: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    card = train(recipe, data, tmp_path / "out", "cpu", recorder.watch())
    plan = recorder.plans[0]
    assert plan.receptive_field == 31 and plan.batch == 4 and 0 < plan.memory < plan.free
    assert plan.training_pixels + plan.validation_pixels == 3 * 96 * 80 + 20 * 300
    errors = [e.values["rmse_db@2"] for e in recorder.events if e.kind == "validation"]
    assert len(errors) == 3 and errors[-1] < errors[0]
    assert recorder.events[-1].kind == "done"
    loaded, weights = ModelStore(tmp_path).load(str(tmp_path / "out"))
    assert loaded.sha256 == card.sha256 and loaded.results["validation"][0]["rmse_db"] == errors[-1]
    family = build_codec(loaded.family, loaded.config, weights)
    a, s = family.halo
    signal_db = np.zeros((1, 64 + 2 * a, 64 + 2 * a), np.float32)
    latents = family.analyse(signal_db)
    decoded = family.encode(latents, Quality(1.0)).latents
    assert np.isfinite(family.restore(np.pad(decoded, ((0, 0), (s, s), (s, s)), "symmetric"))).all()
    lines = [json.loads(line) for line in (tmp_path / "out" / "log.jsonl").read_text().splitlines()]
    assert {line["kind"] for line in lines} == {"step", "validation", "saved"}
    assert not list((tmp_path / "out").glob("*.part")) and not (tmp_path / "out" / "signals.i16").exists()


def test_a_training_may_start_from_a_model(data: Path, recipe: Path, tmp_path: Path) -> None:
    start = write_lapped_model(tmp_path / "first")
    text = (
        RECIPE.replace('"ae16"', '"lapped16"').replace("latents = 8", "hidden = 16").replace("[8, 8, 8]", "8")
    )
    text = text.replace("widths", "means").replace("steps = 30", f'steps = 2\nstart = "{start}"')
    recipe.write_text(text)
    card = train(recipe, data, tmp_path / "out", "cpu")
    assert card.recipe["start"] == {"id": "first", "sha256": ModelStore().find(str(start)).sha256}
    assert card.config["hidden"] == 16
    _, weights = ModelStore().load(str(tmp_path / "out"))
    assert weights["transform.basis"].shape == (16, 32)
    for wrong in (str(tmp_path), "zz99", str(tmp_path / "out")):
        # No model; no such model; one with fewer hidden units.
        recipe.write_text(text.replace(str(start), wrong).replace("hidden = 16", "hidden = 32"))
        with pytest.raises(UsageError, match="start"):
            train(recipe, data, tmp_path / "out2", "cpu")
    recipe.write_text(RECIPE.replace("steps = 30", f'steps = 30\nstart = "{start}"'))
    with pytest.raises(UsageError, match="cannot start"):
        train(recipe, data, tmp_path / "out2", "cpu")


def test_an_interrupted_run_ends_with_the_same_weights(data: Path, recipe: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = train(recipe, data, tmp_path / "whole", "cpu")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, data, tmp_path / "parts", "cpu", Recorder(interrupt=10).watch())
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    resumed = Recorder()
    parts = train(recipe, data, tmp_path / "parts", "cpu", resumed.watch())
    assert resumed.plans[0].first_step == 10
    assert parts.sha256 == whole.sha256


def test_another_recipe_does_not_continue_a_checkpoint(data: Path, recipe: Path, tmp_path: Path) -> None:
    train(recipe, data, tmp_path / "out", "cpu")
    recipe.write_text(RECIPE.replace("seed = 5", "seed = 6"))
    with pytest.raises(UsageError, match="another recipe"):
        train(recipe, data, tmp_path / "out", "cpu")
    (tmp_path / "out" / "checkpoint.safetensors").write_bytes(b"broken")
    with pytest.raises(InputError, match="not a checkpoint"):
        train(recipe, data, tmp_path / "out", "cpu")


def test_bad_requests_fail_before_training(data: Path, recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        train(tmp_path / "none.toml", data, tmp_path / "out", "cpu")
    with pytest.raises(InputError):
        train(recipe, tmp_path / "empty", tmp_path / "out", "cpu")
    with pytest.raises(UsageError):
        train(recipe, data, tmp_path / "out", "abacus")
    recipe.write_text(RECIPE.replace('family = "ae16"', 'family = "zz99"'))
    with pytest.raises(UsageError, match="zz99"):
        train(recipe, data, tmp_path / "out2", "cpu")
    recipe.write_text(RECIPE.replace("latents = 8", "latent = 8"))
    with pytest.raises(UsageError, match="latent"):
        train(recipe, data, tmp_path / "out3", "cpu")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        train(recipe, data, tmp_path / "file" / "out", "cpu")
