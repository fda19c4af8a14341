"""Free adversarial training (Shafahi et al. 2019): one pass gives the gradient of weights and of pixels."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backlight.core.errors import UsageError
from backlight.core.processes import Engine
from backlight.pixels.ascent import Ascent


@dataclass(frozen=True)
class Replays:
    """Learn from each batch `count` times; every time its pictures move by the gradient that the step had anyway.

    `ascent` is the ball and the step. Raises UsageError for a count below 1 and norms whose step is not a sign.

    >>> Replays(8, Ascent("linf", 8 / 255, step_size=8 / 255)).count
    8
    """

    count: int
    ascent: Ascent

    def __post_init__(self) -> None:
        if self.count < 1:
            raise UsageError(f"replays={self.count}", expected="1 or more")
        if self.ascent.norm != "linf" or self.ascent.momentum:
            raise UsageError(f"free in {self.ascent.norm}", expected="linf, without momentum")


class Carried:
    """The changes of a batch's pictures, by their place in it, which the next replay and the next batch go on from.

    All processes together hold the changes of the whole batch, so that any of them can save the state.

    >>> carried = Carried(Replays(2, Ascent("linf", 0.1, step_size=0.1)), Engine(torch.device("cpu")))
    >>> leaf = carried.begin(torch.full((1, 1, 1, 1), 0.5), size=1, strength=1.0)
    >>> leaf.grad = torch.ones_like(leaf)
    >>> carried.take(leaf)
    >>> carried.begin(torch.full((1, 1, 1, 1), 0.5), size=1, strength=1.0)
    tensor([[[[0.6000]]]], requires_grad=True)
    """

    def __init__(self, replays: Replays, engine: Engine) -> None:
        self.replays, self.engine = replays, engine
        self.changes: Tensor | None = None
        self._clean, self._ascent = torch.empty(0), replays.ascent

    def begin(self, images: Tensor, *, size: int, strength: float) -> Tensor:
        """Return the pictures with their changes, cut to the ball and the box, ready for a gradient.

        `size` counts the pictures of all processes, of which `images` are this one's.
        """
        if self.changes is None:
            self.changes = images.new_zeros(size, *images.shape[1:])
        given, mine = self.replays.ascent, self.engine.shard(size).to(images.device)
        step = given.eps if given.step_size is None else given.step_size
        self._clean, self._ascent = images, replace(given, eps=strength * given.eps, step_size=strength * step)
        return self._inside(images + self.changes[mine]).requires_grad_()

    def take(self, leaf: Tensor) -> None:
        """Move the pictures that `begin` returned along their gradients' signs, and keep their changes."""
        assert self.changes is not None
        assert leaf.grad is not None
        assert self._ascent.step_size is not None
        moved = self._inside(leaf.detach() + self._ascent.step_size * leaf.grad.sign())
        whole = torch.zeros_like(self.changes)
        whole[self.engine.shard(len(whole)).to(leaf.device)] = moved - self._clean
        self.changes = self.engine.sum(whole)

    def _inside(self, images: Tensor) -> Tensor:
        return self._ascent.inside(self._clean).project(images, torch.arange(len(images), device=images.device), 0)
