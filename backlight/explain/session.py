"""What methods work on: a batch of images, the question asked of them, and the passes that they share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.gradients import differentiate_one
from backlight.classifier.recording import LOGITS
from backlight.classifier.targets import Target
from backlight.core.chunks import Chunk
from backlight.core.errors import UsageError, did_you_mean
from backlight.core.random import Random
from backlight.explain.attribution import Attribution, Explanations
from backlight.explain.layout import Layout, find_layout
from backlight.explain.objective import Contrast, Objective, Scorer, resolve_objective
from backlight.explain.recorded import Recorded

SPACES = ("pixel", "input")


class Question(NamedTuple):
    """What is asked: which class or function, which quantity of it, and in which space gradients are given.

    >>> Question("top").quantity
    'logit'
    """

    target: Target | Contrast | Scorer
    quantity: str = "logit"
    space: str = "pixel"


class Recording(NamedTuple):
    """What the recorded pass keeps: the layers of class activation maps, the tokens that are read out, what every call
    adds; whether rectifiers are intercepted, and whether the plain gradient at the pixels is wanted, without which the
    backward pass ends at the earliest of the layers.

    >>> Recording(("layer4",)).recorded()
    ('layer4',)
    """

    layers: tuple[str, ...] = ()
    tokens: str = ""
    biases: bool = False
    rectify: bool = False
    pixels: bool = True

    def recorded(self) -> tuple[str, ...]:
        """List every layer that the pass records, each once."""
        return tuple(dict.fromkeys(name for name in (*self.layers, self.tokens) if name))


class LayerMap(NamedTuple):
    """A recorded layer as a map: activations and gradients `[B,C,h,w]`."""

    name: str
    layout: Layout
    activations: Tensor
    gradients: Tensor


class Session:
    """Answer for one batch of images: one recorded pass, shared, and further passes in chunks, all counted.

    `recording` says what the first pass records. Counts are image passes.
    """

    def __init__(
        self,
        classifier: Classifier,
        images: Tensor,
        question: Question,
        *,
        random: Random,
        recording: Recording = Recording(),  # noqa: B008 - an immutable tuple
        chunk: int | Chunk | None = None,
    ) -> None:
        if question.space not in SPACES:
            raise UsageError(f"space {question.space!r}", hint=did_you_mean(question.space, SPACES))
        self.classifier, self.images, self.question = classifier, images, question
        self.random, self.recording = random, recording
        self.chunk = Chunk.fitting(images) if chunk is None else Chunk.of(chunk)
        self.recorded = Recorded(
            classifier,
            images,
            recording.recorded(),
            rectify=recording.rectify,
            attend=bool(recording.tokens),
            offset=recording.biases,
            pixels=recording.pixels,
        )
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
        """Return the images' height and width."""
        return self.images.shape[2], self.images.shape[3]

    def explanations(self, maps: Sequence[Attribution]) -> Explanations:
        """Return these maps with what was asked, and the passes per image so far."""
        target, count = self.objective.target, len(self.images)
        return Explanations(
            images=self.images,
            logits=self.logits,
            score=self.score,
            target=target,
            labels=() if target is None else tuple(self.classifier.label(index) for index in target.tolist()),
            quantity=self.question.quantity,
            space=self.question.space,
            forwards=self.forwards / count,
            backwards=self.backwards / count,
            maps={one.method: one for one in maps},
            head=self.classifier.head,
        )

    def gradient(self, rule: str = "plain") -> Tensor:
        """Return the gradient of the score `[B,C,H,W]` in the space asked for, from the recorded pass."""
        return self.in_space(self.recorded.gradients(self.graph_score, rule)["images"])

    def layer_maps(self) -> list[LayerMap]:
        """Return every recorded layer with its gradient, channels first."""
        gradients = self.recorded.gradients(self.graph_score)
        maps = []
        for name in self.recording.layers:
            output = self.recorded.outputs[name].detach()
            layout = find_layout(self.classifier, name, tuple(output.shape), self.image_size)
            maps.append(LayerMap(name, layout, layout.to_map(output), layout.to_map(gradients[name])))
        return maps

    def in_space(self, gradient: Tensor) -> Tensor:
        """Turn a gradient with respect to pixels into one in the space asked for."""
        return self.in_input_space(gradient) if self.question.space == "input" else gradient

    def values(self, images: Tensor) -> Tensor:
        """Return pixels in the space asked for: themselves, or normalized."""
        return self.normalized(images) if self.question.space == "input" else images

    def in_input_space(self, gradient: Tensor) -> Tensor:
        """Turn a gradient with respect to pixels into one with respect to the normalized input."""
        return gradient * self._per_channel(self.classifier.std)

    def normalized(self, images: Tensor) -> Tensor:
        """Return the normalized input, in the precision of the images."""
        return (images - self._per_channel(self.classifier.mean)) / self._per_channel(self.classifier.std)

    def pixels(self, values: Tensor) -> Tensor:
        """Return back the pixels of values in the space asked for."""
        if self.question.space != "input":
            return values
        return values * self._per_channel(self.classifier.std) + self._per_channel(self.classifier.mean)

    def to_pixels(self, difference: Tensor) -> Tensor:
        """Turn a difference in the space asked for into one of pixels."""
        return difference * self._per_channel(self.classifier.std) if self.question.space == "input" else difference

    def scores(self, images: Tensor, rows: Tensor) -> Tensor:
        """Score changed images `[A,C,H,W]` without gradients; `rows` [A] are their places in the batch.

        One pass: the caller chunks.
        """
        with torch.no_grad():
            score = self.objective.score(self.classifier.record(images, (LOGITS,))[LOGITS], rows)
        self.forwards += len(images)
        return score

    def score_gradients(self, images: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Score changed images `[A,C,H,W]` and give the pixel gradient too; the caller chunks."""
        with torch.inference_mode(False), torch.enable_grad():
            pixels = images.detach().clone().requires_grad_(True)
            score = self.objective.score(self.classifier.record(pixels, (LOGITS,))[LOGITS], rows)
            gradient = differentiate_one(score, pixels)
        self.forwards += len(images)
        self.extra_backwards += len(images)
        return score.detach(), gradient

    def _per_channel(self, values: Sequence[float]) -> Tensor:
        return torch.tensor(values, dtype=self.images.dtype, device=self.images.device).view(1, -1, 1, 1)
