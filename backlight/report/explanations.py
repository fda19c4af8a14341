"""The section of a data set's explanations: how far its maps can be trusted, and what they look at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from markupsafe import Markup

from backlight.classifier import Classifier
from backlight.classifier.predictions import class_name
from backlight.core.errors import counted
from backlight.explain.scores import Metric, describe_location, describe_scores
from backlight.explain.scores.controls import CONTROLS
from backlight.explain.scores.verdict import WORDS, verdict
from backlight.explain.study import DataExplanations
from backlight.explain.views import read_views
from backlight.images.colors import colorize
from backlight.images.render import normalize_map
from backlight.page.charts import interval_chart
from backlight.page.embed import exact_uri, layer_uri
from backlight.page.sections import Section, number, percent
from backlight.report.fill import fill
from backlight.report.looking import is_tiny
from backlight.table import Table
from backlight.table.statistics import mean_interval

_SHOWN, _CLASSES, _METHODS = 3, 8, 4
_CONVINCING = ("insertion", "deletion", "road", "average_drop", "infidelity")


@dataclass(frozen=True)
class Against:
    """A score's difference to a control, with its standard error, in words.

    >>> Against("a random map", 0.1, 0.01, "better").word
    'better'
    """

    control: str
    difference: float | None
    error: float | None
    word: str


@dataclass(frozen=True)
class Score:
    """One method's mean by one metric with its 95% interval, beside the controls.

    >>> Score("gradcam", 0.5, (0.4, 0.6), ()).mean
    0.5
    """

    method: str
    mean: float
    interval: tuple[float, float]
    against: tuple[Against, ...]


@dataclass(frozen=True)
class Judged:
    """One metric: what it asks, which direction is better, every method's score, and the chart.

    >>> Judged("deletion", "How sure it stays.", "lower", (), Markup("")).better
    'lower'
    """

    metric: str
    asks: str
    better: str
    scores: tuple[Score, ...]
    chart: Markup


@dataclass(frozen=True)
class ShownMap:
    """One picture of the gallery: its name, what it shows and was explained as, its score minus the random map's.

    `picture` and `layer` are the picture in gray and its map.

    >>> ShownMap("cat.jpg", "cat", 0.2, "", "").explained
    'cat'
    """

    name: str
    explained: str
    advantage: float
    picture: str
    layer: str


@dataclass(frozen=True)
class Cell:
    """A method by a metric: the mean, and against its controls the word and how it is colored.

    `light` is `good` for better than both, `some` than one of them, `none` than neither, `bad` where worse than one.

    >>> Cell("0.5", "better than both", "good").light
    'good'
    """

    mean: str
    word: str
    light: str


def explanations_section(study: DataExplanations) -> Section:
    """Write the section about the explanations of a data set.

    >>> import torch
    >>> from backlight import Classifier
    >>> from backlight.data import load_data
    >>> from backlight.explain.request import Request
    >>> from backlight.explain.study import explain_data
    >>> classifier = Classifier.from_module(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 8)), size=8)
    >>> found = explain_data(classifier, load_data("shapes:n=2,size=8", split="all"), Request(("saliency",)))
    >>> explanations_section(found).anchor
    'explanations'
    """
    summary, classifier = study.summary(), study.classifier
    # The page may be sent to people whom the sender's folders do not concern.
    data = study.data.name.rstrip("/").rsplit("/", 1)[-1]
    metrics = {metric.name: metric for metric in study.metrics}
    by = next((name for name in _CONVINCING if name in next(iter(summary.values()), {})), "")
    classes = _classes(study)
    judged = list(_judged(study.table, summary, [metric for metric in study.metrics if metric.judges]))
    facts = {
        "n": len(study.table),
        "data": f"{data} ({study.data.split})",
        "methods": study.methods,
        "flat": [(one, int(study.table[f"{one}.flat"].sum())) for one in study.methods],
        "target": study.request.target or "top",
        "judged": judged,
        "matrix": [
            (method, [_cell(score) for one in judged for score in one.scores if score.method == method], sentence)
            for method in summary
            for sentence in describe_scores({method: summary[method]})
        ],
        "located": list(_judged(study.table, summary, [one for one in study.metrics if one.needs == "mask"])),
        "places": describe_location(summary),
        "border": _border(summary),
        "by": by,
        "asks": metrics[by].asks if by else "",
        "galleries": [
            (one, *_gallery(study, classifier, one, metrics[by])) for one in (study.methods[:_METHODS] if by else ())
        ],
        "hidden": len(study.methods) - _METHODS,
        "classes": classes[:_CLASSES],
        "more": len(classes) - _CLASSES,
        "tiny": is_tiny(classifier.size or (224, 224)),
        "labeled": study.data.labeled,
    }
    return Section("explanations", f"Explanations of {data}", fill("explanations.html", facts))


def explanations_headline(study: DataExplanations) -> str:
    """Say which method is better than both controls by most scores, or that none is, or that none was scored."""
    summary, count = study.summary(), counted(len(study.methods), "method")
    judged = [metric for metric in study.metrics if metric.judges]
    if not judged:
        return f"{counted(len(study.table), 'picture')} explained by {count}, not scored"
    better = {name: sum(_beats_both(entries[one.name]) for one in judged) for name, entries in summary.items()}
    best = max(better, key=lambda name: better[name])
    if not better[best]:
        return f"none of {count} is better than both controls by any of {counted(len(judged), 'score')}"
    most = f", the most of {count}" if len(study.methods) > 1 else ""
    return f"{best} is better than both controls by {better[best]} of {counted(len(judged), 'score')}{most}"


def _beats_both(entry: dict[str, Any]) -> bool:
    return all(entry[one]["difference"] is not None and verdict(entry, one) == "better" for one in CONTROLS)


def _judged(table: Table, summary: dict[str, dict[str, dict[str, Any]]], metrics: list[Metric]) -> Iterator[Judged]:
    for metric in metrics:
        name = metric.name
        scores = tuple(_score(table, method, name, entries[name]) for method, entries in summary.items())
        rows = [(one.method, one.mean, *one.interval, False) for one in scores]
        for control in CONTROLS:
            mean, bounds = mean_interval(table[f"{control}.{name}"])
            rows.append((WORDS[control], mean, *bounds, True))
        alt = f"{name.replace('_', ' ').capitalize()} with 95% intervals; {metric.better} is better"
        yield Judged(name, metric.asks, metric.better, scores, interval_chart(rows, alt=alt))


def _cell(score: Score) -> Cell:
    better = [one.control for one in score.against if one.difference is not None and one.word == "better"]
    worse = [one.control for one in score.against if one.difference is not None and one.word == "worse"]
    mean = number(score.mean) if math.isfinite(score.mean) else "-"
    if all(one.difference is None for one in score.against):
        return Cell(mean, "not defined", "none")
    if worse:
        return Cell(mean, f"worse than {' and '.join(worse)}", "bad")
    if len(better) == len(score.against):
        return Cell(mean, "better than both", "good")
    return Cell(mean, f"better than {better[0]}" if better else "no different", "some" if better else "none")


def _score(table: Table, method: str, metric: str, entry: dict[str, Any]) -> Score:
    mean, bounds = mean_interval(table[f"{method}.{metric}"])
    against = tuple(
        Against(WORDS[one], entry[one]["difference"], entry[one]["standard_error"], verdict(entry, one))
        for one in CONTROLS
    )
    return Score(method, mean, bounds, against)


def _border(summary: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    sentences = []
    for method, metrics in summary.items():
        entry = metrics["border"]
        if entry["mean"] is None:
            continue
        difference, error = entry["random"]["difference"], entry["random"]["standard_error"]
        sure = error is not None and abs(difference) > 2 * error
        than = "about as much as" if not sure else "more than" if difference > 0 else "less than"
        share, chance = percent(entry["mean"]), percent(entry["random"]["mean"])
        sentences.append(f"{method}: {share} of its mass, {than} the {chance} of a random map.")
    return sentences


def _gallery(
    study: DataExplanations, classifier: Classifier, method: str, metric: Metric
) -> tuple[list[ShownMap], list[ShownMap]]:
    values = np.asarray(study.table[f"{method}.{metric.name}"] - study.table[f"random.{metric.name}"], dtype=float)
    values = values if metric.better == "higher" else -values
    order = [row for row in np.argsort(-values, kind="stable").tolist() if math.isfinite(values[row])]
    shown = min(_SHOWN, (len(order) + 1) // 2)
    best, worst = order[:shown], order[::-1][: min(shown, len(order) - shown)]
    found = {row: _shown(study, classifier, method, row, float(values[row])) for row in (*best, *worst)}
    return [found[row] for row in best], [found[row] for row in worst]


def _explained(study: DataExplanations, classifier: Classifier, row: int) -> str:
    """Describe what a map speaks for, after what its picture truly shows where the data say so."""
    target = classifier.label(int(study.table["target"][row]))
    if "label" not in study.table:
        return target
    true = class_name(study.labels, int(study.table["label"][row]))
    if study.request.target != "top":
        return f"{true}, explained as {target}"
    return f"{true}, {'rightly' if true == target else f'taken for {target}'}"


def _shown(study: DataExplanations, classifier: Classifier, method: str, row: int, advantage: float) -> ShownMap:
    name, explained = study.table.ids[row], _explained(study, classifier, row)
    views = read_views(classifier, study.data, torch.tensor([study.data.ids.index(name)]))
    heat = study.heatmap(name, method)
    if heat is None or not views.pictures:
        return ShownMap(name, explained, advantage, "", "")
    signed = bool((heat < 0).any())
    layer = layer_uri(normalize_map(heat, signed=signed).values, "signed" if signed else "heat")
    return ShownMap(name, explained, advantage, exact_uri(views.pictures[0].image), layer)


def _classes(study: DataExplanations) -> list[tuple[str, int, list[tuple[str, str]]]]:
    """List the classes with their average maps, those with most pictures first."""
    averages = study.averages
    order = sorted(averages.counts, key=lambda one: (-int(averages.counts[one].max()), one))
    found = []
    for place, index in enumerate(order):
        label = study.labels[index] if study.labels else str(index)
        shown = list(averages.mean(index).items())[:_METHODS] if place < _CLASSES else []
        maps = [(method, exact_uri(colorize(normalize_map(one).values, "heat"))) for method, one in shown]
        found.append((label, int(averages.counts[index].max()), maps))
    return found
