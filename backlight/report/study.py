"""Everything that a report says about one picture, measured; nothing here knows of HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from backlight.attack.referee import judge_logits
from backlight.classifier import Classifier
from backlight.classifier.heads import NO_PREDICTION
from backlight.classifier.predictions import Prediction, top_classes
from backlight.core.plugins import UNSTATED
from backlight.core.random import Random
from backlight.explain import Explanations, choose_methods, explain
from backlight.explain.attribution import upsample
from backlight.explain.choosing import AnyMethod
from backlight.images import Picture, round_to_8bit
from backlight.images.picture import Photograph
from backlight.report.agreement import Agreement, measure_agreement
from backlight.report.attacks import AttackStudy, study_attacks

METHODS = ("saliency", "gradcam", "guided_backprop", "guided_gradcam")
_TOP = 5


@dataclass(frozen=True, eq=False, repr=False)
class MapStudy:
    """One explanation of one picture: `heat` [H,W] how strongly a pixel counts, `signed` [H,W] for or against.

    `flat` says that there is nothing to be seen, `finite` that there was no NaN or infinity, `avoid` what the method
    misleads for, empty where its card does not say.
    """

    method: str
    layer: str | None
    heat: Tensor
    signed: Tensor
    flat: bool
    finite: bool
    notes: tuple[str, ...]
    avoid: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class PictureStudy:
    """One picture: the photograph, what the classifier sees of it and says, why, and how it is fooled.

    `photograph` is the whole picture, `picture` the model's own view of it (image [C,H,W], crop box).
    """

    picture: Picture
    photograph: Image.Image
    answers: tuple[Prediction, ...]
    maps: tuple[MapStudy, ...]
    agreement: Agreement | None
    attacks: AttackStudy

    @property
    def image(self) -> Tensor:
        """Return what the model sees, [C,H,W] in [0,1]."""
        return self.picture.image

    @property
    def best(self) -> Prediction:
        """Return the most likely class."""
        return self.answers[0]


def study_pictures(
    classifier: Classifier,
    search: Classifier,
    photographs: Sequence[Photograph],
    *,
    methods: Sequence[str] = METHODS,
    seed: int = 0,
) -> list[PictureStudy]:
    """Study pictures in one batch; `search` is the classifier or its fast copy, on which attacks look for changes.

    Random numbers are keyed by the files' names, so they do not depend on the folder or on the other pictures.
    """
    pictures = [one.picture for one in photographs]
    images = round_to_8bit(torch.stack([picture.image for picture in pictures])).to(classifier.device)
    names = [picture.path.name for picture in pictures]
    unknown = (Prediction(NO_PREDICTION, -1, math.nan, math.nan),)
    answers = [found or unknown for found in top_classes(classifier, judge_logits(classifier, images), _TOP)]
    explained = explain(classifier, images, methods=methods, random=Random(seed, names))
    attacks = _attacks(classifier, search, images, names, [found[0].index for found in answers], seed)
    studies = []
    for row, picture in enumerate(pictures):
        maps = map_studies(explained, methods, row)
        agreement = measure_agreement({one.method: one.heat for one in maps})
        studies.append(PictureStudy(picture, photographs[row].whole, answers[row], maps, agreement, attacks[row]))
    return studies


def _attacks(
    classifier: Classifier, search: Classifier, images: Tensor, names: Sequence[str], best: Sequence[int], seed: int
) -> list[AttackStudy]:
    """Attack each picture; of a classifier of several labels, its answer for the surest label of each picture."""
    if not classifier.multilabel:
        return study_attacks(classifier, search, images, names, seed=seed)
    found: dict[int, AttackStudy] = {}
    for label in sorted(set(best)):
        rows = [row for row, one in enumerate(best) if one == label]
        asked = classifier.question(max(label, 0)), search.question(max(label, 0))
        found |= zip(rows, study_attacks(*asked, images[rows], [names[row] for row in rows], seed=seed), strict=True)
    return [found[row] for row in range(len(best))]


def map_studies(explained: Explanations, methods: Sequence[AnyMethod], row: int) -> tuple[MapStudy, ...]:
    """Return the maps of one picture, as a page shows them; `methods` are those that were asked for."""
    cards = {one.label: one.card for one in choose_methods(methods)}
    found = []
    for name, one in explained.items():
        signed = upsample(one.attributions[row : row + 1].sum(1, keepdim=True), one.image_size)[0, 0]
        heat, flat, finite = one.heatmap()[row], bool(one.flat[row]), bool(one.finite[row])
        avoid = "" if cards[name].avoid == UNSTATED else cards[name].avoid
        found.append(MapStudy(name, one.layer, heat.cpu(), signed.cpu(), flat, finite, one.notes, avoid))
    return tuple(found)
