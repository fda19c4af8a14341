"""From what was asked for to a run that is ready to go on: a new one, or one that was interrupted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import DataError, UsageError
from backlight.core.processes import Engine
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labels, predict_dataset, tabulate
from backlight.runs.folder import RunFolder
from backlight.runs.log import Log
from backlight.table import Table
from backlight.train.batches import Batches
from backlight.train.collapse import Robustness, measure_robustness
from backlight.train.journal import Counters, Journal
from backlight.train.launch import Launch
from backlight.train.order import Order
from backlight.train.prepare import check_same, check_single, check_sizes, prepare_data, private_copy
from backlight.train.recipe import Recipe
from backlight.train.runtime import Choice, Runtime, choose
from backlight.train.state import read_info, restore
from backlight.train.teacher import Teacher, TeacherSpec
from backlight.train.trainer import Trainer
from backlight.train.trunk import FeatureBatches, cached_head, head_inputs


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """A run that is ready to go on: the parts that the loop needs at hand."""

    classifier: Classifier
    recipe: Recipe
    runtime: Runtime
    engine: Engine
    folder: RunFolder
    trainer: Trainer
    batches: Batches
    validate: Callable[[], Table]
    watch: Callable[[], Robustness | None]
    journal: Journal


@dataclass(frozen=True, eq=False)
class Material:
    """What is trained on what: a private copy of a classifier, and pictures at its size to learn from and to choose by.

    >>> from backlight.data.load import load_data
    >>> train, val = (load_data("shapes:n=40,size=8,classes=2", split=part) for part in ("train", "val"))
    >>> classifier = Classifier.from_module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 2)), size=8)
    >>> Material.of(classifier, train, val, Engine(torch.device("cpu"))).classifier.labels == train.label_names
    True
    """

    classifier: Classifier
    train: Dataset
    val: Dataset

    @classmethod
    def of(cls, classifier: Classifier, train: Dataset, val: Dataset, engine: Engine) -> Material:
        """Check and prepare what a caller gave; raises UsageError, DataError and ModelError."""
        check_labels(classifier, train)
        check_labels(classifier, val)
        train, val = prepare_data(classifier, train), prepare_data(classifier, val)
        return cls(private_copy(classifier, train.label_names, engine), train, val)


def open_run(
    material: Material,
    path: str | Path,
    *,
    recipe: Recipe | None,
    seed: int,
    resume: bool,
    force: bool,
    notes: Mapping[str, Any],
    runtime: Runtime,
    engine: Engine,
) -> TrainingRun:
    """Make a new run in a folder, or open the one that is there.

    Raises UsageError, DataError and FileError as `backlight.train.fit` does.
    """
    folder, launch, private, train = RunFolder(path), Launch.of(engine), material.classifier, material.train
    check_same(train, material.val, engine)
    resume = resume or engine.share(partial(launch.restarts, folder))
    if resume:
        info, recipe = engine.agree(partial(_same_run, folder, recipe, material))
        seed, choice = int(info["seed"]), Choice.from_json(info["probe"])
    else:
        engine.share(partial(folder.require_new, force))
        recipe = recipe or Recipe()
        choice = engine.share(partial(choose, private, train[:64].images.to(engine.device), runtime))
        info = {**_describe(material, recipe, choice), "seed": seed, **notes}
    info |= launch.to_json()
    engine.agree(partial(check_sizes, recipe, private, len(train), engine))
    teacher = engine.agree(partial(_teacher, recipe, private, info, resumed=resume))
    choice.prepare(private.module)
    order = Order(train.labels, recipe.batch_size, seed, recipe.balance)
    trainer = Trainer(
        private,
        recipe,
        seed=seed,
        head=cached_head(private.module, recipe),
        engine=engine,
        autocast=choice.autocast,
        class_weights=_class_weights(train, recipe),
        total=recipe.epochs * order.steps_per_epoch,
        teacher=teacher,
    )
    if trainer.head is None:
        image = private.normalize(train[:1].images.to(engine.device))
        check_single(private.module, trainer.frozen, image, order.size // engine.world, recipe)
    batches, scores = _pictures(material, order, trainer)
    counters = Counters()
    if resume:
        per_epoch = order.steps_per_epoch
        taken = partial(restore, folder, trainer, per_epoch=per_epoch, total=trainer.total, size=order.size)
        counters = engine.agree(taken)
    engine.share(partial(_begin, folder, info, counters, trainer, resumed=resume))
    log = Log(folder.path, resume_at=counters.step, tensorboard=runtime.tensorboard) if engine.is_main else None
    journal = Journal(
        recipe, batches, engine, trainer.adversary, log_every=runtime.log_every, log=log, counters=counters
    )
    watch = partial(_watch, material.val.limited(recipe.watched or 1), trainer)
    return TrainingRun(private, recipe, runtime, engine, folder, trainer, batches, scores, watch, journal)


def _begin(folder: RunFolder, info: Mapping[str, Any], counters: Counters, trainer: Trainer, *, resumed: bool) -> None:
    """Write what a new run begins with; of one that goes on, who has started it this time."""
    if not resumed:
        folder.create(info, {"counters": counters.to_state(), "trainer": trainer.state_dict()})
    elif info != folder.info:
        folder.write_info(info)


def _teacher(recipe: Recipe, student: Classifier, info: dict[str, Any], *, resumed: bool) -> Teacher | None:
    """Load the recipe's teacher, and note in a new run what it was; a resumed run has to have the same one."""
    if not recipe.teacher:
        return None
    teacher = TeacherSpec.read(recipe.teacher).load(student)
    if resumed and info.get("teacher") != teacher.fingerprint:
        found = f"the teacher {recipe.teacher} has other weights than when the run was started"
        raise UsageError(found, expected="the same teacher: another one teaches something else")
    info["teacher"] = teacher.fingerprint
    return teacher


