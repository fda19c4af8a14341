"""Score explanations: one row per image, each metric beside its two controls."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.chunks import Chunk
from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.explain.attribution import Explanations
from backlight.explain.choosing import AnyMethod, Method, choose_methods
from backlight.explain.explaining import explain
from backlight.explain.scores.controls import CONTROLS, control
from backlight.explain.scores.judge import Explainer, Judge
from backlight.explain.scores.metrics import METRICS, AnyMetric, Metric, choose_metrics
from backlight.table import Table
from backlight.table.statistics import mean_interval

DEFAULT_METRICS = ("deletion", "insertion", "road", "average_drop", "average_increase", "infidelity")


@dataclass(frozen=True, eq=False)
class Scores:
    """The explanations and a table of their scores, `METHOD.METRIC`, one row per image.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    >>> classifier = Classifier.from_module(net, size=4)
    >>> list(score(classifier, torch.rand(2, 3, 4, 4), methods=["saliency"], metrics=["border"]).summary())
    ['saliency']
    """

    explanations: Explanations = field(repr=False)
    table: Table
    metrics: tuple[Metric, ...] = ()

    def summary(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Summarize over images, as `summarize` does."""
        return summarize(self.table, self.metrics)


def score(
    classifier: Classifier,
    images: Tensor,
    target: Any = None,
    *,
    methods: Sequence[AnyMethod] = ("saliency", "gradcam"),
    metrics: Sequence[AnyMetric] = DEFAULT_METRICS,
    masks: Tensor | None = None,
    ids: Sequence[str] | None = None,
    layer: str | Sequence[str] | None = None,
    random: Random | None = None,
    chunk: int | Chunk | None = None,
) -> Scores:
    """Explain images [B,C,H,W] and score the maps beside a random map and an edge map.

    `masks` [B,H,W] bool say where the object is, for the metrics that need it. Scores are about the target's
    probability; a target that is a function has none. NaN says that a metric is not defined for an image, as
    for a flat map.

    Raises what `explain` raises, UsageError for unknown metrics, InputError for masks that are missing or do not
    fit.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    >>> classifier = Classifier.from_module(net, size=4)
    >>> scores = score(classifier, torch.rand(2, 3, 4, 4), methods=["saliency"], metrics=["deletion"])
    >>> scores.table.names
    ['id', 'target', 'saliency.deletion', 'random.deletion', 'edges.deletion']
    """
    chosen = choose_metrics(metrics)
    check_metrics(chosen, masks, images)
    ids = [str(place) for place in range(len(images))] if ids is None else list(ids)
    random = random or Random(0, ids)
    found = explain(classifier, images, target, methods=methods, layer=layer, random=random, chunk=chunk)
    table = score_explanations(
        classifier,
        found,
        choose_methods(methods),
        chosen,
        masks=masks,
        random=random,
        options={"layer": layer, "chunk": chunk},
    )
    return Scores(found, Table.of({"id": ids, **table}), chosen)


