"""What enters a network: pictures, normalized in their own precision, and the box of all that lie near them."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.bounds.intervals import Interval
from backlight.classifier import Classifier


def normalized(classifier: Classifier, images: Tensor) -> Tensor:
    """Normalize images `[B,C,H,W]` in [0,1] as the classifier does, in the precision that they have.

    >>> from torch import nn
    >>> normalized(Classifier.from_module(nn.Flatten(), mean=0.5, std=0.5), torch.ones(1, 3, 1, 1).double()).flatten()
    tensor([1., 1., 1.], dtype=torch.float64)
    """
    mean, std = (
        torch.tensor(one, dtype=images.dtype, device=images.device) for one in (classifier.mean, classifier.std)
    )
    return (images - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1)


def input_box(classifier: Classifier, images: Tensor, eps: float) -> Interval:
    """Return the box, normalized, of what lies within `eps` (pixel units, linf) of images and in [0,1].

    A picture itself lies in its box even where it leaves [0,1].

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Flatten(), mean=0.0, std=1.0)
    >>> input_box(classifier, torch.full((1, 3, 1, 1), 0.9), 0.2).upper.flatten()
    tensor([1., 1., 1.])
    """
    lower, upper = (images - eps).clamp(min=0).minimum(images), (images + eps).clamp(max=1).maximum(images)
    return Interval(normalized(classifier, lower), normalized(classifier, upper))