def _same_run(folder: RunFolder, recipe: Recipe | None, material: Material) -> tuple[dict[str, Any], Recipe]:
    """Read what a run was started with; raises for a recipe, a model and pictures that are others."""
    info, stored = read_info(folder)
    classifier = material.classifier
    size = list(classifier.size or ())
    if (classifier.name, size) != (info["model"], info["size"]):
        raise UsageError(
            f"{classifier.name} of size {size}", expected=f"{info['model']} of size {info['size']}, as in the run"
        )
    if recipe is not None and recipe != stored:
        changed = {key for key, value in recipe.to_json().items() if value != stored.to_json()[key]}
        raise UsageError(
            f"the run was started with another {', '.join(sorted(changed))}",
            expected="the recipe of the run: another one bends the learning rates of what is done already",
            hint="a new run, or --resume without a recipe",
        )
    for part, data in (("train", material.train), ("val", material.val)):
        if data.fingerprint() != info["data"][part]:
            raise DataError(
                f"the {part} part of {data.name} is not what the run was started with", expected="the same pictures"
            )
    return info, stored


def _describe(material: Material, recipe: Recipe, choice: Choice) -> dict[str, Any]:
    classifier, train, val = material.classifier, material.train, material.val
    resize = classifier.resize
    assert resize is not None
    return {
        "model": classifier.name,
        "labels": list(classifier.labels),
        "mean": list(classifier.mean),
        "std": list(classifier.std),
        "size": list(resize.size),
        "resize": {**vars(resize), "size": list(resize.size)},
        "recipe": recipe.to_json(),
        "data": {
            "name": train.name,
            "train": train.fingerprint(),
            "val": val.fingerprint(),
            "train_pictures": len(train),
            "val_pictures": len(val),
            "failed": [list(one) for one in (*train.failed, *val.failed)],
        },
        "probe": choice.to_json(),
    }


def _pictures(material: Material, order: Order, trainer: Trainer) -> tuple[Batches, Callable[[], Table]]:
    """Return the batches, and what tabulates the validation pictures; with a head, both from the trunk's one pass."""
    classifier, train, val = material.classifier, material.train, material.val
    engine, head = trainer.engine, trainer.head
    if head is None:

        def look() -> Table:
            trained = classifier.replace(module=trainer.evaluated)
            return predict_dataset(trained, val, engine=engine).table

        return Batches(train, order, trainer.recipe.augment, engine), look

    seen = head_inputs(classifier, val, head).to(engine.device)

    def look_at_features() -> Table:
        with torch.no_grad():
            logits = trainer.evaluated.get_submodule(head)(seen).cpu()
        return tabulate(list(val.ids), val.labels, logits)

    return FeatureBatches(train, order, head_inputs(classifier, train, head), engine), look_at_features


def _watch(val: Dataset, trainer: Trainer) -> Robustness | None:
    """Attack the watched validation pictures in the adversary's ball, in the main process for all."""
    ascent = None if trainer.adversary is None else trainer.adversary.ascent
    if ascent is None or not trainer.recipe.watched:
        return None
    trained = trainer.classifier.replace(module=trainer.evaluated)
    return trainer.engine.share(lambda: measure_robustness(trained, val, ascent, seed=trainer.seed))


def _class_weights(train: Dataset, recipe: Recipe) -> Tensor | None:
    """Weigh classes by inverse frequency, so that the mean weight of the training pictures is 1."""
    if recipe.balance != "weights":
        return None
    counts = train.labels.bincount(minlength=len(train.label_names)).float()
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0.0)
    return weights * len(train) / (weights * counts).sum()
