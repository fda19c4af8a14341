"""Certificates by bounds: no picture within eps of this one is named otherwise, for small networks of known layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.bounds import (
    Interval,
    Step,
    checked_steps,
    input_box,
    lower_bounds,
    margins_of,
    normalized,
    private_steps,
    propagate,
    run_steps,
    step_interval,
)
from backlight.bounds.steps import SMOOTH
from backlight.classifier import Classifier
from backlight.core.chunks import in_chunks
from backlight.core.errors import InputError, ModelError, UsageError
from backlight.core.grammar import parse_epsilon
from backlight.table.statistics import wilson

METHODS = ("ibp", "crown")
CERTAIN = 1e-4
"""The least margin that certifies: what rounding may change in single precision is no proof."""
_ROUNDING = 1e-6
"""How far single precision may move a logit, as a share of the picture's largest."""
_TIGHTENED = 2048  # values of a layer, up to which each is bounded by CROWN too
_HELD = 2**24  # coefficients at a time


@dataclass(frozen=True, eq=False)
class BoundCertificates:
    """Hold how far B pictures stay on their labels' side everywhere within `eps`, in linf.

    >>> found = BoundCertificates("ibp", 0.1, torch.tensor([0.5, -0.2]))
    >>> found.certified.tolist()
    [True, False]
    """

    method: str
    eps: float
    """Pixel units of pictures in [0,1]."""
    margin: Tensor
    """A lower bound of the label's logit minus the best other's, float64 `[B]`."""

    @property
    def certified(self) -> Tensor:
        """Tell which pictures are proved to be named by their labels everywhere within eps: bool `[B]`."""
        return self.margin > CERTAIN

    @property
    def share(self) -> tuple[float, tuple[float, float]]:
        """Return the certified accuracy and its 95% interval over pictures (Wilson)."""
        held = int(self.certified.sum())
        return held / len(self.margin), wilson(held, len(self.margin))


def certify_by_bounds(
    classifier: Classifier, images: Tensor, labels: Tensor, *, eps: float | str, method: str = "crown"
) -> BoundCertificates:
    """Bound the margins of images `[B,C,H,W]` in [0,1] over all pictures in [0,1] within `eps` of them in linf.

    `labels` int64 `[B]`; `eps` is in pixel units, as 0.01 or "2/255". `ibp` propagates intervals; `crown` carries
    linear bounds back from the output, with the intervals of layers of up to 2,048 values tightened likewise, and takes
    the better of both, so it certifies at least what `ibp` does. A private copy is bounded, in double precision, after
    its steps have been seen to compute what the network does, on the first image and on random ones.

    Sources: Gowal et al. 2018, arXiv:1810.12715, with the last layer merged with the margin; Zhang et al. 2018,
    arXiv:1811.00866. Raises LayerError that names layers without known bounds, ModelError for networks that branch, are
    hooked into, overwrite what they still read or let the pictures of a batch change each other, InputError for images
    and labels, UsageError for settings.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> classifier = Classifier.from_module(net, size=2)
    >>> certify_by_bounds(classifier, torch.rand(3, 3, 2, 2), torch.tensor([0, 1, 1]), eps="2/255").margin.shape
    torch.Size([3])
    """
    if method not in METHODS:
        raise UsageError(f"method {method!r}", expected=" or ".join(METHODS))
    size = parse_epsilon(eps)
    images, labels = classifier.check(images), torch.as_tensor(labels, device=classifier.device)
    if labels.shape != images.shape[:1] or labels.is_floating_point():
        raise InputError(f"labels are {labels.dtype} {list(labels.shape)}", expected=f"int64 [{len(images)}]")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < classifier.classes:
        raise InputError(f"labels from {int(labels.min())} to {int(labels.max())}", expected="numbers of classes")
    # What is made under inference_mode could not be carried backwards.
    with torch.inference_mode(False), torch.no_grad():
        steps, widest = checked_steps(classifier, images[:1])
        per_picture = max(1, _HELD // max(1, widest * classifier.classes))
        parts = in_chunks(
            lambda part: _margins(classifier, steps, images[part], labels[part], size, method), len(images), per_picture
        )
        margins = [*parts] or [torch.zeros(0, dtype=torch.float64)]
    return BoundCertificates(method, size, torch.cat(margins).cpu())


def check_bounds(classifier: Classifier) -> None:
    """Raise LayerError or ModelError, as `certify_by_bounds` does, for a network that no bounds are known for.

    >>> from torch import nn
    >>> check_bounds(Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2))
    """
    private_steps(classifier)


def _margins(
    classifier: Classifier, steps: Sequence[Step], images: Tensor, labels: Tensor, eps: float, method: str
) -> Tensor:
    """Return the least margin of each picture, float64 `[A]`."""
    pixels = images.to(torch.float64, copy=True)
    box = input_box(classifier, pixels, eps)
    intervals = propagate(steps, box)
    found = margins_of(steps, intervals, labels, linear=False)
    if method == "crown":
        intervals = _tightened(steps, box)
        for linear in (False, True):
            found = torch.maximum(found, margins_of(steps, intervals, labels, linear=linear))
    values = run_steps(steps, normalized(classifier, pixels))
    _check_inside(values, intervals)
    return found.amin(1) - _ROUNDING * values[-1].abs().amax(1)


def _check_inside(values: Sequence[Tensor], intervals: Sequence[Interval]) -> None:
    """Raise ModelError where a picture's own values leave their bounds: then these bound something else."""
    for value, interval in zip(values, intervals, strict=True):
        slack = _ROUNDING * (1 + value.abs())
        if ((value < interval.lower - slack) | (value > interval.upper + slack)).any():
            raise ModelError("its values leave the bounds of its layers", hint=SMOOTH)


def _tightened(steps: Sequence[Step], box: Interval) -> list[Interval]:
    """Propagate intervals, and bound what enters a ReLU by linear functions too where it holds few values."""
    found = [box]
    entering = {step.inputs[0] for step in steps if step.kind == "relu"}
    for place, step in enumerate(steps[1:], 1):
        own = step_interval(step, [found[one] for one in step.inputs])
        found.append(own)
        if place in entering and step.kind == "affine" and own.lower[0].numel() <= _TIGHTENED:
            found[place] = own.within(_linear_interval(steps, found, place))
    return found


def _linear_interval(steps: Sequence[Step], intervals: Sequence[Interval], place: int) -> Interval:
    own = intervals[place].lower
    count, shape = own[0].numel(), own.shape[1:]
    at_once = max(1, _HELD // max(1, len(own) * max(one.lower[0].numel() for one in intervals)))
    ends: list[list[Tensor]] = [[], []]
    for rows in torch.eye(count, dtype=own.dtype, device=own.device).split(at_once):
        asked = rows.view(1, len(rows), *shape).expand(len(own), *[-1] * (len(shape) + 1))
        ends[0].append(lower_bounds(steps, intervals, asked, place))
        ends[1].append(-lower_bounds(steps, intervals, -asked, place))
    lower, upper = (torch.cat(one, 1).view(own.shape) for one in ends)
    return Interval(lower, upper)
