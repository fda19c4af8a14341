"""Adversarial training: what pictures are attacked by before the step that learns from them, and what is learned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.pixels.ascent import Ascent
from backlight.train.pairs import PairLoss
from backlight.train.replays import Replays
from backlight.train.worst_case import WorstCase


class InnerAttack(Protocol):
    """Change pictures so that a classifier, which is held in evaluation mode, gets them wrong."""

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random, *, strength: float
    ) -> Tensor:
        """Return pictures `[B,C,H,W]`; `strength` is the share of its size that the attack may use, above 0 to 1."""
        ...


@dataclass(frozen=True)
class Adversary:
    """Attack training pictures by `inner`, and learn from what it finds.

    `pairs` is the loss of clean and attacked pictures together; without one the recipe's loss of the attacked ones is
    learned from. `share` of the pictures are attacked, drawn anew at each step; `blend` is the weight of the attacked
    picture in its average with the clean one. `awp` perturbs the weights too, each matrix and filter by so much of its
    own norm, from the share `awp_start` of all steps on. `ramp`: share of all steps over which the attack grows to its
    size. With `replays` in place of `inner` each batch is learned from several times; one pass gives both gradients.
    With `worst_case` pictures are not attacked: the loss is that of the worst that bounds allow.

    `read_adversary` reads one from text. Raises UsageError for values that make no sense.

    >>> from backlight.train.adversaries import read_adversary
    >>> read_adversary("trades:beta=6,awp=0.005").awp
    0.005
    """

    inner: InnerAttack | None = None
    pairs: PairLoss | None = None
    replays: Replays | None = None
    worst_case: WorstCase | None = None
    share: float = 1.0
    blend: float = 1.0
    awp: float = 0.0
    awp_start: float = 0.0
    ramp: float = 0.0

    def __post_init__(self) -> None:
        for name in ("share", "blend", "awp", "awp_start", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}={getattr(self, name)}", expected="0 to 1")
        if sum(one is not None for one in (self.inner, self.replays, self.worst_case)) != 1:
            raise UsageError("an adversary", expected="one of an inner attack, replays and a worst case")
        if self.worst_case is not None and (self.share, self.blend) != (1, 1):
            raise UsageError("bounds with share or blend", expected="neither: kappa is the weight of the clean picture")
        if self.replays is not None and (self.share, self.blend, self.awp) != (1, 1, 0):
            raise UsageError("free with share, blend or awp", expected="none of them: one pass gives both gradients")

    @property
    def ascent(self) -> Ascent | None:
        """Return the ball that pictures are attacked in, or proved about; None for a function that does not tell."""
        found = getattr(self.inner or self.replays or self.worst_case, "ascent", None)
        return found if isinstance(found, Ascent) else None

    def strength(self, done: float) -> float:
        """Return the share of its size that the attack has when a share of all steps is done.

        >>> from backlight.train.adversaries import read_adversary
        >>> read_adversary("pgd:ramp=0.5").strength(0.125)
        0.25
        """
        return min(1.0, done / self.ramp) if self.ramp else 1.0

    def perturbs_weights(self, done: float) -> bool:
        """Whether the weights are perturbed too when a share of all steps is done."""
        return self.awp > 0 and done >= self.awp_start

    def attack(
        self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random, *, strength: float = 1.0
    ) -> Tensor:
        """Return pictures `[B,C,H,W]` to train on in place of `images`; `random` holds the pictures' keys.

        The model is attacked in evaluation mode and left as it was: its normalization statistics too.

        >>> from torch import nn
        >>> from backlight.train.adversaries import read_adversary
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        >>> images, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 0, 1])
        >>> adversary = read_adversary("pgd:eps=0.1,steps=2")
        >>> found = adversary.attack(Classifier.from_module(net, size=2), images, labels, Random(0, labels))
        >>> bool((found - images).abs().max() <= 0.1 + 1e-6)
        True
        """
        chosen = (random.uniform(stream="share") < self.share).nonzero()[:, 0]
        if self.inner is None or not len(chosen):
            return images
        if len(chosen) == len(images):
            return self._changed(classifier, images, labels, random, strength)
        found = self._changed(classifier, images[chosen], labels[chosen], random.take(chosen), strength)
        return images.index_copy(0, chosen.to(images.device), found)

    def _changed(
        self, classifier: Classifier, clean: Tensor, labels: Tensor, random: Random, strength: float
    ) -> Tensor:
        assert self.inner is not None
        with classifier.guard():
            found = self.inner(classifier, clean, labels, random, strength=strength)
        if not isinstance(found, Tensor) or found.shape != clean.shape:
            seen = f"shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
            raise InputError(f"the adversary returned {seen}", expected=f"pictures {list(clean.shape)}")
        return torch.lerp(clean, found.detach().to(clean), self.blend)


@dataclass(frozen=True)
class Plain:
    """Make an inner attack of a function of classifier, pictures, labels and keyed random numbers.

    `strength` is handed to functions that take it.

    >>> flat = Plain(lambda classifier, images, labels, random: images.mean((2, 3), keepdim=True).expand_as(images))
    >>> flat(None, torch.rand(2, 3, 4, 4), torch.zeros(2), Random(0, [0, 1]), strength=1.0).shape
    torch.Size([2, 3, 4, 4])
    """

    function: Callable[..., Tensor]
    ramps: bool = False

    def __call__(
        self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random, *, strength: float
    ) -> Tensor:
        """Return what the function returns."""
        more = {"strength": strength} if self.ramps else {}
        return self.function(classifier, images, labels, random, **more)
