"""The section on shortcuts: what the frame alone and shuffled tiles say about what a model looks at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, judge
from backlight.audit.frames import FRAME, blur_frame, keep_frame
from backlight.audit.proxies import shuffle_patches
from backlight.audit.shift import choose_rows
from backlight.core.random import Random
from backlight.table.statistics import newcombe, wilson

_PICTURES = {"quick": 200, "normal": 400, "deep": 1000}
_TILES = 4
_TELLS, _SURELY = 0.1, 0.3  # how much more often a class is named in its own pictures than in others
_CHANCE = 0.01


@dataclass(frozen=True)
class Told:
    """How much predictions tell of one class: how often it is named in its `own` pictures and in `others`.

    >>> told_by([0, 0, 1, 1] * 20, [0, 0, 1, 1] * 20, 2)[0].difference
    1.0
    """

    place: int
    own: float
    others: float
    interval: tuple[float, float]
    p_value: float

    @property
    def difference(self) -> float:
        """Return by how much it is named more often in its own pictures."""
        return self.own - self.others

    @property
    def is_told(self) -> bool:
        """Whether that is more than a little and more than chance."""
        return self.p_value < _CHANCE and self.interval[0] > _TELLS


def told_by(labels: np.ndarray | list[int], predictions: np.ndarray | list[int], classes: int) -> list[Told]:
    """Measure how much predictions tell of each class, the most first; classes without pictures are left out.

    A prediction that does not depend on the picture tells nothing of any class, however often it is right. Fisher's
    exact test, one-sided, corrected for the number of classes (Bonferroni).

    >>> [round(one.difference, 2) for one in told_by([0, 1] * 10, [1] * 20, 2)]
    [0.0, 0.0]
    """
    from scipy.stats import hypergeom

    truth, said = np.asarray(labels), np.asarray(predictions)
    found = []
    for place in range(classes):
        own = truth == place
        if not own.any() or own.all():
            continue
        right, wrong = int((said[own] == place).sum()), int((said[~own] == place).sum())
        count, rest = int(own.sum()), int((~own).sum())
        p_value = min(1.0, classes * float(hypergeom.sf(right - 1, len(truth), count, right + wrong)))
        found.append(Told(place, right / count, wrong / rest, newcombe(right, count, wrong, rest), p_value))
    return sorted(found, key=lambda one: -one.difference)


def check_frame(examined: Examined) -> Iterator[Finding]:
    """Look at pictures whose frame is blurred, at frames alone and at shuffled tiles."""
    rows = choose_rows(len(examined.kept), _PICTURES[examined.depth], ids=examined.kept.ids, seed=examined.seed)
    names = examined.kept.label_names
    labels, said, examples = _looks(examined, rows)
    told = told_by(labels, said["frame alone"], len(names))
    named = [one for one in told if one.is_told]
    yield _frame_finding(told, named, names, said, labels, examples)
    yield _blurred_finding(labels, said, bool(named))
    yield _tiles_finding(labels, said)


def _looks(examined: Examined, rows: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, Tensor]]:
    """Return labels, predictions by what was done to the pictures, and one example of each."""
    classifier, data = examined.dataset(torch.from_numpy(rows))
    parts: dict[str, list[Tensor]] = {}
    examples: dict[str, Tensor] = {}
    labels: list[Tensor] = []
    for batch in data.batches(32):
        random = Random((examined.seed, "tiles"), batch.ids)
        views = {
            "whole": batch.images,
            "frame blurred": blur_frame(batch.images),
            "frame alone": keep_frame(batch.images),
            "tiles shuffled": shuffle_patches(batch.images, random, _TILES),
        }
        labels.append(batch.labels)
        for name, view in views.items():
            with torch.no_grad():
                logits = classifier.logits(view.to(classifier.device)).cpu()
            parts.setdefault(name, []).append(logits.argmax(1))
            examples.setdefault(name, view[0].cpu())
    return torch.cat(labels).numpy(), {name: torch.cat(one).numpy() for name, one in parts.items()}, examples


def _frame_finding(
    told: list[Told],
    named: list[Told],
    names: tuple[str, ...],
    said: dict[str, np.ndarray],
    labels: np.ndarray,
    examples: dict[str, Tensor],
) -> Finding:
    table: dict[str, list[object]] = {
        "class": [names[one.place] for one in told],
        "named in its own frames": [one.own for one in told],
        "named in others": [one.others for one in told],
        "p (Bonferroni)": [one.p_value for one in told],
    }
    most = told[0] if told else None
    accuracy = {name: f"{(one == labels).mean():.1%}" for name, one in said.items()}
    if named:
        words = ", ".join(names[one.place] for one in named[:5])
        sentence = (
            f"The frame of a picture alone, its outer {FRAME:.0%}, tells {words}: {names[named[0].place]} is named in "
            f"{named[0].own:.0%} of its own frames and in {named[0].others:.0%} of others. A shortcut is likely."
        )
    else:
        sentence = f"The frame of a picture alone tells no class; {accuracy['frame alone']} of the answers are right."
    judgement: Judgement = "good" if not named else "bad" if named[0].interval[0] > _SURELY else "look"
    return Finding(
        "frame_alone",
        "shortcuts",
        most.difference if most else None,
        most.interval if most else None,
        len(labels),
        judgement,
        sentence,
        next="Look for marks in the frame, and cut or cover them before training again." if named else "",
        tables={"What the frame tells": table},
        images=examples,
    )


def _blurred_finding(labels: np.ndarray, said: dict[str, np.ndarray], named: bool) -> Finding:
    before, after = said["whole"] == labels, said["frame blurred"] == labels
    lost, won, count = int((before & ~after).sum()), int((~before & after).sum()), len(labels)
    drop = (lost - won) / count
    half = 1.96 * max(lost + won - (lost - won) ** 2 / count, 1.0) ** 0.5 / count
    interval = (drop - half, drop + half)
    sentence = f"With the frame blurred, {after.mean():.1%} are right instead of {before.mean():.1%}"
    # Things reach into the frame too: without a frame that tells classes, a drop says nothing about shortcuts.
    judgement = judge(interval, look=0.02, bad=0.2) if named else "good"
    tail = "." if named or drop <= 0 else ", as things reach into it; the frame alone tells no class."
    return Finding("frame_blurred", "shortcuts", drop, interval, count, judgement, sentence + tail)


def _tiles_finding(labels: np.ndarray, said: dict[str, np.ndarray]) -> Finding:
    before, after = said["whole"] == labels, said["tiles shuffled"] == labels
    chance = np.bincount(labels).max() / len(labels)
    low, high = wilson(int(after.sum()), len(after))
    most = chance + 0.9 * max(float(before.mean()) - chance, 0.0)
    texture = low > most and float(before.mean()) > chance + 0.1
    sentence = (
        f"On pictures whose {_TILES} x {_TILES} tiles are shuffled, {after.mean():.1%} are right, of whole pictures "
        f"{before.mean():.1%}" + (": texture or small marks decide, shape hardly does." if texture else ".")
    )
    judgement: Judgement = "look" if texture else "good"
    return Finding("shuffled_tiles", "shortcuts", float(after.mean()), (low, high), len(labels), judgement, sentence)


CARDS = (
    CheckCard(
        "frame",
        "shortcuts",
        check_frame,
        depth="normal",
        needs=frozenset({"pictures", "labels"}),
        reference="Xiao et al., 2021, arXiv:2006.09994; Geirhos et al., 2020, arXiv:2004.07780",
        avoid="things that fill the whole picture",
    ),
)
