"""The margin between a label and every other class, bounded: what is certified, and what a network is trained on."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from backlight.bounds.intervals import Interval
from backlight.bounds.linear_bounds import lower_bounds
from backlight.bounds.steps import Step


def margins_of(steps: Sequence[Step], intervals: Sequence[Interval], labels: Tensor, *, linear: bool) -> Tensor:
    """Bound the label's logit minus every other's, infinite for the label itself: `[B,classes]`.

    With `linear` by linear functions down to the input, else by the interval before the last layer, which is merged
    with the margin. It is differentiable, so that a network can be trained on it.

    >>> from torch import nn
    >>> from backlight.bounds.intervals import propagate
    >>> from backlight.bounds.steps import steps_of
    >>> steps = steps_of(nn.Sequential(nn.Linear(2, 3)))
    >>> found = propagate(steps, Interval(torch.zeros(1, 2), torch.ones(1, 2)))
    >>> margins_of(steps, found, torch.tensor([1]), linear=False)[0, 1]
    tensor(inf, grad_fn=<SelectBackward0>)
    """
    logits = intervals[-1].lower
    own = torch.nn.functional.one_hot(labels, logits.shape[1]).to(logits)
    rows = own[:, None, :] - torch.eye(logits.shape[1]).to(logits)[None]
    last = len(steps) - 1
    merged = steps[last].kind == "affine" and len(steps[last].inputs) == 1
    stop = None if linear else steps[last].inputs[0] if merged else last
    bounds = lower_bounds(steps, intervals, rows, last, stop=stop)
    return bounds.masked_fill(own.bool(), torch.inf)
