"""The page and the sheet of pictures that were attacked: original, noise, result, with what was said of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from backlight.attack import ThreatModel
from backlight.attack.adversarial import AttackResult
from backlight.attack.referee import judge_logits
from backlight.images.render import amplify
from backlight.images.sheets import grid
from backlight.page.embed import LARGEST, exact_uri
from backlight.page.sections import Section, percent
from backlight.report.attacks import Attempt, Change
from backlight.report.fill import fill
from backlight.report.looking import Embed, is_tiny
from backlight.report.picture import amplification_of, fooling_facts
from backlight.report.robust_words import threat_words

MOST_SHOWN = 48
"""How many pictures a page and a sheet show at most, so that both can still be opened and sent."""


@dataclass(frozen=True, eq=False, repr=False)
class Attacked:
    """One attacked picture: its name, what was done, within which threat model, and how close it was.

    `margin` is in logits, below 0 where fooled; `note` says what may be the reason of a failure, `film` is a data
    URI of how it went.
    """

    name: str
    attempt: Attempt
    threat: ThreatModel
    margin: float
    note: str = ""
    film: str = ""

    @property
    def verdict(self) -> str:
        """Describe in a sentence what came of it."""
        one = self.attempt
        before = f"{one.first.label} ({percent(one.first.before)} sure)"
        if one.success:
            return f"Fooled: it was {before}, now it is {one.now.label} ({percent(one.now.after)} sure)."
        aim = f", not {one.target.label}" if one.target else ""
        if one.now.index == one.first.index:
            return f"Not fooled: it was {before} and still is ({percent(one.first.after)} sure){aim}."
        return f"Not fooled: it was {before}, now it is {one.now.label} ({percent(one.now.after)} sure){aim}."


def attempts(result: AttackResult, images: Tensor) -> list[Attempt]:
    """Return what an attack did to each picture, as the files `images` `[B,C,H,W]` that were kept of it show it.

    >>> import torch
    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.attack import attack
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> result = attack(classifier, torch.rand(2, 3, 2, 2), steps=2)
    >>> len(attempts(result, result.images))
    2
    """
    judge, rows = result.referee.classifier, torch.arange(len(result), device=images.device)
    known, verdict = result.referee.clean, result.referee.judge(images)
    # What was judged is not looked at again.
    logits = (judge_logits(judge, result.originals) if known is None else known, result.referee.logits(images, rows))
    before, after = (judge.head.probabilities(one).double().cpu() for one in logits)
    found = []
    for row in range(len(result)):

        def change(index: int, row: int = row) -> Change:
            return Change(judge.label(index), index, float(before[row, index]), float(after[row, index]))

        attempt = Attempt(
            method=result.method,
            original=result.originals[row].cpu(),
            image=images[row].cpu(),
            norm=result.threat.norm,
            eps=None if result.threat.eps is None else result.threat.size,
            distance=float(verdict.distance[row]),
            steps=int(result.steps[row]),
            success=bool(verdict.success[row]),
            first=change(int(result.label_before[row])),
            now=change(int(verdict.prediction[row])),
            target=None if result.targets is None else change(int(result.targets[row])),
        )
        found.append(attempt)
    return found


def attacked_section(one: Attacked, place: int) -> Section:
    """Write the section of one attacked picture, the `place`-th of the page."""
    attempt = one.attempt
    sees = tuple(attempt.image.shape[-2:])
    facts = {
        "anchor": f"picture-{place}",
        "name": one.name,
        "shown": one,
        "attack": fooling_facts(attempt, Embed(True), noise=False),
        "crop": exact_uri(attempt.original),
        "sees": sees,
        "tiny": is_tiny(sees),
        "exact": max(sees) <= LARGEST,
        "allowed": threat_words(one.threat),
        "distance": one.threat.measured(attempt.distance) + _in_pixels(attempt),
        "l2": None if one.threat.own is None else float(attempt.perturbation.double().norm()),
    }
    return Section(f"picture-{place}", one.name, fill("attacked.html", facts))


def _in_pixels(attempt: Attempt) -> str:
    width = attempt.image.shape[-1]
    return f", {attempt.distance * width / 2:.2g} of {width} pixels" if attempt.norm == "flow" else ""


def attack_headline(shown: Sequence[Attacked]) -> str:
    """Say how many of these pictures were fooled, of a single one what became of it.

    >>> attack_headline([])
    '0 of 0 fooled'
    """
    if len(shown) == 1:
        return shown[0].verdict
    return f"{sum(one.attempt.success for one in shown)} of {len(shown)} fooled"


def attack_sheet(shown: Sequence[Attacked]) -> Image.Image:
    """Lay out a row for each picture: the original, the noise made visible, the result, each with its words.

    Raises InputError for no pictures, and for numbers of channels other than 1 and 3.
    """
    cells: list[Tensor] = []
    words: list[str] = []
    for one in shown:
        attempt = one.attempt
        factor, kind = amplification_of(attempt.norm), "noise" if one.threat.own is None else "difference"
        cells += [attempt.original, amplify(attempt.perturbation, factor), attempt.image]
        fooled = "" if attempt.success else "not fooled: "
        words += [
            f"{attempt.first.label.split(',')[0]}, {percent(attempt.first.before)}",
            f"{kind} x{factor}, {one.threat.norm} {one.threat.measured(attempt.distance)}",
            f"{fooled}{attempt.now.label.split(',')[0]}, {percent(attempt.now.after)}",
        ]
    return grid(cells, 3, words)
