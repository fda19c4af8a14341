"""Where the gravest errors come from: what the model looked at, the nearest training pictures, and who taught it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, Source, judge
from backlight.audit.influence import last_layer_influence
from backlight.audit.kept import Kept
from backlight.audit.neighbors import find_neighbors
from backlight.audit.paired import values_of
from backlight.audit.words import some_of, with_article
from backlight.core.errors import LayerError
from backlight.explain import explain
from backlight.table.statistics import exact_interval

_SHOWN, _TEACHERS = 8, 2
_SURE = 0.9
_LOOK, _BAD = 0.01, 0.05
_NEXT = "Look at the training pictures beside each mistake: mend their labels, or add ones that tell the classes apart."


def check_gravest(examined: Examined) -> Iterator[Finding]:
    """Count mistakes that were made with confidence, and show where the gravest come from."""
    kept = examined.kept
    wrong = kept.defined & ~kept.right
    sure = int((wrong & (kept.confidence >= _SURE)).sum())
    rows = np.flatnonzero(wrong)
    gravest = rows[np.argsort(-kept.confidence[rows], kind="stable")[:_SHOWN]]
    interval = exact_interval(sure, len(kept))
    sentence = f"{some_of(sure, len(kept))} wrong with a confidence of at least {_SURE:.0%}"
    sentence += f"; the gravest is {_words(kept, int(gravest[0]))}." if len(gravest) else ": none is wrong at all."
    yield Finding(
        "confident_mistakes",
        "why",
        sure / len(kept),
        interval,
        len(kept),
        judge(interval, look=_LOOK, bad=_BAD),
        sentence,
        pictures=tuple(_shown(examined, gravest)),
        next=_NEXT if sure else "",
        gain=sure / len(kept),
        per_picture=values_of(kept.ids, wrong & (kept.confidence >= _SURE)),
        larger_is_better=False,
    )


def _words(kept: Kept, row: int) -> str:
    given, taken = kept.label_names[kept.labels[row]], kept.label_names[kept.predictions[row]]
    return f"{with_article(given)} taken for {with_article(taken)} ({kept.confidence[row]:.0%})"


def _shown(examined: Examined, rows: np.ndarray) -> Iterator[Shown]:
    """Yield each mistake with its map, the nearest pictures of both classes, and those that taught the answer."""
    kept = examined.kept
    maps = _maps(examined, rows)
    has_features = kept.features.shape[1] > 0
    beside = [_nearest(examined, row) + _teachers(examined, row) if has_features else [] for row in rows.tolist()]
    for place, row in enumerate(rows.tolist()):
        yield Shown(kept.ids[row], _words(kept, row), group=place, map=None if maps is None else maps[place])
        for id_, caption, source in beside[place]:
            yield Shown(id_, caption, source, place)


def _maps(examined: Examined, rows: np.ndarray) -> Tensor | None:
    """Compute what spoke for each mistake, `[R,H,W]`: Grad-CAM, or saliency of networks without maps of features."""
    if not {"pictures", "gradients"} <= examined.has or not len(rows):
        return None
    classifier, data = examined.dataset(torch.from_numpy(rows))
    images = data[:].images.to(classifier.device)
    target = torch.from_numpy(examined.kept.predictions[rows]).to(classifier.device)
    try:
        found = explain(classifier, images, target, methods=["gradcam"])
    except LayerError:
        found = explain(classifier, images, target, methods=["saliency"])
    (one,) = found.maps.values()
    return one.heatmap().cpu()


def _known(examined: Examined) -> tuple[Kept, Source]:
    """Return where pictures to compare with come from: the training data, else the data itself."""
    return (examined.kept, "data") if examined.train is None else (examined.train, "train")


def _nearest(examined: Examined, row: int) -> list[tuple[str, str, Source]]:
    kept, (known, source) = examined.kept, _known(examined)
    found = []
    for index in (int(kept.labels[row]), int(kept.predictions[row])):
        rows = np.flatnonzero(known.labels == index)
        if source == "data":
            rows = rows[rows != row]
        if len(rows):
            near = find_neighbors(kept.features[[row]], known.features[rows], 1)
            caption = f"nearest {known.label_names[index]} (cosine {1 - near.distances[0, 0]:.2f})"
            found.append((known.ids[rows[near.rows[0, 0]]], caption, source))
    return found


def _teachers(examined: Examined, row: int) -> list[tuple[str, str, Source]]:
    """Find the pictures whose gradients spoke most for the mistaken answer, where the last layer is linear."""
    kept, (known, source) = examined.kept, _known(examined)
    usable = np.flatnonzero((known.labels >= 0) & known.defined)
    if kept.head is None or not len(usable):
        return []
    found = last_layer_influence(
        kept.features[[row]],
        kept.probabilities[[row]],
        kept.predictions[[row]],
        known.features if len(usable) == len(known) else known.features[usable],
        known.probabilities[usable],
        known.labels[usable],
        count=_TEACHERS,
        bias=True,
        own=np.searchsorted(usable, [row]) if source == "data" else None,
    )
    names = known.label_names
    return [
        (known.ids[usable[one]], f"taught this answer: {with_article(names[known.labels[usable[one]]])}", source)
        for one, amount in zip(found.helpful[0], found.helped[0])
        if one >= 0 and amount > 0
    ]


CARDS = (
    CheckCard(
        "gravest_errors",
        "why",
        check_gravest,
        depth="normal",
        needs=frozenset({"labels"}),
        reference="Pruthi, Liu, Kale and Sundararajan, 2020, arXiv:2002.08484",
        paired=True,
    ),
)
