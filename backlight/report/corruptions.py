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
from backlight.corrupt.request import CorruptionRequest, view_name
from backlight.corrupt.results import KindResult
from backlight.corrupt.study import CorruptionStudy
from backlight.data.dataset import Dataset
from backlight.images import to_picture
from backlight.images.picture import to_floats
from backlight.page.charts import line_chart
from backlight.page.embed import photograph_uri
from backlight.page.plot import Line
from backlight.page.sections import Section, percent
from backlight.report.corruption_advice import Weakness, augmentation, clearly_worst, steadier, weak_groups
from backlight.report.fill import fill
from backlight.report.gallery import read_thumbnails

_SHOWN = 160  # pixels of a corrupted photograph on the page
_CLASSES, _FEW = 8, 10


@dataclass(frozen=True)
class WorstKind:
    """One of the kinds that hurt most: what it costs, what answers it, and its picture at a middle severity."""

    found: KindResult
    weakness: Weakness
    severity: int
    picture: str


@dataclass(frozen=True)
class KindCell:
    """One kind among the small multiples: what it is called, its pictures by severity, its curve and its numbers."""

    name: str
    group: str
    pictures: tuple[tuple[int, str], ...]
    chart: Markup
    mean: float
    rows: tuple[tuple[int, float, tuple[float, float], float, float], ...]
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
    example = _example(study, data) if pictures and data is not None else None
    stability = sorted(study.stability.values(), key=lambda one: -one.flip_share)
    facts = {
        "study": study,
        "data": name,
        "clean": study.clean_accuracy,
        "answer": augmentation([one.name for one, _ in clearly_worst(study)]),
        "worst": _worst(study, example),
        "near": _near(study),
        "shown_clean": "" if example is None or study.clean is None else _embedded(example.clean),
        "groups": [(name, mean, weak_groups(study)[name]) for name, mean in study.groups.items()],
        "cells": [_cell(card, study.kinds[card.name], study, example) for card in study.request.kinds],
        "missing": [kind for kind in FIFTEEN if kind not in study.kinds],
        "knows": _knows(study) if study.kinds else [],
        "classes": _classes(study) if study.kinds else [],
        "few": bool(study.kinds) and min((n for _, n, _, _ in _classes(study)), default=_FEW) < _FEW,
        "stability": stability,
        "amounts": study.amounts,
        "steadier": next((steadier(one.name) for one in stability), ""),
        "compared": list((compared or {}).values()),
        "fallen": _fallen(study, data if pictures and study.kinds else None),
    }
    return Section("corruptions", "Noise, blur, weather and compression", fill("corruptions.html", facts))


@dataclass(frozen=True)
class _Example:
    """One picture of the data as the model sees it, which the page shows under every corruption."""

    data: Dataset
    request: CorruptionRequest

    @property
    def clean(self) -> Tensor:
        """Return it as it is, [C,H,W]; where nobody has it as it was, as the data have it."""
        return to_floats(self.data.readable([0])[1][0])

    def under(self, card: CorruptionCard, severity: int) -> Tensor:
        """Return it under a kind at a severity, [C,H,W]."""
        if self.request.stored:
            return to_floats(self.data.view(view_name(card.name, severity)).readable([0])[1][0])
        return corrupt(self.clean[None], card, severity, random=Random(0, ["page"]), table=self.request.table)[0]


def _example(study: CorruptionStudy, data: Dataset) -> _Example | None:
    """Choose the first picture that is right, surest first, and can be read."""
    table = study.table
    if study.clean is not None:
        table = (table.where(study.clean) if study.clean.any() else table).sort("confidence", descending=True)
    places = {one: row for row, one in enumerate(data.ids)}
    for one in table.head(5).ids:
        if one in places and len(data.readable([places[one]])[1]):
            return _Example(data.take([places[one]]), study.request)
    return None


def _worst(study: CorruptionStudy, example: _Example | None) -> list[WorstKind]:
    cards = {card.name: card for card in study.request.kinds}
    middle = study.request.severities[len(study.request.severities) // 2]
    return [
        WorstKind(
            found, weakness, middle, "" if example is None else _embedded(example.under(cards[found.name], middle))
        )
        for found, weakness in clearly_worst(study)
    ]


def _near(study: CorruptionStudy) -> list[str]:
    """Name the kinds that count and are beside those that hurt most only by chance, worst first."""
    worst = [found for found, _ in clearly_worst(study)]
    if not worst:
        return []
    others = [one for one in study.counted if one not in worst and one.mean < worst[-1].mean_interval[1]]
    return [one.name for one in sorted(others, key=lambda one: one.mean)]


def _cell(card: CorruptionCard, found: KindResult, study: CorruptionStudy, example: _Example | None) -> KindCell:
    severities, accuracy = list(map(float, found.severities)), [*found.accuracy]
    band, sure = [*found.interval], [*found.confidence]
    if study.clean_accuracy is not None:
        severities.insert(0, 0.0)
        accuracy.insert(0, study.clean_accuracy)
        band.insert(0, (study.clean_accuracy, study.clean_accuracy))
        sure.insert(0, float(study.table["confidence"].mean()))
    lines = [
        Line(tuple(zip(severities, accuracy)), "accuracy", band=tuple(band)),
        Line(tuple(zip(severities, sure)), "confidence", dashed=True),
    ]
    name = card.name.replace("_", " ")
    chart = line_chart(
        lines,
        alt=f"Accuracy under {name} with its 95% interval, and confidence",
        x_label="severity (0: clean)",
        x_text=lambda severity: f"{severity:.0f}",
    )
    shown = () if example is None else tuple((s, _embedded(example.under(card, s))) for s in found.severities)
    rows = tuple(zip(found.severities, found.accuracy, found.interval, found.confidence, found.ece))
    return KindCell(name, card.group, shown, chart, found.mean, rows, found.counted)


def _embedded(image: Tensor) -> str:
    return photograph_uri(to_picture(image), _SHOWN)


def _knows(study: CorruptionStudy) -> list[tuple[int, float, float, float]]:
    """Return by severity, 0 for clean, mean accuracy, mean confidence and how much surer than right the model is."""
    found = list[tuple[int, float, float, float]]()
    if study.clean_accuracy is not None:
        sure = float(study.table["confidence"].mean())
        found.append((0, study.clean_accuracy, sure, sure - study.clean_accuracy))
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
