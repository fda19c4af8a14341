"""CROWN: linear functions of the input that lie below a network's outputs, found from the output backwards."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlight.bounds.intervals import Interval
from backlight.bounds.steps import Step


def lower_bounds(
    steps: Sequence[Step], intervals: Sequence[Interval], rows: Tensor, at: int, *, stop: int | None = None
) -> Tensor:
    """Return what `rows` `[B,S,...]` times the output of step `at` are at least, while the input stays in its box.

    `intervals` bound every step before `at`. A ReLU between l < 0 < u lies under the line u / (u - l) (z - l) and above
    z where u > -l, else above 0; a maximum lies above the value whose lower end is largest, and below its own upper
    end. The walk ends at the input, or at step `stop`, whose interval then takes the input's place; every path must go
    through that. It is differentiable where gradients are recorded.

    Source: Zhang et al. 2018, arXiv:1811.00866. Returns `[B,S]`.

    >>> from torch import nn
    >>> from backlight.bounds.intervals import propagate
    >>> from backlight.bounds.steps import steps_of
    >>> steps = steps_of(nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2)))
    >>> found = propagate(steps, Interval(torch.zeros(1, 2), torch.ones(1, 2)))
    >>> lower_bounds(steps, found, torch.eye(2)[None], 3).shape
    torch.Size([1, 2])
    """
    end = 0 if stop is None else stop
    waiting = {at: rows}
    constant = rows.new_zeros(rows.shape[:2])
    for place in range(at, end, -1):
        if place not in waiting:
            continue
        step, coefficients = steps[place], waiting.pop(place)
        inputs = [intervals[one] for one in step.inputs]
        back, added = _BACK[step.kind](step, coefficients, inputs)
        constant = constant + added
        for source, part in zip(step.inputs, back, strict=True):
            waiting[source] = waiting[source] + part if source in waiting else part
    return constant + _least(waiting[end], intervals[end])


def _least(coefficients: Tensor, box: Interval) -> Tensor:
    """Return the least value of linear functions `[B,S,...]` over boxes `[B,...]`."""
    lower, upper = box.lower[:, None], box.upper[:, None]
    return (coefficients.clamp(min=0) * lower + coefficients.clamp(max=0) * upper).flatten(2).sum(2)


def _affine(step: Step, coefficients: Tensor, inputs: Sequence[Interval]) -> tuple[list[Tensor], Tensor]:
    """Carry coefficients through an affine step: its own transpose, and its bias as a constant."""
    flat = coefficients.flatten(0, 1)
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        zeros = [one.lower.new_zeros(len(flat), *one.lower.shape[1:]).requires_grad_() for one in inputs]
        output = step.apply(*zeros)
        back = torch.autograd.grad(output, zeros, flat.reshape(output.shape), create_graph=keep)
    bias = step.apply(*(one.lower.new_zeros(1, *one.lower.shape[1:]) for one in inputs))
    added = (coefficients * bias.reshape(1, 1, *coefficients.shape[2:])).flatten(2).sum(2)
    return [part.unflatten(0, coefficients.shape[:2]) for part in back], added


def _relu(step: Step, coefficients: Tensor, inputs: Sequence[Interval]) -> tuple[list[Tensor], Tensor]:
    """Put the line below a ReLU where its coefficient is positive, and the line above where it is negative."""
    lower, upper = inputs[0].lower[:, None], inputs[0].upper[:, None]
    above = upper.clamp(min=0) / (upper.clamp(min=0) - lower.clamp(max=0)).clamp(min=1e-12)
    below = (upper > -lower).to(above)
    negative = coefficients.clamp(max=0)
    added = -(negative * above * lower.clamp(max=0)).flatten(2).sum(2)
    return [coefficients.clamp(min=0) * below + negative * above], added


def _maximum(step: Step, coefficients: Tensor, inputs: Sequence[Interval]) -> tuple[list[Tensor], Tensor]:
    """Put one of a maximum's values below it, and a constant above it."""
    shape = coefficients.shape[:2]
    positive = coefficients.clamp(min=0).flatten(0, 1)
    lower = inputs[0].lower[:, None].expand(*shape, *inputs[0].lower.shape[1:]).flatten(0, 1).detach()
    keep = torch.is_grad_enabled()
    with torch.enable_grad():
        values = lower.clone().requires_grad_()
        (back,) = torch.autograd.grad(step.apply(values), values, positive, create_graph=keep)
    added = (coefficients.clamp(max=0) * step.apply(inputs[0].upper)[:, None]).flatten(2).sum(2)
    return [back.unflatten(0, shape)], added


_BACK = {"affine": _affine, "relu": _relu, "max": _maximum}
