"""Measures of logits and layers that can be climbed: logit, probability, cross-entropy, margin, DLR, activation."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.pixels.describe import brief
from backlight.pixels.measure import Measure
from backlight.pixels.view import View

Classes = int | Tensor
"""A class for all images, or one per image as an integer tensor [B]."""

# Keeps the ratio finite where all logits are equal (Croce and Hein 2020, reference code).
_DLR_FLOOR = 1e-12


def classes_of(view: View, classes: Classes) -> Tensor:
    """Return the class of each image in a view, int64 `[A]`, checked at the first turn.

    Raises InputError for classes that the logits do not have.

    >>> classes_of(View(None, torch.zeros(2, 5), layers=()), 3)
    Traceback (most recent call last):
    backlight.core.errors.LayerError: layer 'logits' was not declared...
    """
    count = view.logits.shape[1]
    picked = torch.as_tensor(view.pick(classes), device=view.images.device)
    if picked.is_floating_point() or picked.dtype == torch.bool or picked.ndim > 1:
        raise InputError(f"classes are {brief(picked)} of {picked.dtype}", expected="integers, one per image [B]")
    if view.t == 0 and len(view) and not bool(((picked >= 0) & (picked < count)).all()):
        raise InputError(f"classes up to {int(picked.max())}, from {int(picked.min())}", expected=f"0 to {count - 1}")
    return picked.long().expand(len(view))


def logit(classes: Classes) -> Measure:
    """Measure the logit of a class; of two classes that share one logit z, -z for the first.

    >>> logit(281)
    logit(281)
    """
    return Measure(
        lambda view: _at(view.head.class_scores(view.logits), classes_of(view, classes)), f"logit({brief(classes)})"
    )


def probability(classes: Classes) -> Measure:
    """Measure the probability of a class, 0 to 1: softmax, or sigmoid of a label among several.

    >>> probability(281) >= 0.9
    probability(281) >= 0.9
    """
    return Measure(
        lambda view: _at(view.head.probabilities(view.logits), classes_of(view, classes)),
        f"probability({brief(classes)})",
    )


def cross_entropy(labels: Classes) -> Measure:
    """Measure the cross-entropy of a class in nats; climbing it leaves the class, `-` comes to it.

    >>> -cross_entropy(3)
    -cross_entropy(3)
    """
    return Measure(
        lambda view: view.head.cross_entropy(view.logits, classes_of(view, labels)),
        f"cross_entropy({brief(labels)})",
    )


def margin(labels: Classes) -> Measure:
    """Measure by how much the label's logit exceeds the best other: below 0 where misclassified.

    >>> margin(0) < 0
    margin(0) < 0
    """
    return Measure(lambda view: _margin(view.logits, classes_of(view, labels)), f"margin({brief(labels)})")


def dlr(labels: Classes) -> Measure:
    """Measure the difference of logits ratio: minus the margin over the largest logit minus the third largest.

    Unchanged when logits are scaled or shifted; above 0 where misclassified (Croce and Hein 2020, equation 6;
    arXiv:2003.01690). Needs at least 3 classes.

    >>> dlr(0)
    dlr(0)
    """

    def ratio(view: View) -> Tensor:
        ordered = _descending(view, 3)
        return -_margin(view.logits, classes_of(view, labels)) / (ordered[:, 0] - ordered[:, 2] + _DLR_FLOOR)

    return Measure(ratio, f"dlr({brief(labels)})")


def dlr_targeted(labels: Classes, targets: Classes) -> Measure:
    """Measure the targeted difference of logits ratio: the target's logit minus the label's, over their scale.

    The scale is the largest logit minus the mean of the third and fourth (Croce and Hein 2020, equation 7;
    arXiv:2003.01690). Needs at least 4 classes.

    >>> dlr_targeted(0, 1)
    dlr_targeted(0, 1)
    """

    def ratio(view: View) -> Tensor:
        ordered = _descending(view, 4)
        gain = _at(view.logits, classes_of(view, targets)) - _at(view.logits, classes_of(view, labels))
        return gain / (ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2 + _DLR_FLOOR)

    return Measure(ratio, f"dlr_targeted({brief(labels)}, {brief(targets)})")


def activation(layer: str, channel: Classes | None = None) -> Measure:
    """Measure the mean of a layer's channel over all positions (of all channels where none is named).

    Channels are the second dimension of `[A,C]` and `[A,C,H,W]`, the last one of token sequences `[A,N,C]`.
    `channel` may differ per image, as an integer tensor [B].

    Raises InputError for a channel that the layer does not have.

    >>> activation("layer4", 12)
    activation('layer4:12')
    """

    def mean(view: View) -> Tensor:
        output = view[layer]
        if output.ndim == 3:
            means = output.mean(1)
        else:
            means = output.flatten(2).mean(2) if output.ndim > 2 else output
        return means.mean(1) if channel is None else _channel(view, means, channel)

    name = layer if channel is None else f"{layer}:{brief(channel)}"
    return Measure(mean, f"activation({name!r})", layers={layer})


def clamp(measure: Measure, low: float | None = None, high: float | None = None) -> Measure:
    """Bound a measure; past a bound its gradient is zero, so nothing more is gained there.

    >>> clamp(logit(3), high=10.0)
    clamp(logit(3), None, 10.0)
    """
    return Measure(
        lambda view: measure(view).clamp(low, high), f"clamp({measure}, {low}, {high})", layers=measure.layers
    )


def hinge(measure: Measure, ceiling: float = 0.0) -> Measure:
    """Reward a measure up to a ceiling and no further, as C&W does (Carlini and Wagner 2017, arXiv:1608.04644).

    >>> hinge(margin(3))
    hinge(margin(3), 0.0)
    """
    return Measure(lambda view: measure(view).clamp(max=ceiling), f"hinge({measure}, {ceiling})", layers=measure.layers)


def _at(values: Tensor, classes: Tensor) -> Tensor:
    return values.gather(1, classes[:, None])[:, 0]


def _margin(logits: Tensor, labels: Tensor) -> Tensor:
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return _at(logits, labels) - others.amax(1)


def _descending(view: View, needed: int) -> Tensor:
    count = view.logits.shape[1]
    if count < needed:
        raise InputError(f"{count} classes", expected=f"at least {needed}", hint="the margin instead of DLR")
    return view.logits.sort(1, descending=True).values


def _channel(view: View, means: Tensor, channel: Classes) -> Tensor:
    picked = torch.as_tensor(view.pick(channel), device=means.device).expand(len(view))
    if view.t == 0 and len(view) and not bool(((picked >= 0) & (picked < means.shape[1])).all()):
        raise InputError(f"channel {brief(channel)}", expected=f"0 to {means.shape[1] - 1}")
    return _at(means, picked)
