"""Whether pictures are there more than once: as exact and near copies, which count twice and may be labeled twice."""

from __future__ import annotations

from collections.abc import Iterator

from backlight.audit.card import CheckCard
from backlight.audit.duplicates import DuplicateGroup, duplicates_of
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge
from backlight.audit.health import BAD, LOOK, UNSURE
from backlight.audit.kept import Kept
from backlight.audit.words import agreeing, number_of, some_of, with_article
from backlight.table.statistics import exact_interval

_SHOWN = 12


def check_duplicates(examined: Examined) -> Iterator[Finding]:
    """Find pictures that are there more than once within the data: exactly, and nearly."""
    kept = examined.kept
    groups = duplicates_of(kept)
    for name, word, exact in (("exact_duplicates", "exact copy", True), ("near_duplicates", "near copy", False)):
        yield _copies(name, word, [group for group in groups if group.exact == exact], kept)


def _copies(name: str, word: str, groups: list[DuplicateGroup], kept: Kept) -> Finding:
    copies, count = sum(group.copies for group in groups), len(kept)
    interval = exact_interval(copies, count)
    torn = [group for group in groups if len({int(kept.labels[row]) for row in group.rows} - {-1}) > 1]
    several = word.replace("copy", "copies")
    what = f"{with_article(word)} of another" if copies == 1 else f"{several} of others"
    sentence = f"{some_of(copies, count)} {what}" if copies else f"No picture has {several}"
    sentence += (
        f"; {number_of(len(torn), 'group')} of them {agreeing(len(torn), 'have')} several labels." if torn else "."
    )
    shown = sorted(groups, key=lambda group: group not in torn)
    judgement = judge(interval, look=LOOK, bad=BAD, unsure=UNSURE)
    return Finding(
        name,
        "health",
        copies / count,
        interval,
        count,
        "look" if torn and judgement == "good" else judgement,
        sentence,
        tuple(
            Shown(kept.ids[row], kept.label_of(row), group=place)
            for place, group in enumerate(shown[:_SHOWN])
            for row in group.rows[:4]
        ),
        "Keep one of each group; where labels differ, at most one is right." if copies else "",
        gain=copies / count,
        tables={"Copies": group_table(groups, [kept])} if groups else {},
    )


def group_table(groups: list[DuplicateGroup], parts: list[Kept]) -> dict[str, list[object]]:
    """List the members of groups of duplicates, a row each; rows of groups count on from one data set to the next.

    The second data set is the training; names of data sets are paths, which concern no reader.
    """
    rows = [(place, *located(row, parts)) for place, group in enumerate(groups) for row in group.rows]
    return {
        "group": [place for place, _, _ in rows],
        "data": ["here" if part is parts[0] else "training" for _, part, _ in rows],
        "picture": [part.ids[row] for _, part, row in rows],
        "label": [part.label_of(row) for _, part, row in rows],
        "exact": [groups[place].exact for place, _, _ in rows],
    }


def located(row: int, parts: list[Kept]) -> tuple[Kept, int]:
    """Return the data set of a row that counts on from one to the next, and the row within it.

    >>> import numpy as np
    >>> kept = Kept.of(np.zeros((3, 2)))
    >>> located(4, [kept, kept])[1]
    1
    """
    for part in parts:
        if row < len(part):
            return part, row
        row -= len(part)
    raise IndexError(row)


CARDS = (
    CheckCard(
        "duplicates", "health", check_duplicates, avoid="copies that were turned or mirrored: they are not found"
    ),
)
