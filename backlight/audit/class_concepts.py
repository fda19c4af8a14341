"""What the answers for a class hang on: concepts of crops of the pictures that are taken for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from backlight.audit.card import CheckCard
from backlight.audit.concepts import Concepts, find_concepts
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, not_judged
from backlight.audit.kept import Kept
from backlight.classifier import Classifier
from backlight.classifier.last_layer import LastLayer, find_last_layer
from backlight.core.errors import InputError
from backlight.core.random import Random

_CLASSES, _PICTURES, _CONCEPTS, _SHOWN, _STRIP, _BATCH = 3, 60, 10, 3, 6, 32
_CROP, _STRIDE = 64 / 224, 0.8  # of a side, and of a crop
_ALONE = 0.8  # of the variance of a logit: a class that hangs on one concept


@dataclass(frozen=True, eq=False, repr=False)
class _ClassConcepts:
    """One class, the crops of its pictures `[N,C,h,w]`, and their concepts."""

    index: int
    crops: Tensor
    found: Concepts


def check_concepts(examined: Examined) -> Iterator[Finding]:
    """Find the concepts of the classes with most mistakes, and whether one of them carries a class alone."""
    kept = examined.kept
    if kept.head is None:
        return
    try:
        classes = [_concepts(examined, index) for index in _chosen(kept)]
    except InputError as error:  # features that are no sums of parts, such as those of transformers
        yield not_judged("concepts", "why", str(error), len(kept))
        return
    if not classes:
        yield not_judged("concepts", "why", "no class is predicted for ten pictures", len(kept))
        return
    most = max(classes, key=lambda one: one.found.importance[0])
    share, name = float(most.found.importance[0]), kept.label_names[most.index]
    alone = share > _ALONE
    sentence = (
        f"The concept that answers hang on the most makes {share:.0%} of what varies in the logit of {name}"
        f"{': look whether it is the thing or something that stands beside it' if alone else ''}."
    )
    yield Finding(
        "concepts",
        "why",
        share,
        None,
        sum(min(_PICTURES, int((kept.predictions == one.index).sum())) for one in classes),
        "look" if alone else "good",
        sentence,
        next=f"Look at the crops of the first concept of {name}." if alone else "",
        tables={"Concepts": _columns(kept, classes)},
        images=dict(strip for one in classes for strip in _strips(kept, one)),
    )


def _chosen(kept: Kept) -> list[int]:
    """Return the predicted classes with most mistakes, of those that are predicted often enough."""
    counts = np.bincount(kept.predictions[kept.defined], minlength=len(kept.label_names))
    wrong = np.bincount(kept.predictions[kept.defined & ~kept.right], minlength=len(counts))
    order = np.lexsort((-counts, -wrong))
    return [int(index) for index in order if counts[index] >= 10][:_CLASSES]


def _concepts(examined: Examined, index: int) -> _ClassConcepts:
    kept = examined.kept
    rows = np.flatnonzero(kept.predictions == index)
    keys = Random(("concepts", examined.seed), [kept.ids[row] for row in rows]).uniform().numpy()
    rows = np.sort(rows[np.argsort(keys, kind="stable")[:_PICTURES]])
    classifier, data = examined.dataset(torch.from_numpy(rows))
    images = data[:].images.to(classifier.device)
    layer = find_last_layer(classifier, images[:2])
    if layer is None or layer.weight is None:
        raise InputError("the last layer is not linear", expected="one whose weights tell what a feature adds")
    crops = crops_of(images)
    features = _features(classifier, layer, crops, images.shape[-2:])
    found = find_concepts(features, layer.weight[index], count=_CONCEPTS, seed=examined.seed)
    return _ClassConcepts(index, crops.cpu(), found)


def crops_of(images: Tensor) -> Tensor:
    """Cut images `[B,C,H,W]` into overlapping crops of two sevenths of a side, `[N,C,h,w]`, image by image.

    >>> crops_of(torch.zeros(2, 3, 28, 28)).shape
    torch.Size([32, 3, 8, 8])
    """
    sides = [max(1, round(side * _CROP)) for side in images.shape[-2:]]
    found = images
    for axis, side in zip((2, 3), sides):
        found = found.unfold(axis, side, max(1, round(side * _STRIDE)))
    return found.permute(0, 2, 3, 1, 4, 5).reshape(-1, images.shape[1], *sides)


def _features(classifier: Classifier, layer: LastLayer, crops: Tensor, size: torch.Size) -> Tensor:
    found = []
    for part in crops.split(_BATCH):
        larger = functional.interpolate(part, size=tuple(size), mode="bilinear", align_corners=False)
        found.append(layer.read(classifier, larger)[1].float().cpu())
    return torch.cat(found)


def _strips(kept: Kept, one: _ClassConcepts) -> Iterator[tuple[str, Tensor]]:
    """Yield the crops with most of each of the first concepts, side by side, by caption."""
    for place in range(min(_SHOWN, len(one.found.importance))):
        strongest = np.argsort(-one.found.amounts[:, place], kind="stable")[:_STRIP]
        sign = "for" if one.found.toward[place] >= 0 else "against"
        share = f"{one.found.importance[place]:.0%} of the logit, {sign} it"
        caption = f"{kept.label_names[one.index]}, concept {place + 1} ({share})"
        yield caption, torch.cat(list(one.crops[torch.from_numpy(strongest)]), dim=2)


def _columns(kept: Kept, classes: list[_ClassConcepts]) -> dict[str, list[object]]:
    rows: list[tuple[object, ...]] = [
        (kept.label_names[one.index], place + 1, float(share), float(one.found.toward[place]), one.found.error)
        for one in classes
        for place, share in enumerate(one.found.importance)
    ]
    heads = ("class", "concept", "share_of_logit", "adds_to_logit", "left_out_of_features")
    return {head: [row[place] for row in rows] for place, head in enumerate(heads)}


CARDS = (
    CheckCard(
        "concepts",
        "why",
        check_concepts,
        depth="deep",
        needs=frozenset({"features", "head", "pictures"}),
        reference="Fel et al., 2023, arXiv:2211.10154",
    ),
)
