"""What methods work on: a batch of images, the question asked of them, and the passes that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.chunks import Chunk, map_chunks
from backlight.classifier import Classifier
from backlight.errors import UsageError, did_you_mean
from backlight.explain.layout import Layout, find_layout
from backlight.explain.objective import Contrast, Objective, Scorer, resolve_objective
from backlight.explain.recorded import Recorded
from backlight.random import Random
from backlight.recording import LOGITS
from backlight.targets import Target

SPACES = ("pixel", "input")


class Question(NamedTuple):
    """What is asked: which class or function, which quantity of it, and in which space gradients are given.

    >>> Question("top").quantity
    'logit'
    """

    target: Target | Contrast | Scorer
    quantity: str = "logit"
    space: str = "pixel"


class LayerMap(NamedTuple):
    """A recorded layer as a map: activations and gradients `[B,C,h,w]`."""

    name: str
    layout: Layout
    activations: Tensor
    gradients: Tensor


class Session:
    """Answer for one batch of images: one recorded pass, shared, and further passes in chunks, all counted.

    `layers` are recorded in the first pass; `rectify` lets guided rules use it too. Counts are image passes.
    """

    def __init__(
        self,
        classifier: Classifier,
        images: Tensor,
        question: Question,
        *,
        random: Random,
        layers: Sequence[str] = (),
        rectify: bool = False,
        chunk: int | Chunk = 32,
    ) -> None:
        if question.space not in SPACES:
            raise UsageError(f"space {question.space!r}", hint=did_you_mean(question.space, SPACES))
        self.classifier, self.images, self.question = classifier, images, question
        self.random, self.chunk, self.layers = random, Chunk.of(chunk), tuple(layers)
        self.recorded = Recorded(classifier, images, layers, rectify=rectify)
        self.logits = self.recorded.logits.detach()
        self.objective: Objective = resolve_objective(
            classifier, self.logits, question.target, question.quantity, random
        )
        with torch.enable_grad():
            self.graph_score = self.objective.score(self.recorded.logits)
        self.score = self.graph_score.detach()
        self.forwards = len(images)
        self.extra_backwards = 0

    @property
    def backwards(self) -> int:
        """Count the backward passes of images so far."""
        return self.recorded.backwards * len(self.images) + self.extra_backwards

    @property
    def image_size(self) -> tuple[int, int]:
        """Give the images' height and width."""
        return self.images.shape[2], self.images.shape[3]

    def gradient(self, rule: str = "plain") -> Tensor:
        """Give the gradient of the score `[B,C,H,W]` in the space asked for, from the recorded pass."""
        return self.in_space(self.recorded.gradients(self.graph_score, rule)["images"])

    def layer_maps(self) -> list[LayerMap]:
        """Give every recorded layer with its gradient, channels first."""
        gradients = self.recorded.gradients(self.graph_score)
        maps = []
        for name in self.layers:
            output = self.recorded.outputs[name].detach()
            layout = find_layout(self.classifier, name, tuple(output.shape), self.image_size)
            maps.append(LayerMap(name, layout, layout.to_map(output), layout.to_map(gradients[name])))
        return maps

    def in_space(self, gradient: Tensor) -> Tensor:
        """Turn a gradient with respect to pixels into one in the space asked for."""
        return gradient * self._per_channel(self.classifier.std) if self.question.space == "input" else gradient

    def values(self, images: Tensor) -> Tensor:
        """Give pixels in the space asked for: themselves, or normalized."""
        if self.question.space == "pixel":
            return images
        return (images - self._per_channel(self.classifier.mean)) / self._per_channel(self.classifier.std)

    def to_pixels(self, difference: Tensor) -> Tensor:
        """Turn a difference in the space asked for into one of pixels."""
        return difference * self._per_channel(self.classifier.std) if self.question.space == "input" else difference

    def scores(self, images: Tensor, rows: Tensor) -> Tensor:
        """Score changed images `[A,C,H,W]` without gradients; `rows` [A] are their places in the batch."""

        def run(part: Tensor, places: Tensor) -> Tensor:
            with torch.no_grad():
                outputs = self.classifier.record(part, (LOGITS,))
                return self.objective.score(outputs[LOGITS], places)

        self.forwards += len(images)
        return map_chunks(run, images, rows, size=self.chunk)

    def score_gradients(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Score changed images `[A,C,H,W]` and give the pixel gradient too; the caller chunks."""
        with torch.inference_mode(False), torch.enable_grad():
            pixels = images.detach().clone().requires_grad_(True)
            score = self.objective.score(self.classifier.record(pixels, (LOGITS,))[LOGITS], rows)
            (gradient,) = torch.autograd.grad(score.sum(), pixels)
        self.forwards += len(images)
        self.extra_backwards += len(images)
        return score.detach(), gradient

    def _per_channel(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self.images.dtype, device=self.images.device).view(1, -1, 1, 1)
