"""The most and the least robust pictures of each class, before and after the attack."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from backlight.attack.checks import BESIDE
from backlight.attack.extremes import Extremes, Pick
from backlight.attack.robustness import Robustness
from backlight.page.embed import exact_uri
from backlight.page.sections import Facts, number
from backlight.report.attacks import Attempt, Change
from backlight.report.fill import fill
from backlight.report.looking import Embed, is_tiny
from backlight.report.picture import fooling_facts
from backlight.report.robust_classes import label_of
from backlight.report.robust_words import size_text

BYTES = 4_000_000
"""Pictures are embedded until they take so much of the page; the classes after that have none."""

_OPEN = 2  # classes whose pictures are not folded away


@dataclass(frozen=True)
class _Class:
    """One class with its attacked pictures."""

    label: str
    robust: int
    n: int
    shown: tuple[Facts, ...]


def pictures_html(found: Robustness, *, most: int = BYTES) -> Markup:
    """Write the pictures of an evaluation, least robust classes first, at most `most` bytes of them.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> str(pictures_html(Robustness(Table.of(id=["a"]), RobustnessRequest("pgd"), (), 1)))
    ''
    """
    pictures = found.pictures
    if pictures is None:
        return Markup("")
    classes: list[_Class] = []
    used = 0
    for pick in pictures.picks:
        one = _of_class(found, pictures, pick)
        size = sum(len(str(facts[name])) for facts in one.shown for name in ("crop", "result", "amplified"))
        if classes and used + size > most:
            break
        classes.append(one)
        used += size
    sees = tuple(pictures.originals.shape[-2:])
    occurring = len(set(found.table["label"].tolist()))
    facts = {
        "classes": classes,
        "left_out": occurring - len(classes),
        "by": pictures.by,
        "sees": sees,
        "tiny": is_tiny(sees),
        "open": _OPEN,
    }
    return fill("robust_pictures.html", facts)


def _of_class(found: Robustness, pictures: Extremes, pick: Pick) -> _Class:
    own = found.table["label"] == pick.label
    kinds = ["least", "most"] if len(pick.ids) == 2 else ["only"]
    shown = tuple(_picture(found, pictures, pick.label, name, kind) for name, kind in zip(pick.ids, kinds))
    return _Class(label_of(found, pick.label), int(found.table["robust"][own].sum()), int(own.sum()), shown)


def _picture(found: Robustness, pictures: Extremes, label: int, name: str, kind: str) -> Facts:
    row, place = found.table.ids.index(name), pictures.row(name)
    one = _fooling(found, pictures, place, row)
    known = found.smallest
    headings = {"least": "The least robust", "most": "The most robust", "only": "The only one that was right"}
    return {
        **fooling_facts(one, Embed(True), noise=False),
        "id": f"robust-{label}-{kind}",
        "kind": headings[kind],
        "name": name,
        "crop": exact_uri(one.original),
        "words": _words(found, row, None if known is None else known.get(name)),
    }


def _fooling(found: Robustness, pictures: Extremes, place: int, row: int) -> Attempt:
    table, threat = found.table, found.request.threat
    before, after = (logits[place].double().softmax(0) for logits in (pictures.before, pictures.after))

    def change(index: int) -> Change:
        return Change(label_of(found, index), index, float(before[index]), float(after[index]))

    return Attempt(
        method=found.request.label,
        original=pictures.originals[place],
        image=pictures.images[place],
        norm=threat.norm,
        eps=None if threat.eps is None else threat.size,
        distance=float(table["distance"][row]),
        steps=int(table["steps"][row]),
        success=not bool(table["robust"][row]),
        first=change(int(before.argmax())),
        now=change(int(after.argmax())),
        target=change(int(table["target"][row])) if "target" in table else None,
    )


def _words(found: Robustness, row: int, smallest: float | None) -> str:
    table, threat = found.table, found.request.threat
    text = size_text(threat)
    if table["robust"][row]:
        margin = float(table["margin"][row])
        words = f"withstood {found.request.label}; a margin of {number(margin)} logits was left"
    else:
        distance, steps = float(table["distance"][row]), int(table["steps"][row])
        name = str(table["broken_by"][row])
        lower = "at least " if threat.own is not None and threat.own.from_below else ""
        when = BESIDE.get(name, f"{name} at step {steps}")
        words = f"broken by {when}, {threat.norm} distance {lower}{text(distance)}"
    if smallest is not None:
        reach = f"is {text(smallest)}" if smallest < np.inf else "is not known: none was found"
        words += f"; the smallest change that fools it {reach}"
    return words