def score_explanations(
    classifier: Classifier,
    found: Explanations,
    methods: Sequence[Method],
    metrics: Sequence[AnyMetric],
    *,
    random: Random,
    masks: Tensor | None = None,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Score explanations that were made: the columns `target` and `METHOD.METRIC`, controls included.

    `methods` and `options` (layer, chunk) are those that `explain` was called with, for metrics that explain again.

    Raises UsageError where a function was explained, which has no probability.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    >>> classifier = Classifier.from_module(net, size=4)
    >>> methods, random = choose_methods(["saliency"]), Random(0, ["a"])
    >>> found = explain(classifier, torch.rand(1, 3, 4, 4), methods=methods, random=random)
    >>> list(score_explanations(classifier, found, methods, ["border"], random=random))
    ['target', 'saliency.border', 'random.border', 'edges.border']
    """
    if found.target is None:
        raise UsageError("the target is a function", expected="a class, whose probability is scored")
    options = dict(options or {})
    again = {**options, "random": random, "quantity": found.quantity, "space": found.space}
    makers = {one.label: _again(one, found.target, again) for one in methods}
    maps = {name: scored_map(found, name) for name in found}
    with torch.inference_mode(False), torch.no_grad(), classifier.guard():
        judge = Judge(classifier, found.images, found.target, random, options.get("chunk"))
        judge.masks = None if masks is None else masks.to(found.images.device).bool()
        columns = score_maps(judge, maps, metrics, makers)
    return {"target": found.target.cpu(), **columns}


def check_metrics(metrics: Sequence[AnyMetric], masks: Tensor | None, images: Tensor) -> None:
    """Raise UsageError for unknown metrics, InputError where one needs masks that are missing or do not fit.

    >>> check_metrics(["deletion"], None, torch.zeros(1, 3, 4, 4))
    """
    if any(metric.needs == "mask" for metric in choose_metrics(metrics)):
        _check_masks(masks, images)


def score_maps(
    judge: Judge,
    maps: Mapping[str, Tensor],
    metrics: Sequence[AnyMetric],
    makers: Mapping[str, Explainer] | None = None,
) -> dict[str, np.ndarray]:
    """Score maps [B,c,H,W] by name, and the two controls, by every metric: `NAME.METRIC` to float64 [B].

    `makers` explain again, for the metrics that need it. Flat and non-finite maps get NaN.

    >>> net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(48, 3))
    >>> judge = Judge(Classifier.from_module(net, size=4), torch.rand(1, 3, 4, 4), torch.tensor([0]), Random(0, [0]))
    >>> list(score_maps(judge, {"mine": torch.rand(1, 1, 4, 4)}, ["border"]))
    ['mine.border', 'random.border', 'edges.border']
    """
    explainers: dict[str, Explainer] = {**(makers or {}), **{name: control(name, judge.random) for name in CONTROLS}}
    everything = {**maps, **{name: explainers[name](judge.classifier, judge.images, 0) for name in CONTROLS}}
    columns = {}
    for metric in choose_metrics(metrics):
        for name, values in everything.items():
            usable = torch.isfinite(values).flatten(1).all(1) & (values.flatten(1).amax(1) > values.flatten(1).amin(1))
            clean = values.nan_to_num(0, 0, 0)
            more = (explainers[name],) if metric.needs == "again" else ()
            result = _one_per_image(metric, metric.function(judge, clean, *more), len(clean)).masked_fill(
                ~usable, math.nan
            )
            columns[f"{name}.{metric.name}"] = result.cpu().numpy()
    return columns


def scored_map(explanations: Explanations, method: str) -> Tensor:
    """Return the map that is scored, [B,c,H,W]: signed channels where they add up, else one value per pixel."""
    one = explanations[method]
    full = one.reduction == "sum" and tuple(one.attributions.shape[2:]) == one.image_size
    return one.attributions if full else one.heatmap()[:, None]


def summarize(table: Table, metrics: Sequence[Metric] = ()) -> dict[str, dict[str, dict[str, Any]]]:
    """Return, by method and metric, mean and standard error, and the difference to each control with its own.

    Images where a score or its control is not defined are left out; `n` says how many remain. `metrics` are those
    that no name finds; others are looked up by theirs.

    >>> table = Table.of({"id": ["a", "b"], "m.mass": [0.5, 0.7], "random.mass": [0.1, 0.1], "edges.mass": [0.2, 0.2]})
    >>> round(summarize(table)["m"]["mass"]["random"]["difference"], 3)
    0.5
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    known = {metric.name: metric for metric in metrics}
    for name in table.names:
        method, _, metric = name.rpartition(".")
        if method in CONTROLS or f"{CONTROLS[0]}.{metric}" not in table:
            continue
        card = known.get(metric) or METRICS.get(metric)
        if card is None:
            continue
        values = np.asarray(table[name], dtype=float)
        entry = {**_mean(values), "better": card.better, "judges": card.judges}
        for one in CONTROLS:
            base = np.asarray(table[f"{one}.{metric}"], dtype=float)
            difference = _mean(values - base)
            entry[one] = {
                "mean": _mean(base)["mean"],
                "difference": difference["mean"],
                "standard_error": difference["standard_error"],
            }
        found.setdefault(method, {})[metric] = entry
    return found


def summary_table(table: Table, summary: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Table:
    """Return a row per method and metric of a summary: mean, its 95% interval, the means of the two controls.

    >>> table = Table.of({"id": ["a", "b"], "m.mass": [0.5, 0.7], "random.mass": [0.1, 0.1], "edges.mass": [0.2, 0.2]})
    >>> [row["mean"] for row in summary_table(table, summarize(table)).rows()]
    [0.6]
    """
    rows = []
    for method, metrics in summary.items():
        for metric, entry in metrics.items():
            _, (low, high) = mean_interval(table[f"{method}.{metric}"])
            ends = {"from": low, "to": high} if entry["n"] > 1 else {"from": None, "to": None}
            controls = {one: entry[one]["mean"] for one in CONTROLS}
            mean = {"n": entry["n"], "mean": entry["mean"], **ends}
            rows.append({"method": method, "metric": metric, "better": entry["better"], **mean, **controls})
    names = ("method", "metric", "better", "n", "mean", "from", "to", *CONTROLS)
    return Table.numbered({name: [row[name] for row in rows] for name in names})


def _one_per_image(metric: Metric, found: Tensor, count: int) -> Tensor:
    if not isinstance(found, Tensor) or found.shape != (count,):
        seen = f"shape {list(found.shape)}" if isinstance(found, Tensor) else type(found).__name__
        raise InputError(f"the metric {metric.name} returned {seen}", expected=f"one number per image [{count}]")
    return found.double()


def _mean(values: np.ndarray) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    mean = float(known.mean()) if len(known) else None
    error = float(known.std(ddof=1) / math.sqrt(len(known))) if len(known) > 1 else None
    return {"mean": mean, "standard_error": error, "n": len(known)}


def _again(one: Method, target: Tensor, options: dict[str, Any]) -> Explainer:
    def make(classifier: Classifier, images: Tensor, _turn: int) -> Tensor:
        found = explain(classifier, images, target, methods=[one], **options)
        return scored_map(found, one.label)

    return make


def _check_masks(masks: Tensor | None, images: Tensor) -> None:
    wanted = (len(images), *images.shape[2:])
    if masks is None or tuple(masks.shape) != wanted:
        found = "no masks" if masks is None else f"masks of shape {tuple(masks.shape)}"
        raise InputError(found, expected=f"bool [B,H,W] = {wanted}, for pointing_game and mass")
