"""The kinds of pictures on which a classifier fails: what was confirmed on pictures that took no part in the search."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, Shown, not_judged
from backlight.audit.kept import PROPERTIES, Kept
from backlight.audit.weak_slices import SliceSearch, WeakSlice, find_weak_slices
from backlight.core.errors import counted
from backlight.evaluate.slices import values_of

_LEAST, _SLICES, _SHOWN = 100, 3, 12
_BAD = 0.1  # a gap whose lower bound is above it


def check_slices(examined: Examined) -> Iterator[Finding]:
    """Look for kinds of pictures on which the answers are wrong more often, and confirm them on the other half."""
    kept = examined.kept
    wrong = len(kept) - int(kept.right.sum())
    if len(kept) < _LEAST or not 0 < wrong < len(kept):
        why = f"{counted(len(kept), 'picture')} with {counted(wrong, 'mistake')}"
        yield not_judged("weak_slices", "slices", f"{why}: at least {_LEAST} pictures, right and wrong ones", len(kept))
        return
    found = find_weak_slices(
        kept.right,
        features=kept.features if kept.features.shape[1] else None,
        properties={name: kept.properties[name] for name in PROPERTIES if name in kept.properties},
        groups={name: values_of(kept.ids, values) for name, values in examined.groups.items()},
        ids=kept.ids,
        seed=examined.seed,
    )
    yield _finding(kept, found)


def _finding(kept: Kept, found: SliceSearch) -> Finding:
    looked = f"{counted(found.looked_at, 'kind')} of pictures"
    if not found.slices:
        sentence = f"Of {looked} that were looked at on one half, none is confirmed to be weaker on the other."
        return Finding("weak_slices", "slices", 0.0, None, len(kept), "good", sentence)
    worst = found.slices[0]
    judgement: Judgement = "bad" if worst.low > _BAD else "look"
    sentence = (
        f"On {describe(worst)} {worst.error:.0%} of answers are wrong, on the others {worst.others:.0%}: "
        f"{counted(len(found.slices), 'weak slice')} of {looked} looked at on one half "
        f"{'is' if len(found.slices) == 1 else 'are'} confirmed on the other."
    )
    return Finding(
        "weak_slices",
        "slices",
        worst.gap,
        (worst.low, worst.high),
        len(kept),
        judgement,
        sentence,
        pictures=tuple(one for place, each in enumerate(found.slices[:_SLICES]) for one in _shown(kept, each, place)),
        next=f"Collect and label more pictures of the weakest slice: {describe(worst)}.",
        gain=max(0.0, worst.gap) * len(worst.rows) / len(kept),
        tables={"Weak slices": _columns(found, len(kept)), "Pictures of the weakest slice": _members(kept, worst)},
    )


def describe(one: WeakSlice) -> str:
    """Name the pictures of a slice in words, without inventing what they show.

    >>> describe(WeakSlice("camera", "old", np.arange(3), 3, 0.5, 0.1, 0.4, 0.2, 0.6, ()))
    'pictures with camera = old'
    """
    if one.kind == "properties":
        return f"pictures with {one.name}"
    if one.kind != "features":
        return f"pictures with {one.kind} = {one.name}"
    shared = [f"{'higher' if chance > 0.5 else 'lower'} {name.replace('_', ' ')}" for name, chance in one.shared]
    return f"pictures that look alike{' (' + ', '.join(shared) + ')' if shared else ''}"


def _shown(kept: Kept, one: WeakSlice, place: int) -> Iterator[Shown]:
    """Yield twelve pictures of a slice, mistakes first, the most confident ones of them first."""
    order = np.lexsort((-kept.confidence[one.rows], kept.right[one.rows]))
    for row in one.rows[order[:_SHOWN]]:
        given, taken = kept.label_names[kept.labels[row]], kept.predictions[row]
        told = "right" if kept.right[row] else f"taken for {kept.label_names[taken]}" if taken >= 0 else "no prediction"
        yield Shown(kept.ids[row], f"{given}, {told}", group=place)


def _columns(found: SliceSearch, count: int) -> dict[str, list[object]]:
    slices = found.slices
    return {
        "pictures_with": [describe(one) for one in slices],
        "share_of_pictures": [len(one.rows) / count for one in slices],
        "confirmed_on": [one.n for one in slices],
        "errors": [one.error for one in slices],
        "errors_elsewhere": [one.others for one in slices],
        "gap": [one.gap for one in slices],
        "gap_at_least": [one.low for one in slices],
        "shared": ["; ".join(f"{name} higher in {chance:.0%}" for name, chance in one.shared) for one in slices],
    }


def _members(kept: Kept, one: WeakSlice) -> dict[str, list[object]]:
    rows = one.rows.tolist()
    return {"id": [kept.ids[row] for row in rows], "right": [bool(kept.right[row]) for row in rows]}


CARDS = (
    CheckCard(
        "weak_slices",
        "slices",
        check_slices,
        needs=frozenset({"labels"}),
        reference="Chung et al., 2019, arXiv:1807.06068; Newcombe, 1998",
    ),
)
