"""What every picture-making function gives back, and the one way it runs the loop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.display import Displayed
from backlight.core.errors import InputError, ModelError
from backlight.core.progress import Progress, reporting
from backlight.pixels import Measure, Parametrization, Rule, turns
from backlight.pixels.result import Result
from backlight.pixels.run import Run
from backlight.pixels.view import guarded

Size = int | tuple[int, int] | None
"""One side, (height, width), or None for the model's input size."""


@dataclass(frozen=True, eq=False)
class Frame:
    """The pictures `[B,C,H,W]` after `t` of `total` steps.

    >>> Frame(10, 100, torch.zeros(1, 3, 2, 2)).label
    'iteration 10 / 100'
    """

    t: int
    total: int
    images: Tensor

    @property
    def label(self) -> str:
        """Describe which step this is."""
        return f"iteration {self.t} / {self.total}"


@dataclass(frozen=True, eq=False)
class Term:
    """One part of an objective, or one stage of the work: its value for each picture before and after `[B]`.

    >>> Term("tv", torch.ones(1), torch.zeros(1)).name
    'tv'
    """

    name: str
    before: Tensor
    after: Tensor


@dataclass(frozen=True, eq=False)
class Pictures(Displayed):
    """Pictures `[B,C,H,W]` in [0, 1] made by climbing an objective, and how that went for each of them.

    `start` and `objective` are the objective at the first and the kept look `[B]`, `steps` the steps taken,
    `stopped` says why each ended; `terms` are parts of the objective, `frames` pictures on the way.

    >>> one = torch.zeros(1)
    >>> Pictures(torch.zeros(1, 3, 4, 4), ("tabby",), "logit(281)", one, one + 5, one, ("steps",))
    Pictures(1 of logit(281): tabby)
    """

    images: Tensor
    names: tuple[str, ...]
    formula: str
    start: Tensor
    objective: Tensor
    steps: Tensor
    stopped: tuple[str, ...]
    terms: tuple[Term, ...] = ()
    frames: tuple[Frame, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        return f"Pictures({len(self)} of {self.formula}: {', '.join(self.names[:4])}{', ...' * (len(self) > 4)})"


@dataclass(frozen=True)
class Watch:
    """Look at the pictures every so many steps: `call` gets each Frame; without it they are kept in the result.

    >>> Watch(every=10).call is None
    True
    """

    every: int = 0
    call: Callable[[Frame], None] | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.every < 0:
            raise InputError(f"a picture every {self.every} steps", expected="0 (none) or more")


def climb(
    classifier: Classifier | None,
    objective: Measure,
    parametrization: Parametrization,
    rule: Rule,
    *,
    steps: int,
    names: tuple[str, ...],
    watch: Watch | None = None,
    description: str = "pictures",
    average: float = 0.0,
    **parts: Any,
) -> Pictures:
    """Run the loop of `backlight.pixels` and gather what a person wants to see of it.

    With `average` the pictures are the running mean of all steps, the past weighing that much at each.
    `parts` are the other arguments of `turns`: constraint, transforms, success, stop, keep, random, chunk.

    >>> from backlight.pixels import SGD, Pixels
    >>> bright = Measure(lambda view: view.images.flatten(1).sum(1), "bright", layers=())
    >>> made = climb(None, bright, Pixels(torch.zeros(1, 3, 2, 2)), SGD(0.1), steps=3, names=("gray",))
    >>> round(float(made.images.mean()), 4)
    0.3
    """
    watch = watch or Watch()
    if steps < 1:
        raise InputError(f"{steps} steps", expected="1 or more")
    frames: list[Frame] = []
    mean: dict[int, Tensor] = {}
    start: Tensor | None = None
    runs = turns(classifier, objective, parametrization, rule, steps=steps, **parts)
    with guarded(classifier), reporting(watch.progress, steps + 1, description) as advance:
        next(runs)  # the run before its first look
        for looks, run in enumerate(runs):
            advance()
            start = run.result.value.clone() if start is None else start
            if average:
                _average(mean, run, parametrization, average)
            if watch.every and looks and (looks % watch.every == 0 or not len(run.rows)):
                _show(Frame(looks, steps, run.result.images.clamp(0, 1)), watch, frames)
    result = run.result
    return Pictures(
        images=_kept(result, mean).clamp(0, 1),
        names=names,
        formula=repr(objective),
        start=result.value if start is None else start,
        objective=result.value,
        steps=result.steps,
        stopped=result.reasons(),
        frames=tuple(frames),
    )


def _average(mean: dict[int, Tensor], run: Run, parametrization: Parametrization, weight: float) -> None:
    """Move each picture's running mean towards where it is now."""
    with torch.no_grad():
        for row, picture in zip(run.rows.tolist(), parametrization.images(run.params, run.rows), strict=True):
            mean[row] = torch.lerp(picture, mean[row], weight) if row in mean else picture.clone()


def _kept(result: Result, mean: dict[int, Tensor]) -> Tensor:
    """Take the means of those that came to the end, and the best of those that diverged."""
    pictures = [
        mean[row] if row in mean and reason not in ("diverged", "non-finite", "undefined") else result.images[row]
        for row, reason in enumerate(result.reasons())
    ]
    return torch.stack(pictures) if mean else result.images


def _show(frame: Frame, watch: Watch, frames: list[Frame]) -> None:
    if watch.call is None:
        frames.append(frame)
    else:
        watch.call(frame)


def size_of(classifier: Classifier, size: Size) -> tuple[int, int]:
    """Return height and width: those asked for, or the model's.

    Raises ModelError where the model has none, InputError for sides below 1.

    >>> size_of(Classifier.from_module(torch.nn.Identity()), 32)
    (32, 32)
    """
    if size is None:
        if classifier.size is None:
            raise ModelError("the model's input size is unknown", hint="size=224")
        return classifier.size
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise InputError(f"size {size}", expected="at least 1 x 1")
    return int(height), int(width)
