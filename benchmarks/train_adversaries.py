"""A training step under each adversary, against a plain loop that takes the same passes.

python benchmarks/train_adversaries.py [--quick] [--only NAME] [--cpu-time]

The plain loop is written out below: forward and backward passes on tensors that are ready, and Adam. Ours also attacks
by keyed random numbers, keeps layers' draws apart, and counts what was right.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from measure import Figure, arguments, faster, in_turn, show
from torch import Tensor
from torch.nn import functional as F

from backlight.classifier import Classifier
from backlight.data.load import load_data
from backlight.train.batches import Batches, TrainingBatch
from backlight.train.order import Order
from backlight.train.recipe import CLASSIC
from backlight.train.runtime import Runtime, choose
from backlight.train.start import start_classifier
from backlight.train.trainer import Trainer

EPS, BATCH = 8 / 255, 128


@dataclass(frozen=True)
class Passes:
    """What a step takes: `steps` of the attack, a clean look before, pairs, replays, and a pass for the weights."""

    steps: int
    look: bool = False
    pairs: bool = False
    replays: int = 1
    twice: bool = False


ADVERSARIES = {
    "pgd:steps=3": Passes(3),
    "nfgsm": Passes(1),
    "fgsm-rs": Passes(1),
    "free:replays=4": Passes(0, replays=4),
    "trades:steps=3": Passes(3, look=True, pairs=True),
    "mart:steps=3": Passes(3, pairs=True),
    "trades:steps=3,awp=0.005": Passes(3, look=True, pairs=True, twice=True),
}


class PlainLoop:
    """The same passes by hand."""

    def __init__(self, classifier: Classifier, passes: Passes) -> None:
        self.module, self.normalize, self.passes = copy.deepcopy(classifier.module), classifier.normalize, passes
        self.optimizer = torch.optim.Adam(self.module.parameters(), CLASSIC.lr)

    def step(self, batch: TrainingBatch) -> None:
        """Attack and learn."""
        attacked = self.attacked(batch.images, batch.labels)
        self.module.train()
        for _ in range(self.passes.replays):
            for _ in range(1 + self.passes.twice):
                self.optimizer.zero_grad()
                self.loss(batch.images, attacked, batch.labels).backward()
            self.optimizer.step()

    def attacked(self, images: Tensor, labels: Tensor) -> Tensor:
        """Climb by signs in evaluation mode, the weights frozen."""
        self.module.eval().requires_grad_(False)
        moved = (images + EPS * (2 * torch.rand_like(images) - 1)).clamp(0, 1)
        if self.passes.look:
            with torch.no_grad():
                self.module(self.normalize(images))
        for _ in range(self.passes.steps):
            leaf = moved.requires_grad_()
            loss = F.cross_entropy(self.module(self.normalize(leaf)), labels, reduction="sum")
            moved = (leaf.detach() + EPS * torch.autograd.grad(loss, leaf)[0].sign()).clamp(images - EPS, images + EPS)
        self.module.requires_grad_(True)
        return moved.detach().clamp(0, 1).requires_grad_(self.passes.steps == 0)

    def loss(self, images: Tensor, attacked: Tensor, labels: Tensor) -> Tensor:
        """Learn from the attacked pictures, or from both."""
        if not self.passes.pairs:
            return F.cross_entropy(self.module(self.normalize(attacked)), labels)
        clean, other = self.module(self.normalize(torch.cat([images, attacked]))).chunk(2)
        divergence = F.kl_div(other.log_softmax(1), clean.log_softmax(1), reduction="batchmean", log_target=True)
        return F.cross_entropy(clean, labels) + 6 * divergence


def step_of(name: str, passes: Passes, runs: int) -> Figure:
    """Time single steps on one batch in turn: neighbors on the machine slow both alike."""
    data = load_data(f"shapes:n={2 * BATCH},size=32,classes=8", split="all").in_memory()
    classifier = start_classifier("classic_cnn", data)
    choose(classifier, data[:64].images, Runtime(tensorboard=False, precision="float32")).prepare(classifier.module)
    ready = Batches(data, Order(data.labels, BATCH, seed=0), CLASSIC.augment)(0)
    plain = PlainLoop(classifier, passes)
    trainer = Trainer(classifier, replace(CLASSIC, adversary=name), seed=0)
    numbers = itertools.count()
    works: dict[str, Callable[[], object]] = {
        "ours": lambda: trainer.step(ready, next(numbers), CLASSIC.lr),
        "plain": lambda: plain.step(ready),
    }
    taken = in_turn(works, runs)
    note = f"medians of single steps of classic_cnn, float32, batch {BATCH}"
    return faster(f"a step under {name}", taken["ours"], taken["plain"], "plain loop", goal=0.95, n=runs, note=note)


def main() -> None:
    given = arguments(__doc__ or "")

    def figures() -> Iterator[Figure]:
        for name, passes in ADVERSARIES.items():
            if given.only in name:
                yield step_of(name, passes, 3 if given.quick else 25)

    show(figures())


if __name__ == "__main__":
    main()
