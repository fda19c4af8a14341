"""Metrics that perturb the image a little: infidelity and max-sensitivity."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from backlight.explain.scores.judge import Explainer, Judge

SAMPLES = 10
NOISE = 0.05
RADIUS = 0.02


def infidelity(judge: Judge, maps: Tensor) -> Tensor:
    """Return how badly the map predicts the change of the logit under noise, 0 to 1 and lower is better, [B].

    Yeh et al. (2019), equation 2, with the map's best scale (their equation 3), as a share of what an empty map
    would get: maps of any unit compare. 10 draws of Gaussian noise of deviation 0.05, keyed by image. NaN where
    noise changes nothing.
    """
    shape = judge.images.shape[1:]
    before = judge.outputs(lambda rows, _: judge.images[rows], 1, logit=True)
    changes, predictions = [], []
    for sample in range(SAMPLES):
        drawn = judge.random.fork(("infidelity", sample)).normal(*shape, dtype=judge.images.dtype)
        moved = judge.images - NOISE * drawn.to(judge.images.device)
        changes.append(before - judge.outputs(partial(_take, moved), 1, logit=True))
        # A map of one channel holds for all channels.
        predictions.append(((judge.images - moved).double() * maps.double()).flatten(1).sum(1, keepdim=True))
    change, predicted = torch.cat(changes, 1), torch.cat(predictions, 1)
    scale = (predicted * change).sum(1) / predicted.square().sum(1).clamp(min=1e-300)
    missed = (scale[:, None] * predicted - change).square().sum(1)
    return missed / change.square().sum(1)


def _take(images: Tensor, rows: Tensor, _variant: Tensor) -> Tensor:
    return images[rows]


def max_sensitivity(judge: Judge, maps: Tensor, again: Explainer) -> Tensor:
    """Return the largest relative change of the map when the image moves within 0.02 per value, [B]; lower is better.

    Yeh et al. (2019), equation 5, over 10 uniform draws keyed by image, within [0,1].
    """
    size = maps.double().flatten(1).norm(dim=1)
    worst = torch.zeros_like(size)
    for sample in range(SAMPLES):
        drawn = judge.random.fork(("max_sensitivity", sample)).uniform(
            *judge.images.shape[1:], dtype=judge.images.dtype
        )
        moved = (judge.images + RADIUS * (2 * drawn.to(judge.images.device) - 1)).clamp(0, 1)
        change = again(judge.classifier, moved, sample + 1).double() - maps.double()
        worst = torch.maximum(worst, change.flatten(1).norm(dim=1) / size)
    return worst
