"""Training: throughput against a DataLoader and a bare loop, shapes in a minute, fine-tuning in five.

python benchmarks/train.py [--quick] [--only NAME]

The long runs are in benchmarks/runs/long.py. With an accelerator `--only speed` trains `speed_cnn` on CIFAR-10 to
94%; without one that figure is left out and said so.
"""

from __future__ import annotations

import copy
import itertools
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from measure import Figure, arguments, at_least, at_most, data_folder, faster, in_turn, seconds, show
from torch import Tensor, nn
from torchvision.transforms import v2

from backlight.data.dataset import Dataset
from backlight.data.fitted import to_pil
from backlight.data.load import load_splits
from backlight.evaluate import evaluate
from backlight.runs.log import read_log
from backlight.train import fit
from backlight.train.batches import Batches
from backlight.train.order import Order
from backlight.train.recipe import CLASSIC, Recipe, read_recipe
from backlight.train.runtime import Choice, Runtime, choose
from backlight.train.start import start_classifier
from backlight.train.trainer import Trainer

QUIET = Runtime(tensorboard=False)
FLOAT32 = replace(QUIET, precision="float32")


class PictureByPicture(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """The usual way: PIL pictures, changed one at a time by torchvision in the loader's workers."""

    def __init__(self, data: Dataset) -> None:
        self.pictures = [to_pil(image) for image in data.read(slice(None))]
        self.labels = data.labels.tolist()
        self.change = v2.Compose(
            [
                v2.RandomHorizontalFlip(),
                v2.RandomAffine(5, scale=(0.8, 1.2)),
                v2.ColorJitter(brightness=0.2, saturation=0.2),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.5,) * 3, (0.5,) * 3),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.change(self.pictures[row]), self.labels[row]


def throughput(data: Dataset, steps: int, runs: int) -> Iterator[Figure]:
    """Time `steps` steps of the classic recipe: ours, a DataLoader with 2 workers, and compute alone."""
    data = data.take(torch.arange(steps * CLASSIC.batch_size)).in_memory()
    batches = Batches(data, Order(data.labels, CLASSIC.batch_size, seed=0), CLASSIC.augment)
    yield _against_loader(*_trainer(data, FLOAT32), batches, steps, runs)
    probed, choice = _trainer(data, QUIET)
    if choice.precision != "float32":
        yield _against_loader(probed, choice, batches, steps, runs)
    yield _against_compute(_trainer(data, FLOAT32)[0], batches, 10 * steps * runs // 12)


def _trainer(data: Dataset, runtime: Runtime) -> tuple[Trainer, Choice]:
    classifier = start_classifier("classic_cnn", data)
    choice = choose(classifier, data[:64].images, runtime)
    choice.prepare(classifier.module)
    return Trainer(classifier, CLASSIC, seed=0, autocast=choice.autocast), choice


def _against_loader(trainer: Trainer, choice: Choice, batches: Batches, steps: int, runs: int) -> Figure:
    def ours() -> None:
        for step in range(steps):
            trainer.step(batches(step), step, CLASSIC.lr)

    plain = copy.deepcopy(trainer.module)
    optimizer = torch.optim.Adam(plain.parameters(), CLASSIC.lr)
    pictures = PictureByPicture(batches.data)
    loader = torch.utils.data.DataLoader(
        pictures, CLASSIC.batch_size, shuffle=True, num_workers=2, persistent_workers=True
    )

    def peer() -> None:
        for images, labels in loader:
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=choice.autocast is not None):
                logits = plain(images)
            nn.functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

    taken = in_turn({"ours": ours, "peer": peer}, runs)
    speed = {name: steps * CLASSIC.batch_size / seconds for name, seconds in taken.items()}
    note = f"batch {CLASSIC.batch_size}, images/s: ours {speed['ours']:.0f}, peer {speed['peer']:.0f}"
    name = f"train classic_cnn, {choice.precision}"
    return faster(name, taken["ours"], taken["peer"], "DataLoader, 2 workers", goal=1.7, n=runs, note=note)


def _against_compute(trainer: Trainer, batches: Batches, steps: int) -> Figure:
    """Take a whole step and one on a batch that is ready in turn: neighbors on the machine slow both alike."""
    ready = batches(0)
    images, module = trainer.classifier.normalize(ready.images), copy.deepcopy(trainer.module)
    optimizer = torch.optim.Adam(module.parameters(), CLASSIC.lr)
    number = itertools.count()

    def ours() -> None:
        step = next(number)
        trainer.step(batches(step), step, CLASSIC.lr)

    def bare() -> None:
        nn.functional.cross_entropy(module(images), ready.labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    taken = in_turn({"ours": ours, "bare": bare}, steps)
    note = f"medians of single steps, float32, batch {CLASSIC.batch_size}"
    return faster("a step against bare compute", taken["ours"], taken["bare"], "no data", goal=0.95, n=steps, note=note)


def shapes(count: int) -> Iterator[Figure]:
    """Train on drawn shapes of 8 classes until 99% of val are right."""
    parts = load_splits(f"shapes:n={count},size=32,classes=8").parts
    recipe = read_recipe("default", ["epochs=2", "batch_size=64", "lr=0.005", "crop=0"])
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        taken = seconds(lambda: _fit("speed_cnn:width=tiny", parts, run, recipe))
        best = max(line["val_accuracy"] for line in read_log(run / "log.jsonl") if line["kind"] == "epoch")
    yield at_most("shapes, 8 classes", taken, 60, unit="s", n=1, note=f"val accuracy {best:.4f} after 2 epochs")
    yield at_least("shapes, val accuracy", best, 0.99, unit="", n=1, note=f"{taken:.1f} s, {count} pictures")


def fine_tuning(data: dict[str, Dataset], count: int) -> Iterator[Figure]:
    """Train a new head on the embedded model, its trunk run once, beside a new network on the same pictures."""
    parts = {"train": data["train"].limited(count), "val": data["val"].limited(5 * count // 2)}
    # Found on val: 1,280 features of 2,000 pictures need a strong decay.
    head = read_recipe("default", ["epochs=30", "lr=0.003", "freeze=-1", "flip=none", "crop=0", "weight_decay=3"])
    scratch = read_recipe("default", ["epochs=30", "batch_size=64"])
    scores = {}
    with tempfile.TemporaryDirectory() as folder:
        started = (("head", "efficientnet_lite0", head, (160, 160)), ("scratch", "classic_cnn", scratch, None))
        for name, model, recipe, size in started:
            taken = seconds(lambda: scores.__setitem__(name, _fit(model, parts, Path(folder) / name, recipe, size)))  # noqa: B023
            scores[f"{name} seconds"] = taken
    note = (
        f"{count} pictures at 160 px, {len(parts['val'])} of val; from scratch, {scratch.epochs} epochs: "
        f"{scores['scratch']:.3f} in {scores['scratch seconds']:.0f} s"
    )
    yield at_least("fine-tuning, val accuracy", scores["head"], 0.75, unit="", n=1, note=note)
    yield at_most("fine-tuning, seconds", scores["head seconds"], 300, unit="s", n=1, note=note)


def _fit(
    model: str, parts: dict[str, Dataset], run: Path, recipe: Recipe, size: tuple[int, int] | None = None
) -> float:
    classifier = start_classifier(model, parts["train"], pretrained=recipe.freeze != 0, size=size)
    return fit(classifier, parts["train"], parts["val"], run, recipe=recipe, runtime=QUIET).val_accuracy


def speed_run(data: dict[str, Dataset], runs: int) -> Iterator[Figure]:
    """Train `speed_cnn` on an accelerator, several times: accuracy on test and seconds, start-up left out."""
    recipe = replace(
        read_recipe("default", ["epochs=10", "batch_size=1024", "optimizer=muon", "lr=0.02", "schedule=triangle"]),
        label_smoothing=0.2,
        warmup=0.23,
        final=0.07,
        ema=0.95,
    )
    device = torch.accelerator.current_accelerator()
    accuracies, taken = [], []
    for seed in range(runs):
        classifier = start_classifier("speed_cnn", data["train"], seed=seed, device=device or "cpu")
        with tempfile.TemporaryDirectory() as folder:
            found = fit(
                classifier, data["train"], data["val"], Path(folder) / "run", recipe=recipe, seed=seed, runtime=QUIET
            )
        accuracies.append(evaluate(found.classifier, data["test"]).accuracy)
        taken.append(found.seconds)
    mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies) if runs > 1 else 0.0
    note = f"{statistics.mean(taken):.1f} s, deviation of accuracy {spread:.4f}; others: 2.6 s on an A100"
    yield at_least("speed_cnn, test accuracy", mean, 0.94, unit="", n=runs, note=note)


def main() -> None:
    given = arguments(__doc__ or "")
    folder = data_folder()
    cifar = load_splits(folder / "cifar10_jpeg.npz").parts if folder is not None else None

    def figures() -> Iterator[Figure]:
        wanted = lambda name: given.only in name  # noqa: E731
        if wanted("shapes"):
            yield from shapes(1000 if given.quick else 4000)
        if cifar is None:
            return
        if wanted("throughput"):
            yield from throughput(cifar["train"], 10 if given.quick else 60, 1 if given.quick else 3)
        if wanted("fine-tuning"):
            yield from fine_tuning(dict(cifar), 200 if given.quick else 2000)
        if wanted("speed") and torch.accelerator.is_available():
            yield from speed_run(dict(cifar), 1 if given.quick else 5)

    show(figures())
    if cifar is None:
        print("throughput and fine-tuning need CIFAR-10 below BACKLIGHT_DATA")
    if not torch.accelerator.is_available():
        print("speed_cnn to 94% waits for an accelerator: python benchmarks/train.py --only speed")


if __name__ == "__main__":
    main()
