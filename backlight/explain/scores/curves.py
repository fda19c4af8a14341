"""Metrics that hide or show pixels in the order of a map, or keep what the map lights up."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.explain.methods.baselines import blur, make_baseline
from backlight.explain.scores.judge import Judge, heat_of, ranks

STEPS = 20
BLUR_WIDTH, BLUR_SIGMA = 11, 5.0


def deletion(judge: Judge, maps: Tensor) -> Tensor:
    """Return the area under the probability while the most important pixels turn into the mean color, [B].

    Petsiuk et al. (2018), section 4.1, in 20 equal steps by the trapezoid rule; lower is better.
    """
    gone = make_baseline("mean", judge.images, judge.classifier, judge.random)
    return _area(judge, maps, judge.images, gone)


def insertion(judge: Judge, maps: Tensor) -> Tensor:
    """Return the area under the probability while the most important pixels appear in a blurred image, [B].

    Petsiuk et al. (2018), section 4.1: the blur is 11 pixels wide, of deviation 5; higher is better.
    """
    return _area(judge, maps, blur(judge.images, BLUR_SIGMA, BLUR_WIDTH), judge.images)


def _area(judge: Judge, maps: Tensor, start: Tensor, end: Tensor) -> Tensor:
    place = ranks(judge, maps)
    count = place.shape[1]

    def change(rows: Tensor, step: Tensor) -> Tensor:
        changed = place[rows] < (count * step / STEPS).round()[:, None]
        return torch.where(changed.view(-1, 1, *judge.size), end[rows], start[rows])

    curve = judge.outputs(change, STEPS + 1)
    return (curve.sum(1) - (curve[:, 0] + curve[:, -1]) / 2) / STEPS


def average_drop(judge: Judge, maps: Tensor) -> Tensor:
    """Return the share of the probability that is lost when the image is dimmed by its map, [B]; lower is better.

    Chattopadhyay et al. (2018), section 4.1; the map is scaled to [0,1].
    """
    return ((judge.before - _lit(judge, maps)) / judge.before.clamp(min=1e-12)).clamp(min=0)


def average_increase(judge: Judge, maps: Tensor) -> Tensor:
    """Return 1 or 0: dimming by the map raises the probability, [B]; higher is better.

    Chattopadhyay et al. (2018), section 4.2.
    """
    return (_lit(judge, maps) > judge.before).double()


def _lit(judge: Judge, maps: Tensor) -> Tensor:
    heat = heat_of(maps)[:, None]
    low, high = heat.amin((2, 3), keepdim=True), heat.amax((2, 3), keepdim=True)
    light = torch.where(high > low, (heat - low) / (high - low), 0.0).to(judge.images)
    return judge.outputs(lambda rows, _: judge.images[rows] * light[rows], 1)[:, 0]
