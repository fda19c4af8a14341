"""Training: what it learns, what it leaves alone, what it writes, and what it says when it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import DataError, FileError, ModelError, UsageError
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.evaluate import evaluate
from backlight.evaluate.metrics import accuracy
from backlight.evaluate.samples import predict_dataset
from backlight.models import load
from backlight.report.training import training_section
from backlight.runs.folder import RunFolder
from backlight.runs.history import read_history
from backlight.runs.log import read_log
from backlight.testing import unchanged
from backlight.train import fit
from backlight.train.augment import Augmentation
from backlight.train.batches import TrainingBatch
from backlight.train.layers import replace_head
from backlight.train.recipe import Recipe
from backlight.train.schedule import rate
from backlight.train.start import start_classifier
from backlight.train.trainer import Outcome, Trainer
from backlight.train.trunk import head_inputs
from tests.processes import run_processes
from tests.train.nets import QUIET, network, pictures, same

SHORT = Recipe(epochs=2, batch_size=12, lr=0.01)
DATA = pictures(split="train"), pictures(split="val")


def test_it_learns_and_leaves_the_callers_model_alone(tmp_path: Path) -> None:
    labels = torch.arange(120) % 3
    levels = Random(0, torch.arange(120)).integer(100, 3, 8, 8) + 50 * labels.view(-1, 1, 1, 1)
    whole = Dataset.of(levels.to(torch.uint8), labels, pictures().label_names)
    train, val = whole.take(range(90)), whole.take(range(90, 120))
    classifier = network(norm=False, dropout=0.1)
    recipe = Recipe(epochs=6, batch_size=12, lr=0.01)
    with unchanged(classifier.module):
        found = fit(classifier, train, val, tmp_path, recipe=recipe, runtime=QUIET)
    assert found.val_accuracy > 0.9
    table = predict_dataset(found.classifier, val).table
    assert accuracy(table) == found.val_accuracy
    assert not found.classifier.module.training


def test_the_run_folder_holds_what_was_promised(tmp_path: Path) -> None:
    train, val = (replace(part, label_names=("<script>", 'a"b', "cat")) for part in DATA)
    classifier = start_classifier("classic_cnn", train, seed=3)
    found = fit(
        classifier,
        train,
        val,
        tmp_path / "run",
        recipe=SHORT,
        seed=3,
        notes={"split_seed": 0},
        runtime=replace(QUIET, tensorboard=True),
    )
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert names == {
        "run.json", "log.jsonl", "state.pt", "curves.png", "tensorboard",
        "best.safetensors", "last.safetensors", "epoch-01.safetensors", "epoch-02.safetensors",
    }  # fmt: skip
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["labels"] == ["<script>", 'a"b', "cat"]
    promised = ["model", "mean", "std", "size", "resize", "recipe", "data", "seed", "split_seed", "versions", "probe"]
    assert set(promised) <= set(info)
    lines = read_log(tmp_path / "run" / "log.jsonl")
    assert {line["kind"] for line in lines} == {"step", "epoch"}
    wanted = {"loss", "accuracy", "lr", "seconds", "images_per_second", "peak_memory", "epoch", "step"}
    assert all(wanted <= set(line) for line in lines)
    assert list(found.to_json()) == [
        "run", "best_epoch", "val_accuracy", "val_loss", "epochs", "images_per_second", "seconds", "stopped",
    ]  # fmt: skip
    loaded = load(str(tmp_path / "run"))
    images = val[:4].images
    assert loaded.labels == classifier.labels
    assert loaded.size == (8, 8)
    with torch.no_grad():
        assert torch.equal(loaded.logits(images), found.classifier.logits(images))


def test_runs_that_name_code_or_nonsense_are_not_loaded(tmp_path: Path) -> None:
    train, val = DATA
    fit(start_classifier("classic_cnn", train), train, val, tmp_path, recipe=SHORT, runtime=QUIET)
    info = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "evil.py").write_text("raise SystemExit('run')")
    changes: list[dict[str, object]] = [
        {"model": f"{tmp_path}/evil.py:make"},
        {"resize": 3},
        {"labels": None},
        {"format": 2},
    ]
    for change in changes:
        (tmp_path / "run.json").write_text(json.dumps({**info, **change}))
        with pytest.raises(FileError, match=r"run\.json"):
            load(str(tmp_path))
    (tmp_path / "run.json").write_text(json.dumps({**info, "labels": ["a", "b"]}))
    with pytest.raises(ModelError):
        load(str(tmp_path))


def test_a_compiled_run_loads_into_a_plain_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What the compiler generates does not matter here: the weights' names do.
    real = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self: real(self, backend="eager"))
    runtime = replace(QUIET, compile="on")
    found = fit(network(dropout=0.0), *DATA, tmp_path, recipe=replace(SHORT, ema=0.5), runtime=runtime)
    plain = network(seed=5)
    plain.module.load_state_dict(RunFolder(tmp_path).load_weights("best"), strict=True)
    plain.module.eval()
    with torch.no_grad():
        images = DATA[1][:3].images
        assert torch.allclose(plain.logits(images), found.classifier.logits(images), atol=1e-5)


def test_a_loss_that_is_no_number_names_the_pictures(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="the loss is nan at step") as caught:
        fit(
            network(norm=False), *DATA, tmp_path, recipe=replace(SHORT, optimizer="sgd", lr=1e30, clip=0), runtime=QUIET
        )
    assert any(f" {identity}" in str(caught.value) for identity in DATA[0].ids)


def test_memory_that_runs_out_halves_the_batch_and_keeps_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    def train(limit: int) -> dict[str, object]:
        classifier = network(norm=False, dropout=0.0)
        classifier.module.double()
        trainer = Trainer(classifier, Recipe(optimizer="sgd", lr=0.1, ema=0.5), seed=0)
        real = trainer._logits

        def limited(images: torch.Tensor) -> torch.Tensor:
            if len(images) > limit:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")
            return real(images)

        monkeypatch.setattr(trainer, "_logits", limited)
        from backlight.train.batches import Batches
        from backlight.train.order import Order

        batches = Batches(DATA[0], Order(DATA[0].labels, 13, 0), Recipe().augment)
        for step in range(3):
            trainer.step(batches(step), step, 0.1)
        assert trainer.parts == {99: 1, 7: 2, 4: 4}[limit]
        return trainer.state_dict()["module"]

    whole = train(99)
    for limit in (7, 4):
        for name, value in train(limit).items():
            assert torch.allclose(value, whole[name], atol=1e-12)


def test_memory_that_runs_out_on_one_picture_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(network(), Recipe(), seed=0)

    def never(images: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(trainer, "_logits", never)

    with pytest.raises(torch.OutOfMemoryError):
        trainer.step(
            TrainingBatch(torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), torch.arange(2), torch.arange(2), 2), 0, 0.1
        )


def test_early_stopping_keeps_the_best_epoch(tmp_path: Path) -> None:
    recipe = Recipe(epochs=9, batch_size=24, lr=1e-12, schedule="constant", warmup=0, patience=2)
    found = fit(network(norm=False), *DATA, tmp_path, recipe=recipe, runtime=QUIET)
    assert (found.best_epoch, found.epochs) == (1, 3)


def test_frozen_layers_and_their_statistics_stay(tmp_path: Path) -> None:
    classifier = network()
    before = {name: value.clone() for name, value in classifier.module.state_dict().items()}
    found = fit(classifier, *DATA, tmp_path, recipe=replace(SHORT, freeze=-1), runtime=QUIET)
    after = found.classifier.module.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"6.weight", "6.bias"}
    with pytest.raises(UsageError, match="freeze=9"):
        fit(classifier, *DATA, tmp_path / "all", recipe=replace(SHORT, freeze=9), runtime=QUIET)


@pytest.mark.parametrize("count", [1, 2])
def test_as_few_pictures_as_one(tmp_path: Path, count: int) -> None:
    train = DATA[0].take(range(count))
    assert fit(network(), train, train, tmp_path, recipe=SHORT, runtime=QUIET).epochs == 2


def test_data_that_does_not_fit(tmp_path: Path) -> None:
    train, val = DATA
    other = replace(train, label_names=("x", "y", "z"))
    with pytest.raises(DataError, match="does not know"):
        fit(network(), other, val, tmp_path / "a", runtime=QUIET)
    with pytest.raises(DataError, match="empty"):
        fit(network(), train.take([]), val, tmp_path / "b", runtime=QUIET)
    unlabeled = Dataset.of(train.read(slice(0, 4)), label_names=train.label_names)
    with pytest.raises(DataError, match="without labels"):
        fit(network(), unlabeled, val, tmp_path / "c", runtime=QUIET)
    with pytest.raises(DataError, match="val part .* without labels"):
        fit(network(), train, replace(unlabeled, split="val"), tmp_path / "v", runtime=QUIET)
    two = Dataset.of(train.read(slice(0, 6))[:, :2], [0, 1, 2] * 2, train.label_names)
    with pytest.raises(DataError, match="2 channels"):
        fit(network(), two, val, tmp_path / "d", runtime=QUIET)
    with pytest.raises(ModelError, match="input size"):
        fit(Classifier.from_module(nn.Flatten(), labels=train.label_names), train, val, tmp_path / "e", runtime=QUIET)


def test_what_cannot_be_trained_leaves_no_folder_behind(tmp_path: Path) -> None:
    still = network()
    still.module.requires_grad_(False)
    with pytest.raises(ModelError, match="nothing to train"):
        fit(still, *DATA, tmp_path / "run", recipe=SHORT, runtime=QUIET)
    wide = replace(SHORT, augment=Augmentation(crop=8))
    with pytest.raises(UsageError, match="crop=8 of 8 pixels"):
        fit(network(), *DATA, tmp_path / "run", recipe=wide, runtime=QUIET)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        fit(network(), *DATA, tmp_path / "file" / "run", recipe=SHORT, runtime=QUIET)
    assert not (tmp_path / "run").exists()


def test_weights_under_two_names_are_kept_under_both(tmp_path: Path) -> None:
    classifier = network(norm=False)
    classifier.module[3].weight = nn.Parameter(torch.rand(6, 3, 3, 3))
    classifier.module[3] = nn.Conv2d(6, 6, 3, padding=1)
    classifier.module[1] = nn.Conv2d(6, 6, 3, padding=1)
    classifier.module[1].weight = classifier.module[3].weight
    found = fit(classifier, *DATA, tmp_path, recipe=SHORT, runtime=QUIET)
    assert found.classifier.module[1].weight is found.classifier.module[3].weight
    kept = RunFolder(tmp_path).load_weights("best")
    assert torch.equal(kept["1.weight"], kept["3.weight"])


def test_a_classifier_without_labels_gets_those_of_its_pictures(tmp_path: Path) -> None:
    bare = Classifier.from_module(network().module, size=8)
    assert fit(bare, *DATA, tmp_path, recipe=SHORT, runtime=QUIET).classifier.labels == DATA[0].label_names


def test_every_step_moves_at_the_rate_of_the_schedule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates, real = list[float](), Trainer.step

    def step(self: Trainer, batch: TrainingBatch, number: int, rate: float) -> Outcome:
        outcome = real(self, batch, number, rate)
        rates.append(self.optimizer.parts[0].param_groups[0]["lr"])
        return outcome

    monkeypatch.setattr(Trainer, "step", step)
    fit(network(), *DATA, tmp_path, recipe=SHORT, runtime=QUIET)
    assert rates == [rate(SHORT, number, len(rates)) for number in range(len(rates))]
    assert len(set(rates)) > 3


def test_an_epoch_without_a_loss_is_never_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([float("nan"), 1.0, 0.5])
    monkeypatch.setattr("backlight.train.fitting.mean_loss", lambda table: next(losses))
    found = fit(network(), *DATA, tmp_path, recipe=replace(SHORT, epochs=3, select="loss"), runtime=QUIET)
    assert (found.best_epoch, read_history(tmp_path).chosen["epoch"]) == (3, 3)


def test_streamed_pictures_train_the_same_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fit(network(), *DATA, tmp_path / "memory", recipe=SHORT, runtime=QUIET)
    monkeypatch.setattr("backlight.train.prepare._IN_MEMORY", 0)
    streamed = fit(network(), *DATA, tmp_path / "stream", recipe=SHORT, runtime=QUIET)
    left, right = (found.classifier.module.state_dict() for found in (whole, streamed))
    assert same(left, right)


def test_lines_of_the_log_tell_of_their_own_stretch(tmp_path: Path) -> None:
    recipe = replace(SHORT, epochs=2)
    fit(network(), *DATA, tmp_path, recipe=recipe, runtime=replace(QUIET, log_every=1))
    lines = read_log(tmp_path / "log.jsonl")
    for epoch in (1, 2):
        steps = [line for line in lines if line["kind"] == "step" and line["epoch"] == epoch]
        (end,) = (line for line in lines if line["kind"] == "epoch" and line["epoch"] == epoch)
        for name in ("loss", "accuracy", "top5"):
            assert end[name] == pytest.approx(sum(line[name] for line in steps) / len(steps))
        mean = len(steps) / sum(1 / line["images_per_second"] for line in steps)
        assert end["images_per_second"] == pytest.approx(mean, rel=0.02)


def test_grey_pictures_and_grey_models(tmp_path: Path) -> None:
    train, val = DATA
    grey = [Dataset.of(part.read(slice(None))[:, :1], part.labels, part.label_names) for part in DATA]
    assert fit(network(), *grey, tmp_path / "color", recipe=SHORT, runtime=QUIET).epochs == 2
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    one = Classifier.from_module(net, mean=(0.5,), std=(0.5,), size=8, labels=train.label_names)
    found = fit(one, train, val, tmp_path / "grey", recipe=SHORT, runtime=QUIET)
    assert found.classifier.channels == 1
    assert evaluate(found.classifier, val).accuracy == found.val_accuracy


def test_an_empty_class_is_trained_around(tmp_path: Path) -> None:
    train, val = (replace(part, label_names=(*part.label_names, "empty")) for part in DATA)
    classifier = network()
    replace_head(classifier.module, 4, seed=0)
    classifier = Classifier.from_module(classifier.module, size=8, labels=train.label_names)
    for balance in ("weights", "sampling"):
        found = fit(classifier, train, val, tmp_path / balance, recipe=replace(SHORT, balance=balance), runtime=QUIET)
        assert found.epochs == 2


TWO = """
from dataclasses import replace
from pathlib import Path
from backlight.core.processes import make_engine
from backlight.evaluate.samples import predict_dataset
from backlight.train.augment import Augmentation
from backlight.train import fit
from backlight.train.recipe import Recipe
from tests.train.nets import QUIET, network, pictures

