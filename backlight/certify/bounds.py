"""Certificates by bounds: no picture within eps of this one is named otherwise, for small networks of known layers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from backlight.certify.intervals import Interval, propagate, step_interval
from backlight.certify.linear_bounds import lower_bounds
from backlight.certify.steps import Step, steps_of
from backlight.classifier import Classifier
from backlight.core.chunks import in_chunks
from backlight.core.errors import InputError, ModelError, UsageError
from backlight.core.grammar import parse_epsilon
from backlight.table.statistics import wilson

METHODS = ("ibp", "crown")
CERTAIN = 1e-4
"""The least margin that certifies: what rounding may change in single precision is no proof."""
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
    the better of both, so it certifies at least what `ibp` does. A private copy is bounded, in double precision.

    Sources: Gowal et al. 2018, arXiv:1810.12715, with the last layer merged with the margin; Zhang et al. 2018,
    arXiv:1811.00866. Raises LayerError that names layers without known bounds, ModelError for networks that branch,
    InputError for images and labels, UsageError for settings.

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
        module, steps = _private(classifier)
        _check_output(classifier, module, images[:1])
        per_picture = max(1, _HELD // max(1, _widest(module, classifier, images[:1]) * classifier.classes))
        parts = in_chunks(
            lambda part: _margins(classifier, steps, images[part], labels[part], size, method), len(images), per_picture
        )
        margins = [*parts] or [torch.zeros(0, dtype=torch.float64)]
    return BoundCertificates(method, size, torch.cat(margins).cpu())


def check_bounds(classifier: Classifier) -> None:
    """Raise LayerError or ModelError, as `certify_by_bounds` does, for a network that no bounds are known for.

    >>> check_bounds(Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2))
    """
    steps_of(classifier.module)


def margins_of(steps: Sequence[Step], intervals: Sequence[Interval], labels: Tensor, *, linear: bool) -> Tensor:
    """Bound the label's logit minus every other's, infinite for the label itself: `[B,classes]`.

    With `linear` by linear functions down to the input, else by the interval before the last layer, which is merged
    with the margin. It is differentiable, so that a network can be trained on it.

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


def _margins(
    classifier: Classifier, steps: Sequence[Step], images: Tensor, labels: Tensor, eps: float, method: str
) -> Tensor:
    """Return the least margin of each picture, float64 `[A]`."""
    pixels = images.to(torch.float64, copy=True)
    ends = ((pixels - eps).clamp(min=0), (pixels + eps).clamp(max=1))
    box = Interval(*(_normalized(classifier, end) for end in ends))
    intervals = propagate(steps, box)
    found = margins_of(steps, intervals, labels, linear=False)
    if method == "crown":
        intervals = _tightened(steps, box)
        for linear in (False, True):
            found = torch.maximum(found, margins_of(steps, intervals, labels, linear=linear))
    return found.amin(1)


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


def _private(classifier: Classifier) -> tuple[nn.Module, tuple[Step, ...]]:
    """Copy the module in double precision, and list its steps."""
    module = copy.deepcopy(classifier.module).double().eval().requires_grad_(False)
    return module, steps_of(module)


def _normalized(classifier: Classifier, images: Tensor) -> Tensor:
    mean, std = (
        torch.tensor(one, dtype=torch.float64, device=images.device) for one in (classifier.mean, classifier.std)
    )
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def _check_output(classifier: Classifier, module: nn.Module, image: Tensor) -> None:
    """Compare what is bounded with what the classifier answers: its logits may be made of the module's output."""
    if not len(image):
        return
    found, logits = module(_normalized(classifier, image.double())), classifier.logits(image).double()
    if (
        not isinstance(found, Tensor)
        or found.shape != logits.shape
        or not torch.allclose(found, logits, 1e-2, 1e-3, equal_nan=True)
    ):
        raise ModelError(
            "its logits are not what its last layer returns",
            expected="a network that returns one logit per class",
            hint="randomized smoothing takes any network",
        )


def _widest(module: nn.Module, classifier: Classifier, image: Tensor) -> int:
    """Count the values of the largest tensor between two layers, of one picture."""
    sizes = [image.numel()]
    holds = [
        part.register_forward_hook(lambda _part, _inputs, output: sizes.append(output.numel()))
        for part in module.modules()
        if not [*part.children()]
    ]
    try:
        if len(image):
            module(_normalized(classifier, image.double()))
    finally:
        for hold in holds:
            hold.remove()
    return max(sizes)
