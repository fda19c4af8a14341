"""What a run found: per image the best picture, why it stopped and what it cost."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from enum import IntEnum

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.pixels.geometry import per_image


class Stopped(IntEnum):
    """Describe why an image left the run.

    >>> Stopped.NON_FINITE.words
    'non-finite'
    """

    NOT_RUN = 0
    RUNNING = 1
    STOPPED = 2
    """The stop measure held."""
    STEPS = 3
    """All steps were taken."""
    CONVERGED = 4
    """The rule had nothing left to gain."""
    NON_FINITE = 5
    """The objective or its gradient was NaN or infinite."""
    DIVERGED = 6
    """The rule found its steps too large."""
    UNDEFINED = 7
    """The classifier had no prediction for it: NaN, infinite, or nothing but -inf."""

    @property
    def words(self) -> str:
        """Return the reason in lower case."""
        return self.name.lower().replace("_run", " run").replace("_", "-")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """Hold what was found for each of the B images of the batch.

    Images that did not run (`stopped` says so) have black pictures and no score.

    >>> blank = Result.blank(torch.zeros(2, 3, 4, 4))
    >>> blank
    Result(2 images, 0 successes; 2 not run)
    """

    images: Tensor
    """The kept pictures `[B,C,H,W]`; an answer is always kept before a picture that is none."""
    value: Tensor
    """The objective at the kept picture `[B]`."""
    score: Tensor
    """What decided which picture is kept `[B]`, higher is better; -inf where none was."""
    success: Tensor
    """Whether the kept picture is an answer, bool `[B]`: a claim that the caller judges again."""
    stopped: Tensor
    """Why each image left, a number of `Stopped` `[B]`."""
    steps: Tensor
    """The turn of the last look `[B]`."""
    forwards: Tensor
    backwards: Tensor
    zero_grads: Tensor
    """How many gradients were zero all over, or NaN or infinite, `[B]`: a sign of masked gradients."""

    @classmethod
    def blank(cls, images: Tensor) -> Result:
        """Start a result for a batch like `images` in which nothing ran yet."""
        count = len(images)
        zeros = [torch.zeros(count, dtype=torch.int64, device=images.device) for _ in range(5)]
        nothing = images.new_zeros(count)
        return cls(torch.zeros_like(images), nothing + torch.nan, nothing - torch.inf, nothing.bool(), *zeros)

    def __len__(self) -> int:
        return len(self.success)

    def __repr__(self) -> str:
        counts = Counter(self.reasons())
        why = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
        return f"Result({len(self)} images, {int(self.success.sum())} successes{'; ' if why else ''}{why})"

    def reasons(self) -> tuple[str, ...]:
        """Describe in words why each image left."""
        return tuple(Stopped(code).words for code in self.stopped.tolist())

    def merge(self, new: Result) -> Result:
        """Keep per image the better of two runs, success first, then score; what they cost adds up.

        Where `new` did not run an image, everything stays; where it did, its reason and steps are the later.

        Raises InputError when the two are not of the same batch.

        >>> blank = Result.blank(torch.zeros(2, 3, 4, 4))
        >>> blank.merge(blank)
        Result(2 images, 0 successes; 2 not run)
        """
        if self.images.shape != new.images.shape:
            raise InputError(
                f"results for images {list(self.images.shape)} and {list(new.images.shape)}", expected="the same batch"
            )
        ran = new.stopped != Stopped.NOT_RUN
        use = ran & better(new.success, new.score, self.success, self.score)
        merged = {}
        for name in (field.name for field in fields(self)):
            old, other = getattr(self, name), getattr(new, name)
            if name in ("forwards", "backwards", "zero_grads"):
                merged[name] = old + other
            else:
                chosen = ran if name in ("stopped", "steps") else use
                merged[name] = torch.where(per_image(chosen, other), other, old)
        return Result(**merged)


def better(success: Tensor, score: Tensor, kept_success: Tensor, kept_score: Tensor) -> Tensor:
    """Decide per image whether a picture beats the kept one: an answer beats none, then the score counts.

    >>> one = torch.tensor([1.0])
    >>> better(torch.tensor([True]), 0 * one, torch.tensor([False]), one)
    tensor([True])
    """
    return (success & ~kept_success) | ((success == kept_success) & (score > kept_score))
