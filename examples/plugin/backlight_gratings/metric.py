"""A metric of explanations: how few pixels hold the map."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.explain.scores import Metric
from backlight.explain.scores.judge import Judge


def gini(judge: Judge, maps: Tensor) -> Tensor:
    """Return the Gini index of each map's magnitudes, `[B]`: 0 where all pixels count alike, near 1 for one alone."""
    values = maps.abs().sum(1).flatten(1).double().sort(1).values
    count = values.shape[1]
    rank = torch.arange(1, count + 1, dtype=torch.float64, device=values.device)
    return (2 * rank - count - 1).mul(values).sum(1) / (count * values.sum(1))


CARD = Metric(
    "gini",
    gini,
    better="higher",
    reference="Chalasani et al., 2020, arXiv:1810.06583",
    asks="How few pixels hold the map: 0 where all count alike, near 1 where one counts alone.",
)
