"""One training step: forward, backward, move; all that changes in it is one state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from backlight.classifier import Classifier
from backlight.classifier.returned import call_module, named_as_the_models
from backlight.core.chunks import is_out_of_memory
from backlight.core.errors import BacklightError, ModelError
from backlight.core.processes import Engine
from backlight.core.random import Random, generator_seed
from backlight.train.adversary import Adversary
from backlight.train.average import Average
from backlight.train.batches import TrainingBatch
from backlight.train.layers import freeze, hold_frozen, rest_frozen
from backlight.train.losses import read_loss
from backlight.train.optimizers import Optimizer
from backlight.train.recipe import Recipe


class Outcome(NamedTuple):
    """This process's part of a step's mean loss, and how many pictures it got right; not yet read from the device."""

    loss: Tensor
    correct: Tensor
    top5: Tensor


class Trainer:
    """Train a classifier's module, step by step; its weights, optimizer and average are the state.

    With `head` only that layer is called, on what enters it, in place of the module on pictures. A batch that does
    not fit into memory is computed in halves, then quarters; the gradient stays that of the whole batch. Several
    processes share the mean of their gradients, and the main one's statistics.

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
    ) -> None:
        self.classifier, self.recipe, self.seed = classifier, recipe, seed
        self.module = classifier.module
        self.engine = engine or Engine(classifier.device)
        self.frozen = freeze(self.module, recipe.freeze)
        hold_frozen(self.module, self.frozen)
        self.head, self.autocast = head, autocast
        # Wrapped after freezing: several processes would wait for gradients that never come.
        self.network = self.engine.parallel(self.module if head is None else self.module.get_submodule(head))
        self.adversary = Adversary.read(recipe.adversary) if recipe.adversary else None
        self.loss = read_loss(recipe.loss, recipe.label_smoothing)
        self.class_weights = None if class_weights is None else class_weights.to(classifier.device)
        self.optimizer = Optimizer(self.module, recipe)
        self.average = Average(self.module, recipe.ema) if recipe.ema else None
        self.parts = recipe.accumulate
        # Statistics of one picture are no statistics: with BatchNorm a part is never made as small as that.
        self.least = 2 if any(isinstance(one, _BatchNorm) for one in self.module.modules()) else 1

    def step(self, batch: TrainingBatch, number: int, rate: float) -> Outcome:
        """Take a step: its `number` keys the random numbers that layers such as dropout draw."""
        self.module.train()
        rest_frozen(self.module, self.frozen)
        if self.adversary is not None:
            batch = self._attacked(batch, number)
        outcome = self._accumulate(batch, number)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.module.parameters(), self.recipe.clip)
        self.optimizer.step(rate)
        self.engine.broadcast(list(self.module.buffers()))
        if self.average is not None:
            self.average.update(self.module)
        return outcome

    @property
    def evaluated(self) -> nn.Module:
        """Return the module that is evaluated and kept: the average where there is one."""
        return self.module if self.average is None else self.average.module

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes from step to step, as tensors and plain data."""
        average = None if self.average is None else self.average.state_dict()
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": average,
            "parts": self.parts,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take a state back."""
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.parts = int(state["parts"])

    def _accumulate(self, batch: TrainingBatch, number: int) -> Outcome:
        """Sum the gradient over the parts of a batch, in more parts when memory runs out."""
        buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        while True:
            try:
                with self._random_layers(number):
                    return self._backward(batch)
            except (RuntimeError, MemoryError, BacklightError) as error:
                if not (is_out_of_memory(error) and self._can_halve(len(batch.rows))):
                    raise
            # Outside of the handler the frames of the failed attempt, and their tensors, are gone.
            self.parts *= 2
            self.module.zero_grad()
            with torch.no_grad():
                for buffer, saved in buffers:
                    buffer.copy_(saved)

    def _backward(self, batch: TrainingBatch) -> Outcome:
        total, correct, top5 = batch.images.new_zeros(()), batch.labels.new_zeros(()), batch.labels.new_zeros(())
        cuts = even_cuts(len(batch.rows), self.parts)
        for part in cuts:
            with self._gathered_only(part is cuts[-1]):
                logits = self._logits(batch.images[part])
                losses = batch.losses(logits, part, self.loss, self.class_weights)
                loss = losses.sum() / batch.size
                self._differentiate(loss)
            total = total + loss.detach()
            hits = logits.detach().topk(min(5, logits.shape[1])).indices == batch.labels[part, None]
            correct, top5 = correct + hits[:, 0].sum(), top5 + hits.sum()
        return Outcome(total, correct, top5)

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

    def _attacked(self, batch: TrainingBatch, number: int) -> TrainingBatch:
        assert self.adversary is not None
        random = Random((self.seed, "adversary"), batch.keys, number)
        return replace(batch, images=self.adversary.attack(self.classifier, batch.images, batch.labels, random))

    def _random_layers(self, number: int) -> AbstractContextManager[object]:
        return _seeded(self.classifier.device, generator_seed((self.seed, "layers", number)))


def even_cuts(count: int, parts: int) -> list[slice]:
    """Cut `count` pictures into parts whose sizes differ by one at most, none empty.

    >>> [cut.stop - cut.start for cut in even_cuts(7, 3)]
    [3, 2, 2]
    """
    parts = min(parts, count)
    stops = [-(-count * number // parts) for number in range(parts + 1)]
    return [slice(start, stop) for start, stop in zip(stops, stops[1:])]


@contextmanager
def _seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed the generators that layers draw from, and put them back: a step's draws depend on its number only."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[device.index or 0].manual_seed(seed)
        yield
