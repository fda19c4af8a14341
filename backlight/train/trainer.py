"""One training step: forward, backward, move; all that changes in it is one state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from backlight.classifier import Classifier
from backlight.classifier.returned import call_module, named_as_the_models
from backlight.core.chunks import is_out_of_memory
from backlight.core.errors import BacklightError, ModelError
from backlight.core.processes import Engine
from backlight.core.random import Random, Seed, generator_seed
from backlight.train.adversaries import read_adversary
from backlight.train.average import Average
from backlight.train.awp import perturbed
from backlight.train.batches import TrainingBatch
from backlight.train.layers import freeze, hold_frozen, rest_frozen
from backlight.train.losses import read_loss
from backlight.train.optimizers import Optimizer
from backlight.train.recipe import Recipe
from backlight.train.replays import Carried
from backlight.train.teacher import Teacher
from backlight.train.worst_case import WorstCaseLoss


class Outcome(NamedTuple):
    """This process's part of a step's mean loss, and how many pictures it got right; not yet read from the device."""

    loss: Tensor
    correct: Tensor
    top5: Tensor


class Trainer:
    """Train a classifier's module, step by step; its weights, optimizer and average are the state.

    With `head` only that layer is called, on what enters it, in place of the module on pictures. A batch that does
    not fit into memory is computed in halves, then quarters; the gradient stays that of the whole batch. Several
    processes share the mean of their gradients, and the main one's statistics. `total` counts the run's steps, for what
    grows or begins along the way; 0 where nothing does. A `teacher` is asked about the unattacked pictures.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> trainer = Trainer(Classifier.from_module(net, size=2), Recipe(lr=0.1), seed=0)
    >>> keys = torch.arange(4)
    >>> batch = TrainingBatch(torch.rand(4, 3, 2, 2), keys % 2, keys, keys, size=4)
    >>> trainer.step(batch, 0, rate=0.1).correct.shape
    torch.Size([])
    """

    def __init__(
        self,
        classifier: Classifier,
        recipe: Recipe,
        *,
        seed: int,
        head: str | None = None,
        engine: Engine | None = None,
        autocast: torch.dtype | None = None,
        class_weights: Tensor | None = None,
        total: int = 0,
        teacher: Teacher | None = None,
    ) -> None:
        self.classifier, self.recipe, self.seed, self.total = classifier, recipe, seed, total
        self.module = classifier.module
        self.engine = engine or Engine(classifier.device)
        self.frozen = freeze(self.module, recipe.freeze)
        hold_frozen(self.module, self.frozen)
        self.head, self.autocast = head, autocast
        # Wrapped after freezing: several processes would wait for gradients that never come.
        self.network = self.engine.parallel(self.module if head is None else self.module.get_submodule(head))
        self.adversary = read_adversary(recipe.adversary) if recipe.adversary else None
        replays = None if self.adversary is None else self.adversary.replays
        self.carried = None if replays is None else Carried(replays, self.engine)
        worst = None if self.adversary is None else self.adversary.worst_case
        self.worst_case = None if worst is None else WorstCaseLoss(classifier, worst)
        self.loss, self.teacher = read_loss(recipe.loss, recipe.label_smoothing), teacher
        self.class_weights = None if class_weights is None else class_weights.to(classifier.device)
        self.optimizer = Optimizer(self.module, recipe)
        self.average = Average(self.module, recipe.ema or 1.0) if recipe.ema or recipe.swa else None
        self.parts = recipe.accumulate
        # Statistics of one picture are no statistics: with BatchNorm a part is never made as small as that.
        self.least = 2 if any(isinstance(one, _BatchNorm) for one in self.module.modules()) else 1

    def step(self, batch: TrainingBatch, number: int, rate: float) -> Outcome:
        """Take a step: its `number` keys the random numbers that layers such as dropout draw."""
        self.module.train()
        rest_frozen(self.module, self.frozen)
        done = (number + 1) / self.total if self.total else 1.0
        if self.teacher is not None:
            batch = replace(batch, taught=self.teacher.logits(batch.images))
        if self.carried is not None:
            return self._replayed(batch, number, rate, done)
        outcome = self._differentiated(self._attacked(batch, number, done), number, done)
        self._move(rate, done)
        return outcome

    def _move(self, rate: float, done: float) -> None:
        """Move the weights along the gradients that were summed, and let the average follow."""
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip)
        self.optimizer.step(rate)
        self.engine.broadcast(list(self.module.buffers()))
        if self.average is not None:
            self.average.update(self.module, begun=done > self.recipe.swa)

    @property
    def evaluated(self) -> nn.Module:
        """Return the module that is evaluated and kept: the average where there is one."""
        return self.module if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes from step to step, as tensors and plain data."""
        average = None if self.average is None else self.average.state_dict()
        state = {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": average,
            "parts": self.parts,
        }
        return state if self.carried is None else {**state, "carried": self.carried.changes}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state back."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        if self.carried is not None:
            self.carried.changes = state["carried"]
        self.parts = int(state["parts"])

    def _differentiated(self, batch: TrainingBatch, number: int, done: float) -> Outcome:
        """Sum the gradient of a batch where the weights are, or where its loss is worse nearby."""
        if self.adversary is None or not self.adversary.perturbs_weights(done):
            return self._accumulate(batch, ("layers", number))
        # The pass that finds the direction leaves no statistics: they are those of the pass that is learned from.
        restore = _buffers_of(self.module)
        outcome = self._accumulate(batch, ("layers", number))
        restore()
        with perturbed(self.module, self.adversary.awp):
            self._accumulate(batch, ("layers", number))
        return outcome

    def _replayed(self, batch: TrainingBatch, number: int, rate: float, done: float) -> Outcome:
        """Learn several times from one batch, whose pictures move by the same passes; tell of the last time."""
        assert self.adversary is not None
        assert self.carried is not None
        strength = self.adversary.strength(done)
        for replay in range(self.carried.replays.count):
            leaf = self.carried.begin(batch.images, size=batch.size, strength=strength)
            outcome = self._accumulate(replace(batch, images=leaf), ("layers", number, replay))
            self.carried.take(leaf)
            self._move(rate, done)
        return outcome

    def _accumulate(self, batch: TrainingBatch, key: tuple[Seed, ...]) -> Outcome:
        """Sum the gradient over the parts of a batch, in more when memory runs out; layers draw by `key`."""
        restore = _buffers_of(self.module)
        while True:
            try:
                with _seeded(self.classifier.device, generator_seed((self.seed, *key))):
                    return self._backward(batch)
            except (RuntimeError, MemoryError, BacklightError) as error:
                if not (is_out_of_memory(error) and self._can_halve(len(batch.rows))):
                    raise
            # Outside of the handler the frames of the failed attempt, and their tensors, are gone.
            self.parts *= 2
            self.module.zero_grad()
            batch.images.grad = None
            restore()

    def _backward(self, batch: TrainingBatch) -> Outcome:
        total, correct, top5 = batch.images.new_zeros(()), batch.labels.new_zeros(()), batch.labels.new_zeros(())
        cuts = even_cuts(len(batch.rows), self.parts)
        for part in cuts:
            with self._gathered_only(part is cuts[-1]):
                logits, losses = self._losses(batch, part)
                loss = losses.sum() / batch.size
                self._differentiate(loss)
            total = total + loss.detach()
            hits = logits.detach().topk(min(5, logits.shape[1])).indices == batch.labels[part, None]
            correct, top5 = correct + hits[:, 0].sum(), top5 + hits.sum()
        return Outcome(total, correct, top5)

    def _losses(self, batch: TrainingBatch, part: slice) -> tuple[Tensor, Tensor]:
        """Return logits and losses of a part of the batch; clean pictures pass together with the attacked ones."""
        own = self.loss
        if self.teacher is not None and batch.taught is not None:
            own = self.teacher.beside(batch.taught[part], own)
        if batch.clean is None:
            images, loss = batch.images[part], own
            logits = self._logits(images)
            if self.worst_case is not None:
                loss = self.worst_case.of(logits, images, loss, strength=batch.strength)
            return logits, batch.losses(logits, part, loss, self.class_weights)
        assert self.adversary is not None
        assert self.adversary.pairs is not None
        both = self._logits(torch.cat([batch.clean[part], batch.images[part]]))
        clean, attacked = both.chunk(2)
        pair_loss = partial(self.adversary.pairs, clean, loss=own)
        return attacked, batch.losses(attacked, part, pair_loss, self.class_weights)

    def _differentiate(self, loss: Tensor) -> None:
        if not loss.requires_grad:
            raise ModelError(
                "the loss depends on no weight by gradients, so nothing can be learned",
                expected="a model without detach(), no_grad, argmax or NumPy between weights and logits",
            )
        with named_as_the_models("asked for the gradient of its loss"):
            # Processes share the mean of their gradients, where the sum is wanted.
            (loss * self.engine.world).backward()

    def _can_halve(self, count: int) -> bool:
        """Whether the parts of a batch may become more: alone, and where they stay large enough."""
        return self.engine.world == 1 and self.parts < count and count // min(2 * self.parts, count) >= self.least

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, self.autocast) if self.autocast else nullcontext():
            inputs = images if self.head else self.classifier.normalize(images)
            width = self.classifier.head.width
            output = call_module(self.network, inputs, width=width).values
        if width is not None and output.shape[1] != width:
            raise ModelError(f"the model returns {output.shape[1]} classes in training", expected=f"{width}, as before")
        return output if output.dtype == torch.float64 else output.float()

    def _gathered_only(self, last: bool) -> AbstractContextManager[object]:
        """Let several processes exchange gradients after the last part of a batch only."""
        if last or not isinstance(self.network, nn.parallel.DistributedDataParallel):
            return nullcontext()
        return self.network.no_sync()

    def _attacked(self, batch: TrainingBatch, number: int, done: float) -> TrainingBatch:
        """Return the batch with the adversary's pictures, and with the clean ones where it learns from both."""
        if self.adversary is None:
            return batch
        random, strength = Random((self.seed, "adversary"), batch.keys, number), self.adversary.strength(done)
        attack = partial(self.adversary.attack, self.classifier, strength=strength)
        # In the parts that the step itself is computed in: what fits there fits here.
        found = torch.cat(
            [
                attack(batch.images[part], batch.labels[part], random.take(part))
                for part in even_cuts(len(batch.rows), self.parts)
            ]
        )
        return replace(batch, images=found, clean=batch.images if self.adversary.pairs else None, strength=strength)


def even_cuts(count: int, parts: int) -> list[slice]:
    """Cut `count` pictures into parts whose sizes differ by one at most, none empty.

    >>> [cut.stop - cut.start for cut in even_cuts(7, 3)]
    [3, 2, 2]
    """
    parts = min(parts, count)
    stops = [-(-count * number // parts) for number in range(parts + 1)]
    return [slice(start, stop) for start, stop in zip(stops, stops[1:])]


def _buffers_of(module: nn.Module) -> Callable[[], None]:
    """Keep what a module's buffers hold, and return what puts it back."""
    kept = [(buffer, buffer.clone()) for buffer in module.buffers()]

    def restore() -> None:
        with torch.no_grad():
            for buffer, before in kept:
                buffer.copy_(before)

    return restore


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators that layers draw from, and put them back: a step's draws depend on its number only."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield
