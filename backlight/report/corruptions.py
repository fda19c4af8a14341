"""The section of corruptions: what each does to a photograph and to the accuracy, what hurts most, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup
from torch import Tensor

from backlight.core.random import Random
from backlight.corrupt import corrupt
from backlight.corrupt.comparing import PairedDifference
from backlight.corrupt.registry import FIFTEEN, CorruptionCard
from backlight.corrupt.study import CorruptionStudy, KindResult
from backlight.data.dataset import Dataset
from backlight.images import to_picture
from backlight.images.picture import to_floats
from backlight.page.charts import Line, line_chart
from backlight.page.embed import photograph_uri
from backlight.page.sections import Section, percent
from backlight.report.corruption_advice import advice, clearly_worst
from backlight.report.fill import fill
from backlight.report.gallery import read_thumbnails

_SHOWN = 160  # pixels of a corrupted photograph on the page
_CLASSES = 8


@dataclass(frozen=True)
class KindCell:
    """One kind among the small multiples: what it is called, its pictures by severity, its curve and its numbers."""

    name: str
    group: str
    pictures: tuple[tuple[int, str], ...]
    chart: Markup
    mean: float
    rows: tuple[tuple[int, float, tuple[float, float], float], ...]
    counted: bool


def corruptions_section(
    study: CorruptionStudy,
    data: Dataset | None,
    *,
    name: str = "",
    pictures: bool = True,
    compared: Mapping[str, PairedDifference] | None = None,
) -> Section:
    """Write the section; `data` gives the photograph that is shown corrupted, and the pictures that fell.

    Without `data`, or with `pictures` false, it holds numbers only; `compared` are differences to a second model.
    """
    sample = _photograph(study, data) if pictures and data is not None else None
    facts = {
        "study": study,
        "data": name,
        "clean": study.clean_accuracy,
        "worst": clearly_worst(study),
        "advice": advice(study),
        "groups": study.groups,
        "cells": [_cell(card, study.kinds[card.name], study, sample) for card in study.request.kinds],
        "missing": [kind for kind in FIFTEEN if kind not in study.kinds],
        "knows": _knows(study),
        "classes": _classes(study),
        "stability": sorted(study.stability.values(), key=lambda one: -one.flip_share),
        "compared": list((compared or {}).values()),
        "fallen": _fallen(study, data if pictures else None),
    }
    return Section("corruptions", "Noise, blur, weather and compression", fill("corruptions.html", facts))


def _photograph(study: CorruptionStudy, data: Dataset) -> Tensor | None:
    """Return the first picture that is right, surest first, at the input size: [1,C,H,W]."""
    right = study.table.where(study.table["label"] == study.table["prediction"])
    shown = (right if len(right) else study.table).sort("confidence", descending=True)
    places = {one: row for row, one in enumerate(data.ids)}
    for one in shown.head(5).ids:
        if one in places:
            images = data.take([places[one]]).readable([0])[1]
            if len(images):
                return to_floats(images[0])[None]
    return None


def _cell(card: CorruptionCard, found: KindResult, study: CorruptionStudy, sample: Tensor | None) -> KindCell:
    points = ((0.0, study.clean_accuracy), *((float(s), a) for s, a in zip(found.severities, found.accuracy)))
    band = ((study.clean_accuracy,) * 2, *found.interval)
    sure = ((0.0, float(study.table["confidence"].mean())), *zip(map(float, found.severities), found.confidence))
    lines = [Line(points, "accuracy", band=band), Line(tuple(sure), "confidence", dashed=True)]
    chart = line_chart(
        lines, alt=f"Accuracy under {card.name} by severity", x_label="severity (0: clean)", x_text=lambda x: f"{x:.0f}"
    )
    shown = () if sample is None else tuple((s, _embedded(sample, card, s)) for s in found.severities)
    rows = tuple(zip(found.severities, found.accuracy, found.interval, found.confidence))
    return KindCell(card.name.replace("_", " "), card.group, shown, chart, found.mean, rows, found.counted)


def _embedded(sample: Tensor, card: CorruptionCard, severity: int) -> str:
    image = corrupt(sample, card, severity, random=Random(0, ["page"]))[0]
    return photograph_uri(to_picture(image), _SHOWN)


def _knows(study: CorruptionStudy) -> list[tuple[int, float, float, float]]:
    """Return by severity the mean accuracy, the mean confidence and how much surer than right the model is."""
    found = []
    for place, severity in enumerate(study.request.severities):
        accuracy = sum(one.accuracy[place] for one in study.counted) / len(study.counted)
        confidence = sum(one.confidence[place] for one in study.counted) / len(study.counted)
        found.append((severity, accuracy, confidence, confidence - accuracy))
    return found


def _classes(study: CorruptionStudy) -> list[tuple[str, int, float, float]]:
    return [(name, *numbers) for name, numbers in list(study.per_class.items())[:_CLASSES]]


def _fallen(study: CorruptionStudy, data: Dataset | None) -> list[tuple[str, str, str]]:
    """Return the pictures that fell most often: thumbnail, class, words."""
    if data is None:
        return []
    worst = study.worst_pictures()
    thumbnails = read_thumbnails(data, [one for one, _, _ in worst], anchor="fallen")
    rows = {row["id"]: study.labels[row["label"]] for row in study.table.at([one for one, _, _ in worst]).rows()}
    return [
        (thumbnails[one].uri, rows[one], f"wrong in {fallen} of {tried} looks ({percent(fallen / tried)})")
        for one, fallen, tried in worst
        if one in thumbnails and fallen
    ]
