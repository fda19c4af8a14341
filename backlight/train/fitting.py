"""Train a classifier: one loop, a pure function of its seed, that can be stopped and resumed at any step."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from backlight.classifier import Classifier
from backlight.classifier.wrapping import copy_of
from backlight.core.display import Displayed
from backlight.core.interrupt import as_interrupts, held_interrupt
from backlight.core.processes import Engine, make_engine
from backlight.core.progress import Progress, reporting
from backlight.data.dataset import Dataset
from backlight.evaluate.metrics import accuracy, mean_loss, top_k
from backlight.runs.folder import RunFolder
from backlight.runs.lock import run_lock
from backlight.runs.log import read_log
from backlight.train.curves import draw_curves
from backlight.train.recipe import Recipe
from backlight.train.runtime import Runtime
from backlight.train.schedule import rate
from backlight.train.setup import Material, TrainingRun, open_run


@dataclass(frozen=True)
class Trained(Displayed):
    """What a run came to: its folder, its best epoch (from 1) by validation, and the classifier of that epoch.

    `stopped` says that an adversarial training collapsed and was ended, where it did.

    >>> list(Trained.__annotations__)[:3]
    ['run', 'best_epoch', 'val_accuracy']
    """

    run: Path
    best_epoch: int
    val_accuracy: float
    val_loss: float
    epochs: int
    images_per_second: float
    seconds: float
    classifier: Classifier
    stopped: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `train`."""
        plain = {name: value for name, value in vars(self).items() if name != "classifier"}
        return {**plain, "run": str(self.run)}


def fit(
    classifier: Classifier,
    train: Dataset,
    val: Dataset,
    run: str | Path,
    *,
    recipe: Recipe | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    notes: Mapping[str, Any] | None = None,
    runtime: Runtime | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Train a copy of a classifier on `train`, choose the best epoch by `val`, and keep all of it in a run folder.

    Which pictures a step sees and how they are changed follows from the seed and the step's number, the learning
    rate from the number alone. So a run that is killed at any moment and resumed ends with the same weights, bit
    by bit; one whose processes torchrun starts again goes on without `resume`. The caller's module stays as it is. A
    resumed run takes recipe, seed and weights from its folder, and has to get the model and the pictures that it was
    started with. `notes` is kept in `run.json` as it is. After Ctrl-C the step that was being taken is finished and
    saved.

    Raises UsageError for a folder that already holds a run or is being trained in, for batches of single pictures
    where layers take statistics of a batch, and for a resumed run with another recipe or model,
    DataError for data that does not fit the classifier, ModelError for a model without anything to train and when
    the loss is no longer finite, FileError for files, OtherProcessError where another process has raised one of these.

    >>> import tempfile
    >>> from torch import nn
    >>> from backlight.data.load import load_data
    >>> train, val = (load_data("shapes:n=40,size=8,classes=2", split=part) for part in ("train", "val"))
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=train.label_names)
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> fit(classifier, train, val, folder, recipe=Recipe(epochs=2), runtime=Runtime(tensorboard=False)).epochs
    2
    """
    # Wherever the caller calls from: weights copied in inference mode could never be trained.
    with torch.inference_mode(False), torch.enable_grad():
        engine = engine or make_engine(str(classifier.device))
        with engine.connected(), _held(RunFolder(run), engine):
            started = open_run(
                engine.agree(partial(Material.of, classifier, train, val, engine)),
                run,
                recipe=recipe,
                seed=seed,
                resume=resume,
                force=force,
                notes=notes or {},
                runtime=runtime or Runtime(),
                engine=engine,
            )
            _train(started, progress)
            return _trained(started)


@contextmanager
def _held(folder: RunFolder, engine: Engine) -> Iterator[None]:
    """Hold the run's folder: the main process does it for all, and where it cannot, nobody goes on."""
    with ExitStack() as stack:

        def hold() -> None:
            folder.require_place()
            stack.enter_context(run_lock(folder.path))

        engine.share(hold)
        yield


def _train(run: TrainingRun, progress: Progress | None) -> None:
    """Take all steps that are left, and save what was done when they are interrupted."""
    try:
        with as_interrupts():
            _take_steps(run, progress)
    except KeyboardInterrupt:
        # Other processes may be steps ahead or behind; at an epoch's end validation may have been cut off.
        if run.engine.world == 1 and not run.journal.at_epoch_end:
            run.journal.read_losses()
            _save(run)
        raise
    finally:
        run.journal.close()


def _take_steps(run: TrainingRun, progress: Progress | None) -> None:
    journal, saved = run.journal, time.monotonic()
    with reporting(progress, journal.total, "train") as advance:
        advance(journal.step)
        while not journal.over:
            with held_interrupt():
                start, step = time.perf_counter(), journal.step
                outcome = run.trainer.step(run.batches(step), step, rate(run.recipe, step, journal.total))
                journal.count(outcome, start)
            if journal.at_epoch_end:
                _end_epoch(run)
            if journal.at_epoch_end or (journal.settled and time.monotonic() - saved >= run.runtime.save_every):
                _save(run)
                saved = time.monotonic()
            advance(note=journal.note)


def _end_epoch(run: TrainingRun) -> None:
    """Validate, keep the weights of the epoch, and note whether it is the best."""
    table = run.validate()
    scores = {"val_loss": mean_loss(table), "val_accuracy": accuracy(table), "val_top5": top_k(table)}
    best = run.journal.end_epoch(scores, run.watch())
    if run.engine.is_main:
        run.folder.save_weights(f"epoch-{run.journal.epoch:02}", run.trainer.evaluated)
        if best:
            run.folder.save_weights("best", run.trainer.evaluated)


def _save(run: TrainingRun) -> None:
    """Write the last weights for others to use, then the state, which is all that resuming needs."""
    if run.engine.is_main:
        run.folder.save_weights("last", run.trainer.evaluated)
        run.folder.save_state({"counters": run.journal.state(), "trainer": run.trainer.state_dict()})


def _trained(run: TrainingRun) -> Trained:
    if run.engine.is_main:
        log = read_log(run.folder.path / "log.jsonl")
        draw_curves({run.folder.path.name: log}, run.folder.path / "curves.png")
    module = copy_of(run.trainer.evaluated)
    if run.engine.is_main:
        module.load_state_dict(run.folder.load_weights("best", run.engine.device))
    # Handed over, not read: other machines need not see the folder.
    run.engine.broadcast(list(module.state_dict().values()))
    counters = run.journal.counters
    return Trained(
        run=run.folder.path,
        best_epoch=counters.best_epoch,
        val_accuracy=counters.best_accuracy,
        val_loss=counters.best_loss,
        epochs=run.journal.epoch,
        images_per_second=run.journal.images_per_second,
        seconds=round(counters.seconds, 3),
        classifier=run.classifier.replace(module=module.eval()),
        stopped=counters.stopped,
    )
