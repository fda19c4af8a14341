"""Denoising by descent on pixels: the classic exercise, run by the loop that changes pixels."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from backlight.denoise.loss import loss
from backlight.pixels import SGD, Measure, Pixels, Result, View, Watched, optimize
from backlight.pixels.rule import Rule
from backlight.pixels.run import Run

CLASSIC = {"slow": (1.5, 0.9 / 255), "fast": (1.0, 1.0 / 255)}
"""The exercise's presets for l1/l1: alpha, and the learning rate (0.9 and 1 on the scale 0..255)."""


def descend(
    images: Tensor,
    alpha: Tensor,
    *,
    data_norm: str,
    smooth_norm: str,
    lr: float,
    steps: int,
    rule: Rule | None = None,
    watch: Callable[[int, int, Tensor], None] | None = None,
) -> Result:
    """Go down the loss from the noisy pictures by gradient steps of rate `lr`, and keep the best pictures.

    A rate that makes the loss 100 times the first one stops the picture as diverged. Another `rule` replaces the
    plain steps. `watch` is shown the step, `steps` and the best pictures so far.

    >>> import torch
    >>> noisy = torch.rand(1, 1, 8, 8)
    >>> result = descend(noisy, torch.ones(1), data_norm="l2", smooth_norm="l2", lr=0.05, steps=20)
    >>> bool(-result.value < loss(noisy, noisy, 1.0, data_norm="l2", smooth_norm="l2"))
    True
    """

    def negative(view: View) -> Tensor:
        return -loss(view.images, view.pick(images), view.pick(alpha), data_norm=data_norm, smooth_norm=smooth_norm)

    objective = Measure(negative, f"-({data_norm} data + alpha * {smooth_norm} smoothness)", layers=())

    def show(run: Run) -> None:
        if watch is not None and bool(run.result.forwards.any()):  # before the first look there is nothing but a start
            watch(int(run.result.steps.max()), steps, run.result.images)

    return optimize(None, objective, Pixels(images), Watched(rule or SGD(lr)), steps=steps, watch=show)
