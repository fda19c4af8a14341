"""Prove a method of explanation, or a metric of explanations."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.random import Random
from backlight.explain import explain, method
from backlight.explain.choosing import AnyMethod, Method
from backlight.explain.scores import Metric, choose_metrics
from backlight.explain.scores.judge import Judge
from backlight.explain.scores.metrics import AnyMetric
from backlight.testing.setting import (
    COUNT,
    IDS,
    SIDE,
    TOLERANCE,
    from_everywhere,
    global_seed,
    require,
    require_same,
    small_classifier,
    small_pictures,
)

_TARGET = torch.tensor([0, 1, 2, 3])
_BETTER, _NEEDS = ("", "higher", "lower"), ("", "mask", "again")


def check_method(thing: AnyMethod, *, classifier: Classifier | None = None, images: Tensor | None = None) -> None:
    """Prove a method: shapes, finite maps, the same twice, alone and in chunks, the model unchanged.

    `thing` is what `explain` takes. The network has convolutions, BatchNorm and dropout; a method that needs another
    one is proved on a `classifier` and four `images` `[4,C,H,W]` of your own, in double precision.

    Raises AssertionError that says what does not hold, and what `explain` raises.

    >>> check_method("smoothgrad:samples=3")
    """
    one = method(thing)
    classifier = small_classifier() if classifier is None else classifier
    images = small_pictures() if images is None else images
    size = tuple(images.shape[2:])

    def maps(rows: slice = slice(None), chunk: int | None = None, seed: int = 0) -> Tensor:
        names = list(IDS[: len(images)])[rows]
        before = images[rows].clone()
        with global_seed(seed):
            found = explain(
                classifier,
                images[rows],
                _TARGET[: len(images)][rows],
                methods=[one],
                random=Random(0, names),
                chunk=chunk,
            )
        require_same(images[rows], before, one.label, "changes the images that it is given")
        return found[one.label].heatmap()

    whole = maps()
    require(whole.shape == (len(images), *size), one.label, f"maps of shape {list(whole.shape)}")
    require(bool(whole.isfinite().all()), one.label, "maps that are not finite")
    require_same(whole, maps(seed=1), one.label, "another map when called again: draw from session.random alone")
    for row in range(len(images)):
        alone = maps(slice(row, row + 1))
        require_same(whole[row : row + 1], alone, one.label, "another map for a picture alone", TOLERANCE)
    require_same(whole, maps(chunk=1), one.label, "another map in chunks of one", TOLERANCE)
    from_everywhere(classifier, one.label, maps)


def check_metric(thing: AnyMetric) -> None:
    """Prove a metric of explanations: one number per picture, the same twice and alone, maps and model unchanged.

    Raises AssertionError that says what does not hold, and what the metric raises.

    >>> check_metric("deletion")
    """
    (metric,) = choose_metrics([thing])
    require(metric.better in _BETTER, metric.name, f"better={metric.better!r}, expected one of {_BETTER}")
    require(metric.needs in _NEEDS, metric.name, f"needs={metric.needs!r}, expected one of {_NEEDS}")
    classifier, images = small_classifier(), small_pictures()
    heat = Random(3, IDS).uniform(1, SIDE, SIDE, dtype=torch.float64)
    masks = torch.zeros(COUNT, SIDE, SIDE, dtype=torch.bool)
    masks[:, 2:9, 3:12] = True
    explained = method("saliency")

    def values(rows: slice = slice(None), seed: int = 0) -> Tensor:
        maps = heat[rows].clone()
        with global_seed(seed):
            found = _measure(metric, classifier, images[rows].clone(), maps, masks[rows], rows, explained)
        require_same(maps, heat[rows], metric.name, "changes the maps that it is given")
        return found

    whole = values()
    require(whole.shape == (COUNT,), metric.name, f"numbers of shape {list(whole.shape)}, expected [{COUNT}]")
    require(bool(whole.isfinite().all()), metric.name, "numbers that are not finite for maps that are not flat")
    require_same(whole, values(seed=1), metric.name, "another number when called again: draw from judge.random alone")
    for row in range(COUNT):
        alone = values(slice(row, row + 1))
        require_same(whole[row : row + 1], alone, metric.name, "another number for a picture alone", TOLERANCE)
    from_everywhere(classifier, metric.name, values)


def _measure(
    metric: Metric, classifier: Classifier, images: Tensor, maps: Tensor, masks: Tensor, rows: slice, explained: Method
) -> Tensor:
    random, target = Random(0, list(IDS)[rows]), _TARGET[rows]

    def again(other: Classifier, changed: Tensor, _turn: int) -> Tensor:
        found = explain(other, changed, target, methods=[explained], random=random)
        return found[explained.label].heatmap()[:, None]

    with torch.inference_mode(False), torch.no_grad(), classifier.guard():
        judge = Judge(classifier, images, target, random, masks=masks)
        more = (again,) if metric.needs == "again" else ()
        found = metric.function(judge, maps, *more)
    require(isinstance(found, Tensor), metric.name, f"returns {type(found).__name__}, expected a tensor")
    return found.double()
