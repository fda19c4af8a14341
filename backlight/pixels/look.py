"""One look: pictures of some rows, what the objective, its gradient and the verdicts say about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.classifier.gradients import differentiate_one
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.pixels.geometry import length
from backlight.pixels.measure import Measure
from backlight.pixels.problem import Problem
from backlight.pixels.transforms import Transforms
from backlight.pixels.view import View


class Look(NamedTuple):
    """What was seen of A images."""

    images: Tensor
    """The untransformed pictures `[A,C,H,W]`."""
    value: Tensor
    """The objective of the (transformed) view `[A]`; `grad` belongs to it."""
    grad: Tensor | None
    clean: Tensor
    """The objective of the untransformed pictures `[A]`."""
    score: Tensor
    success: Tensor
    stop: Tensor
    well_defined: Tensor
    """Whether the classifier has a prediction for the untransformed pictures."""
    forwards: Tensor
    backwards: Tensor

    def take(self, keep: Tensor) -> Look:
        """Keep some of the images, by a mask."""
        return Look(*(None if one is None else one[keep] for one in self))  # type: ignore[arg-type]

    @property
    def finite(self) -> Tensor:
        """Describe where the objective is a number."""
        found = self.value.isfinite()
        return found if self.clean is self.value else found & self.clean.isfinite()

    @property
    def largest_slope(self) -> Tensor | None:
        """Return each gradient's largest absolute value, NaN or infinity where it holds one."""
        return None if self.grad is None else length(self.grad, "linf")


def look_at(problem: Problem, params: Tensor, rows: Tensor, t: int, chunk: Chunk) -> Look:
    """Look once at every image still here, some at a time; halve that number when memory runs out."""
    random = problem.draws("turn", rows, t)

    def part_of(part: slice) -> Look:
        return _look(problem, params[part], rows[part], t, random.take(part))

    looks = list(in_chunks(part_of, len(rows), chunk))
    if len(looks) == 1:
        return looks[0]
    return Look(*(None if parts[0] is None else torch.cat(parts) for parts in zip(*looks, strict=True)))  # type: ignore[arg-type]


def _look(problem: Problem, params: Tensor, rows: Tensor, t: int, random: Random) -> Look:
    """Look at one chunk; at the last turn only verdicts count, so there is neither gradient nor transform."""
    last = t == problem.steps
    wants = not last and problem.rule.wants_gradient(t)
    at = _Place(problem, params, rows, t)
    if problem.transforms is not None and not last:
        return _blurred(at, wants, problem.transforms, random)
    view, value, grad = at.climb(wants, problem.layers, lambda pictures: pictures)
    return _judge(problem, view, value, grad, value, forwards=bool(problem.layers), backwards=wants)


def _blurred(at: _Place, wants: bool, transforms: Transforms, random: Random) -> Look:
    """Average value and gradient over transformed views, and judge the picture itself in one more forward."""
    problem, samples = at.problem, transforms.samples
    value, grad = at.params.new_zeros(len(at.rows)), torch.zeros_like(at.params) if wants else None
    for draw in range(samples):  # one graph is alive at a time
        show = partial(transforms, random=random, draw=draw)
        _, one, slope = at.climb(wants, problem.objective.layers, show)
        value = value + one / samples
        grad = None if grad is None or slope is None else grad + slope / samples
    forwards = samples * bool(problem.objective.layers)
    view, clean = at.view(at.params, problem.layers), value
    if problem.keep != "last" or problem.success is not None or problem.stop is not None:
        with torch.no_grad():
            clean = problem.objective(view)
        forwards += bool(problem.layers)
    return _judge(problem, view, value, grad, clean, forwards=forwards, backwards=samples * wants)


class _Place(NamedTuple):
    """Where one chunk looks."""

    problem: Problem
    params: Tensor
    rows: Tensor
    t: int

    def view(
        self, params: Tensor, layers: frozenset[str], show: Callable[[Tensor], Tensor] = lambda pictures: pictures
    ) -> View:
        pictures = show(self.problem.parametrization.images(params, self.rows))
        batch = len(self.problem.ids)
        return View(
            self.problem.classifier, pictures, layers=layers, rows=self.rows, batch=batch, t=self.t, params=params
        )

    def climb(
        self, wants: bool, layers: frozenset[str], show: Callable[[Tensor], Tensor]
    ) -> tuple[View, Tensor, Tensor | None]:
        """Return the view, the objective's value there and, where wanted, its gradient in the parameters."""
        with torch.set_grad_enabled(wants):
            leaf = self.params.detach().requires_grad_(wants)
            view = self.view(leaf, layers, show)
            value = self.problem.objective(view)
            if not wants:
                return view, value, None
            if not value.requires_grad and not view.looked_at:  # an objective that does not depend on the picture
                return view, value, torch.zeros_like(leaf)
            # Looked for once: an objective may depend on the picture by its distance alone.
            logits = view.logits if self.t == 0 and view.looked_at and "logits" in layers else None
            return view, value.detach(), differentiate_one(value, leaf, logits=logits)


def _judge(
    problem: Problem, view: View, value: Tensor, grad: Tensor | None, clean: Tensor, *, forwards: int, backwards: int
) -> Look:
    """Judge the untransformed pictures."""
    with torch.no_grad():
        success = _verdict(problem.success, view)
        stop = success if problem.stop is problem.success else _verdict(problem.stop, view)
        if isinstance(problem.keep, Measure):
            score = problem.keep(view)
        else:
            score = clean if problem.keep == "best" else torch.full_like(clean, view.t)
    asked = "logits" in view.layers and view.looked_at
    known = view.well_defined if asked else torch.ones_like(success)
    counts = (torch.full_like(view.rows, count) for count in (forwards, backwards))
    return Look(view.images.detach(), value, grad, clean, score, success, stop, known, *counts)


def _verdict(measure: Measure | None, view: View) -> Tensor:
    if measure is None:
        return torch.zeros_like(view.rows, dtype=torch.bool)
    verdict = measure(view)
    if verdict.dtype != torch.bool:
        raise InputError(f"{measure} gives numbers", expected="yes or no", hint=f"{measure} > 0")
    # Whatever the measure makes of NaN, it answers nothing.
    return verdict & view.well_defined if "logits" in view.layers else verdict
