"""Whether pictures are fit to be learned from and measured on: light, blur, shape, color, balance."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, Shown, judge
from backlight.audit.kept import Kept
from backlight.audit.words import agreeing, number_of, pictures, some_of
from backlight.page.charts import bar_chart
from backlight.table.statistics import exact_interval

LOOK, BAD = 0.01, 0.05
"""Shares of odd pictures from which they are worth a look, and bad."""

UNSURE = 2 * BAD  # an interval from none to more than this says nothing: that of fewer than 36 pictures does

_SHOWN, _BARS = 12, 20
_SOURCE = "cleanvision 0.3, github.com/cleanlab/cleanvision"
_IQR, _UNBALANCED, _SCARCE = 3.0, 10.0, 100.0


@dataclass(frozen=True)
class HealthRule:
    """One way in which pictures are odd: which rows `[N]` are, the property that says how much, and the next step.

    `show` names the property by which the oddest come first, the lowest, or with a minus the highest first. `bad` is
    the share from which such pictures are bad; those that are only unlike the others are never more than worth a look.

    >>> rule = RULES["dark_pictures"]
    >>> rule.odd(Kept.of(np.zeros((2, 2)), luminance_99=np.array([0.1, 0.9]))).tolist()
    [True, False]
    """

    words: str
    odd: Callable[[Kept], np.ndarray]
    show: str
    next: str
    bad: float = BAD


def _sizes_apart(kept: Kept) -> np.ndarray:
    size = kept.properties["size"]
    low, high = np.percentile(size, (25, 75))
    return (size < low - _IQR * (high - low)) | (size > high + _IQR * (high - low))


def _grey_among_colored(kept: Kept) -> np.ndarray:
    grey = kept.properties["colorfulness"] == 0
    return grey & ~grey.all()


RULES = {
    "dark_pictures": HealthRule(
        "dark: 99% of the pixels are below a third of full light",
        lambda kept: kept.properties["luminance_99"] < 0.32,
        "luminance_99",
        "Look whether anything can be seen; take them out or light them before training.",
    ),
    "light_pictures": HealthRule(
        "overexposed: 95% of the pixels are nearly white",
        lambda kept: 1 - kept.properties["luminance_5"] < 0.05,
        "-luminance_5",
        "Look whether anything can be seen; take them out.",
    ),
    "blurred_pictures": HealthRule(
        "blurred, even at 64 pixels",
        lambda kept: kept.properties["blur_score"] < 0.29,
        "blur_score",
        "Take them out of the test, or keep them if the field is as blurred.",
    ),
    "odd_aspect": HealthRule(
        "almost three times as long as wide",
        lambda kept: kept.properties["aspect"] < 0.35,
        "aspect",
        "Mind that the crop to the input size leaves most of such a picture out.",
        bad=1.0,
    ),
    "odd_size": HealthRule(
        "of a size far from the others",
        _sizes_apart,
        "size",
        "Look where they come from: another source may be another kind of picture.",
        bad=1.0,
    ),
    "grey_pictures": HealthRule(
        "grey, among colored ones",
        _grey_among_colored,
        "contrast",
        "Look whether classes differ by it: see the shortcuts.",
        bad=1.0,
    ),
    "empty_pictures": HealthRule(
        "nearly of one color: low information",
        lambda kept: 0.1 * kept.properties["entropy"] < 0.3,
        "entropy",
        "Take them out: there is nothing to see.",
    ),
}
"""Every rule of picture health by the name of its finding; thresholds are cleanvision's."""


def check_pictures(examined: Examined) -> Iterator[Finding]:
    """Find pictures that cannot be read, and those that each rule of `RULES` calls odd."""
    kept = examined.kept
    broken, count = len(kept.failed), len(kept) + len(kept.failed)
    interval = exact_interval(broken, count)
    yield Finding(
        "broken_pictures",
        "health",
        broken / count,
        interval,
        count,
        "good" if not broken else "bad" if interval[0] > LOOK else "look",
        f"{broken:,} of {pictures(count)} cannot be read." if broken else "Every picture can be read.",
        next="Mend or delete the files that the table names." if broken else "",
        gain=broken / count,
        tables={
            "Files that cannot be read": {
                "file": [one.path for one in kept.failed],
                "error": [one.error for one in kept.failed],
            }
        }
        if broken
        else {},
    )
    for name, rule in RULES.items():
        yield _odd(name, rule, kept)


def _odd(name: str, rule: HealthRule, kept: Kept) -> Finding:
    odd = rule.odd(kept)
    number, count = int(odd.sum()), len(kept)
    interval = exact_interval(number, count)
    column = kept.properties[rule.show.removeprefix("-")]
    rows = np.flatnonzero(odd)
    order = np.argsort(-column[rows] if rule.show.startswith("-") else column[rows], kind="stable")
    worst = rows[order]
    words = f"{some_of(number, count)} {rule.words}."
    shown = rule.show.removeprefix("-")
    return Finding(
        name,
        "health",
        number / count,
        interval,
        count,
        judge(interval, look=LOOK, bad=rule.bad, unsure=UNSURE),
        words if number else f"None of {pictures(count)} is {rule.words}.",
        tuple(Shown(kept.ids[row], kept.label_of(row)) for row in worst[:_SHOWN]),
        rule.next if number else "",
        tables={"Pictures": {"id": [kept.ids[row] for row in worst], shown: column[worst].tolist()}} if number else {},
    )


def check_balance(examined: Examined) -> Iterator[Finding]:
    """Find how many times the commonest class is as common as the rarest, and classes without pictures."""
    kept = examined.kept
    counts = np.bincount(kept.labels, minlength=len(kept.label_names))
    present = counts[counts > 0]
    ratio = float(present.max() / present.min())
    most, least = int(counts.argmax()), int(np.where(counts > 0, counts, np.iinfo(np.int64).max).argmin())
    absent = int((counts == 0).sum())
    sentence = f"Each class that occurs has {pictures(int(counts[most]))}"
    if ratio > 1:
        sentence = f"The commonest class, {kept.label_names[most]}, has {pictures(int(counts[most]))}"
        sentence += f", the rarest, {kept.label_names[least]}, {int(counts[least]):,}"
    sentence += f"; {number_of(absent, 'class')} of the model {agreeing(absent, 'have')} none." if absent else "."
    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    judgement: Judgement = "bad" if ratio > _SCARCE else "look" if ratio > _UNBALANCED else "good"
    bars = [(kept.label_names[row], int(counts[row]) / len(kept)) for row in order[:_BARS]]
    yield Finding(
        "class_balance",
        "health",
        ratio,
        None,
        len(kept),
        judgement,
        sentence,
        next="Collect pictures of the rarest classes, or read accuracy class by class." if ratio > _UNBALANCED else "",
        unit="number",
        tables={
            "Pictures by class": {"class": [kept.label_names[row] for row in order], "pictures": counts[order].tolist()}
        },
        charts={
            f"Share of the pictures, by class{' (the commonest)' if len(order) > _BARS else ''}": bar_chart(
                bars, alt="Share of the pictures by class"
            )
        },
    )


CARDS = (
    CheckCard(
        "pictures", "health", check_pictures, reference=_SOURCE, avoid="pictures that are dark or blurred by intent"
    ),
    CheckCard("class_balance", "health", check_balance, needs=frozenset({"labels"}), avoid="samples drawn by class"),
)