folder = Path({folder!r})
engine = make_engine("cpu")
classifier = network(norm=False, dropout=0.0)
classifier.module.double()
train, val = pictures(split="train"), pictures(70, split="val").take(range(5))
recipe = Recipe(epochs=2, batch_size=7, optimizer="sgd", lr=0.1, ema=0.9)
found = fit(classifier, train, val, folder / str(engine.world), recipe=recipe, runtime=QUIET, engine=engine)
table = predict_dataset(found.classifier, val, engine=engine, batch_size=2).table
if engine.is_main:
    table.write(folder / f"{{engine.world}}.parquet")
"""


def test_two_processes_are_one(tmp_path: Path) -> None:
    source = TWO.format(folder=str(tmp_path))
    exec(source, {})  # noqa: S102
    run_processes(source, world=2)
    left, right = (RunFolder(tmp_path / name).load_weights("best") for name in ("1", "2"))
    for name, value in left.items():
        assert value.dtype == torch.float64
        assert torch.allclose(value, right[name], rtol=0, atol=1e-9)
    from backlight.table import Table

    tables = [Table.read(tmp_path / f"{world}.parquet") for world in (1, 2)]
    assert tables[0].ids == tables[1].ids
    assert same(tables[0]["label"].tolist(), tables[1]["label"].tolist())
    assert abs(tables[0]["logits"] - tables[1]["logits"]).max() < 1e-9
    lines = [
        [line for line in read_log(tmp_path / name / "log.jsonl") if line["kind"] == "epoch"] for name in ("1", "2")
    ]
    assert [line["accuracy"] for line in lines[0]] == [line["accuracy"] for line in lines[1]]
    assert lines[0][1]["loss"] == pytest.approx(lines[1][1]["loss"], abs=1e-6)


def test_a_trunk_that_is_run_once_gives_the_same_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, val = DATA
    recipe = replace(SHORT, freeze=-1, augment=Augmentation(), ema=0.8)
    once = fit(network(dropout=0.0), train, val, tmp_path / "once", recipe=recipe, runtime=QUIET)
    monkeypatch.setattr("backlight.train.setup.cached_head", lambda module, recipe: None)
    every = fit(network(dropout=0.0), train, val, tmp_path / "every", recipe=recipe, runtime=QUIET)
    for name, value in every.classifier.module.state_dict().items():
        assert torch.allclose(value, once.classifier.module.state_dict()[name], atol=1e-5)
    assert once.val_loss == pytest.approx(every.val_loss, abs=1e-5)


def test_an_adversary_attacks_pictures_though_the_trunk_is_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, val = DATA
    recipe = replace(SHORT, freeze=-1, augment=Augmentation(), adversary="pgd:eps=0.2,steps=2")

    def trained(name: str, recipe: Recipe) -> dict[str, torch.Tensor]:
        found = fit(network(dropout=0.0), train, val, tmp_path / name, recipe=recipe, runtime=QUIET)
        return found.classifier.module.state_dict()

    attacked, plain = trained("attacked", recipe), trained("plain", replace(recipe, adversary=""))
    start = network(dropout=0.0).module.state_dict()
    for name, value in attacked.items():
        frozen = not name.startswith("6.")
        assert torch.equal(value, start[name]) == frozen, name
        assert torch.equal(value, plain[name]) == frozen, name
    monkeypatch.setattr("backlight.train.setup.cached_head", lambda module, recipe: None)
    every = trained("every", recipe)
    assert all(torch.equal(value, every[name]) for name, value in attacked.items())


def test_the_trunk_runs_once_only() -> None:
    classifier = network()
    calls: list[int] = []
    classifier.module[0].register_forward_hook(lambda *_: calls.append(1))
    with unchanged(classifier.module):
        seen = head_inputs(classifier, DATA[0], "6", batch_size=16)
    assert len(calls) == -(-len(DATA[0]) // 16)
    with torch.no_grad():
        logits = classifier.module[6](seen)
        assert torch.allclose(logits, classifier.logits(DATA[0][:].images), atol=1e-5)


def test_the_speed_is_told_once(tmp_path: Path) -> None:
    train, val = DATA
    found = fit(network(), train, val, tmp_path / "run", recipe=SHORT, runtime=QUIET)
    last = read_log(tmp_path / "run" / "log.jsonl")[-1]
    assert last["mean_images_per_second"] == found.images_per_second
    page = training_section([read_history(tmp_path / "run")]).html
    assert f"{found.images_per_second:,.0f} pictures a second" in page
