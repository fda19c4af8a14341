"""Learning one change from many pictures: a short loop of its own, since all pictures share what is moved.

The loop of `backlight.pixels` moves each picture by itself; here their gradients are averaged. Rules and measures are
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count, islice

import torch
from torch import Tensor

from backlight.attack.universal.change import Change
from backlight.attack.universal.request import UniversalRequest
from backlight.classifier import Classifier
from backlight.classifier.gradients import differentiate_one
from backlight.classifier.heads import predicted_classes
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.random import Random, Seed, hash_ids
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.pixels import Measure, Observation, View, clamp, cross_entropy

MOST = 9.0
"""What a picture's cross-entropy counts at most: one that is fooled by far has nothing more to give."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What was learned `[C,...]`, and of each step the mean objective, the share fooled, and whether it was blind.

    `course` is float64 `[steps,3]`; a step is blind where no gradient leads anywhere though some pictures withstand.

    >>> Learned(torch.zeros(3, 4, 4), torch.zeros(2, 3)).course.shape
    torch.Size([2, 3])
    """

    values: Tensor
    course: Tensor


def learn(
    search: Classifier,
    data: Dataset,
    request: UniversalRequest,
    target: int | None,
    *,
    seed: Seed = 0,
    chunk: Chunk | None = None,
    advance: Callable[[int], None] = lambda step: None,
) -> Learned:
    """Learn a change from all pictures of `data`, which are at the model's size and which it names rightly.

    Each step looks at the next few pictures, in an order that is drawn anew for every pass over them, and moves along
    the mean of their gradients. Everything drawn is keyed by (seed, step, id), and gradients are added in that order:
    how many pictures are looked at together (`chunk`) and in which order they come changes nothing. `advance` is told
    the number of every step that is done.

    Raises ModelError for a model without gradients.

    >>> from torch import nn
    >>> from backlight.attack.universal.request import PerturbationRequest
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> data = Dataset.of(torch.zeros(4, 3, 2, 2, dtype=torch.uint8), [0, 0, 0, 0], ["a", "b"])
    >>> asked = PerturbationRequest(eps="8/255", epochs=3)
    >>> learn(Classifier.from_module(net, size=2), data, asked, None).values.abs().max()
    tensor(0.0094)
    """
    with torch.inference_mode(False), torch.no_grad(), search.guard():
        first = data[[0]].images
        kind = torch.float64 if search.dtype == torch.float64 else torch.float32
        begun = request.begin(tuple(first.shape[1:])).to(search.device, kind)
        change, rule = request.change_of(begun), request.rule
        values = change.allowed(begun[None])
        steps, state = request.count_steps(len(data)), rule.init(values, torch.zeros(1, dtype=torch.int64))
        size, course = chunk or Chunk.fitting(first.to(search.device)), []
        for t, rows in enumerate(islice(_turns(data, request.pictures, seed), steps)):
            step = _Step(search, change, values, data[rows], target, t, seed)
            value, gradient, fooled = step.look(size)
            lost = not bool(gradient.isfinite().all()) or not bool(gradient.any())
            course.append((float(value), float(fooled.double().mean()), float(lost and not bool(fooled.all()))))
            seen = Observation(
                t,
                steps,
                values,
                value[None],
                gradient.nan_to_num(0.0, 0.0, 0.0),
                fooled.all()[None],
                Random((seed, "rule"), torch.zeros(1, dtype=torch.int64, device=values.device), t),
                change.allowed,
            )
            moved = rule.step(state, seen)
            values, state = change.allowed(moved.params), moved.state
            advance(t)
    return Learned(values[0].cpu(), torch.tensor(course, dtype=torch.float64))


def _turns(data: Dataset, size: int, seed: Seed) -> Iterator[Tensor]:
    """Yield the rows of the pictures of each step, without end."""
    for epoch in count():
        order = Random((seed, "order"), data.ids, epoch).uniform(1, dtype=torch.float64)[:, 0].argsort(stable=True)
        yield from order.split(size)


@dataclass(frozen=True, eq=False)
class _Step:
    """One look at the pictures of a step."""

    search: Classifier
    change: Change
    values: Tensor
    batch: Batch
    target: int | None
    t: int
    seed: Seed

    @property
    def objective(self) -> Measure:
        # A target that is far off has a large cross-entropy: bounded, its gradient would be zero from the start.
        if self.target is not None:
            return -cross_entropy(self.target)
        return clamp(cross_entropy(self.batch.labels), high=MOST)

    def look(self, chunk: Chunk) -> tuple[Tensor, Tensor, Tensor]:
        """Return the mean objective, its gradient `[1,C,...]`, and which pictures are fooled `[A]`."""
        images = self.batch.images.to(self.values)
        random = Random((self.seed, "learned"), hash_ids(self.batch.ids), self.t).to(images.device)
        parts = list(in_chunks(partial(self._look, images, random, self.objective), len(images), chunk))
        value, gradient, fooled = (torch.cat(one) for one in zip(*parts))
        # One after another, in the order of the pictures: a sum over all may add in another one for another shape.
        total = torch.zeros_like(gradient[0])
        for one in gradient:
            total = total + one
        return value.double().mean(), (total / len(gradient))[None], fooled

    def _look(self, images: Tensor, random: Random, objective: Measure, part: slice) -> tuple[Tensor, Tensor, Tensor]:
        rows = torch.arange(len(images), device=images.device)[part]
        with torch.enable_grad():
            # Each picture has a copy, so that its gradient is known apart from the others'.
            leaf = self.values.expand(len(rows), *self.values.shape[1:]).clone().requires_grad_()
            shown = self.change.show(images[part], leaf, random.take(part))
            view = View(self.search, shown, layers=objective.layers, rows=rows, batch=len(images), t=self.t)
            value = objective(view)
            gradient = differentiate_one(value, leaf, logits=view.logits)
        logits = view.logits.detach()
        return (
            value.detach(),
            gradient,
            fooled(predicted_classes(logits), self.batch.labels.to(rows)[part], self.target),
        )


def fooled(prediction: Tensor, labels: Tensor, target: int | None) -> Tensor:
    """Describe which predicted classes `[A]`, -1 where there is none, are what the attacker wants: bool `[A]`.

    >>> fooled(torch.tensor([0, 1, -1]), torch.tensor([0, 0, 0]), None).tolist()
    [False, True, False]
    """
    wanted = prediction != labels if target is None else prediction == target
    return wanted & (prediction >= 0)
