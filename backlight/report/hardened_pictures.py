"""Pictures that fooled the model before hardening and do not fool it after, as both were attacked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from backlight.attack import AttackResult, attack
from backlight.audit.hardening import Hardening
from backlight.classifier import Classifier
from backlight.classifier.predictions import class_name
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import fitted
from backlight.images import to_picture
from backlight.images.render import amplify
from backlight.page.embed import exact_uri, photograph_uri
from backlight.page.sections import percent
from backlight.report.looking import is_tiny
from backlight.report.picture import AMPLIFICATION

_SHOWN, _EXACT = 224, 48  # larger pictures are reduced to the first, those up to the second are shown as they are
_EXAMPLES = 4


@dataclass(frozen=True)
class Shown:
    """A picture that one model was attacked with: the change made visible, the result, what was said of both."""

    noise: str
    changed: str
    before: str
    after: str
    fooled: bool


@dataclass(frozen=True)
class HardenedPicture:
    """One picture: its name and class, as it is, and attacked against the model before and against the one after."""

    name: str
    label: str
    original: str
    tiny: bool
    attacks: tuple[Shown, Shown]
    amplification: int = int(AMPLIFICATION)


def hardened_pictures(
    found: Hardening, models: tuple[Classifier, Classifier], data: Dataset, *, seed: int = 0
) -> list[HardenedPicture]:
    """Attack some pictures once more, each model by its own search, and show what came of it.

    They are pictures that both name right, that fooled the model before and not the one after; each of another class
    as far as there are.
    """
    ids = _gained(found)
    if not ids:
        return []
    places = {name: row for row, name in enumerate(data.ids)}
    rows = [places[name] for name in ids]
    attacked = [_attacked(found, model, data.take(rows), seed) for model in models]
    labels = found.before.evaluation.labels
    kept = found.before.evaluation.table.at(ids)["label"].tolist()
    shown = []
    for row, (name, label) in enumerate(zip(ids, kept)):
        originals = attacked[0].originals[row]
        each = tuple(_shown(one, model, row) for one, model in zip(attacked, models))
        tiny = is_tiny(tuple(originals.shape[-2:]))
        short = name.rsplit("/", 1)[-1]  # the folders of who made the page concern nobody
        shown.append(HardenedPicture(short, class_name(labels, label), _uri(originals), tiny, (each[0], each[1])))
    return shown


def _gained(found: Hardening) -> list[str]:
    """Choose ids that both models name right, lost to the last attack before and not after, from several classes."""
    tables = [one.robust[-1].table for one in (found.before, found.after)]
    ids = [name for name in tables[0].ids if name in set(tables[1].ids)]
    first, second = (one.at(ids) for one in tables)
    right = (first["prediction"] == first["label"]) & (second["prediction"] == second["label"])
    gained = np.flatnonzero(right & ~first["robust"].astype(bool) & second["robust"].astype(bool))
    labels, seen, later = first["label"], set[int](), list[int]()
    chosen = list[int]()
    for row in gained.tolist():
        (later if int(labels[row]) in seen else chosen).append(row)
        seen.add(int(labels[row]))
    return [ids[row] for row in (*chosen, *later)[:_EXAMPLES]]


def _attacked(found: Hardening, model: Classifier, data: Dataset, seed: int) -> AttackResult:
    batch = next(iter(fitted(model, data).batches(len(data))))
    asked = found.request.robustness[-1]
    images, labels = batch.images.to(model.device), batch.labels.to(model.device)
    return attack(model, images, labels, method=asked.attack or "pgd", eps=asked.eps, seed=seed, ids=batch.ids)


def _shown(found: AttackResult, model: Classifier, row: int) -> Shown:
    original, image = found.originals[row].cpu(), found.images[row].cpu()
    before, after = (_said(model, one) for one in (original, image))
    return Shown(_uri(amplify(image - original, AMPLIFICATION)), _uri(image), before, after, bool(found.success[row]))


def _said(model: Classifier, image: Tensor) -> str:
    shares = model.probabilities(image[None].to(model.device))[0]
    return f"{model.label(int(shares.argmax()))}, {percent(float(shares.max()))} sure"


def _uri(image: Tensor) -> str:
    values = image[: 3 if len(image) >= 3 else 1].clamp(0, 1)
    return exact_uri(values) if max(values.shape[-2:]) <= _EXACT else photograph_uri(to_picture(values), _SHOWN)
