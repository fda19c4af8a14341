"""The section of hardening: what it gained under attack, what it cost, which classes pay, and what that looks like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from backlight.audit.hardening import CALIBRATION, CLEAN, CORRUPTED, Gain, Hardening
from backlight.corrupt.comparing import compare_studies
from backlight.page.sections import Section, percent
from backlight.report.fill import fill
from backlight.report.hardened_pictures import HardenedPicture
from backlight.report.robust_words import stand_in_words, threat_words

_MANY = 30  # pictures of a class from which its accuracy says something


class _Row(NamedTuple):
    """One number of the table: in words, before and after, and in words what to think of the difference."""

    words: str
    gain: Gain
    judged: str
    share: bool


def hardening_section(
    found: Hardening, names: tuple[str, str], *, data: str = "", pictures: Sequence[HardenedPicture] = ()
) -> Section:
    """Write the section; `names` are those of the model before and of the one after."""
    before, after = found.before, found.after
    threat = before.robust[-1].request.threat
    kinds = {name: one for name, one in compare_studies(before.corrupted, after.corrupted).items() if name != CLEAN}
    least = min((one.clean.change.n or 0 for one in found.classes), default=0)
    facts = {
        "names": names,
        "data": data,
        "n": found.gains[CLEAN].change.n,
        "rows": [_row(name, one, found) for name, one in found.gains.items()],
        "said": hardening_words(found),
        "strongest": found.strongest,
        "allowed": threat_words(threat),
        "classes": found.classes,
        "pays": paying_words(found),
        "few": least < _MANY,
        "kinds": [(name.replace("_", " "), one) for name, one in kinds.items() if name != "mean"],
        "pictures": pictures,
        "doubts": after.robust[-1].verdicts,
        "stands_in": stand_in_words(after.robust[-1]),
    }
    return Section("hardening", "Before and after hardening", fill("hardening.html", facts))


def hardening_headline(found: Hardening) -> str:
    """Say in a line what hardening gained and what it cost."""
    clean, robust = found.gains[CLEAN].change, found.gains[found.strongest].change
    attacked = f"{percent(robust.before)} right under {found.strongest} before, {percent(robust.now)} after"
    return f"{attacked}; {percent(clean.before)} and {percent(clean.now)} as they are"


def hardening_words(found: Hardening) -> list[Markup]:
    """Describe in a sentence each what was gained under attack, what it cost, and what became of the rest."""
    gains = found.gains
    return [
        _told("Under attack", gains[found.strongest], "withstands", "of the pictures"),
        _told("Without attack", gains[CLEAN], "names", "right"),
        _told("Under noise, blur, weather and compression", gains[CORRUPTED], "names", "right"),
        _told("What it says about its certainty", gains[CALIBRATION], "is off by", "on average"),
    ]


def paying_words(found: Hardening) -> str:
    """Describe which classes pay for it with their clean accuracy, where that is more than chance."""
    if not found.classes:
        return ""
    paying = [one.name for one in found.paying]
    if paying:
        listed = paying[0] if len(paying) == 1 else f"{', '.join(paying[:-1])} and {paying[-1]}"
        verb = "pays" if len(paying) == 1 else "pay"
        return f"{listed} {verb} for it: fewer of these pictures are named right than before, by more than chance."
    worst = found.classes[0]
    if worst.clean.change.difference >= 0:
        return "No class pays for it."
    return (
        f"{worst.name} seems to pay most, but with {worst.clean.change.n} pictures of it that may be chance, as may be "
        "what the other classes lost."
    )


def _told(where: str, gain: Gain, verb: str, what: str) -> Markup:
    change, low, high = gain.change, *gain.change.interval
    subject = "" if gain.name == CALIBRATION else " the model after"
    form = "{}{} {} <strong>{}</strong> {}, before it was {}: {:+.0f} points, plausibly {:+.0f} to {:+.0f}{}"
    points = (100 * one for one in (change.difference, low, high))
    chance = "." if gain.clear else ", so this may be chance."
    return Markup(form).format(where, subject, verb, percent(change.now), what, percent(change.before), *points, chance)


def _row(name: str, gain: Gain, found: Hardening) -> _Row:
    kinds, severities = len(found.before.corrupted.counted), len(found.before.corrupted.request.severities)
    words = {
        CLEAN: "as they are",
        CORRUPTED: f"corrupted: mean of {kinds} kinds in {severities} severities",
        CALIBRATION: "calibration error (lower is better)",
    }
    better = gain.change.difference < 0 if name == CALIBRATION else gain.change.difference > 0
    judged = "may be chance" if not gain.clear else "better" if better else "worse"
    return _Row(words.get(name, f"under {name}"), gain, judged, name != CALIBRATION)
