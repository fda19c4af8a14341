"""Gradients for dead units: during the first steps a rectifier that would block everything lets some through."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.classifier.rectifiers import Rectifiers, Switch
from backlight.pixels import Measure, View


def redirected(measure: Measure, turns: int = 16) -> Measure:
    """Return the same measure, whose gradient in the first `turns` turns does not die in rectifiers.

    Where an image's whole gradient would be blocked in a ReLU or ReLU6, the part that pushes units back into
    their active range passes (as in lucid, Olah et al. 2017).

    >>> from backlight.pixels import logit
    >>> redirected(logit(3))
    logit(3)
    """

    def values(view: View) -> Tensor:
        if view.t >= turns or not torch.is_grad_enabled():
            return measure(view)
        with Rectifiers(Switch("redirected")):
            return measure(view)

    return Measure(values, repr(measure), layers=measure.layers, binding=measure.binding)
