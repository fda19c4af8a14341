"""The section on shift: how the data of the field differs from the data that the model was measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.domain import tell_apart
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, Shown
from backlight.audit.kept import PROPERTIES, Kept
from backlight.audit.shift import MOST_ROWS, ColumnShift, choose_rows, compare_columns, measure_discrepancy
from backlight.audit.words import agreeing

LEVEL = 0.005
"""The chance of an alarm of each of the five tests where nothing differs: 2.5% together."""

_MOST_CLASSES, _SHOWN = 100, 12
_FAR = 0.3  # of a Kolmogorov-Smirnov statistic, 0 to 1


def both_sets(examined: Examined, most: int | None = None) -> tuple[Kept, Kept]:
    """Return what was kept of the data and of the field, without pictures that have no well-defined prediction.

    At most `most` of each, chosen by key. Nothing is copied where nothing is left out.
    """
    assert examined.against is not None, "a check of shift needs 'against'"
    return _defined(examined.kept, most, examined.seed), _defined(examined.against, most, examined.seed)


def _defined(kept: Kept, most: int | None, seed: int) -> Kept:
    rows = np.flatnonzero(kept.defined)
    if most is not None and len(rows) > most:
        rows = rows[choose_rows(len(rows), most, ids=[kept.ids[row] for row in rows], seed=seed)]
    return kept if len(rows) == len(kept) else kept.take(rows)


def check_properties(examined: Examined) -> Iterator[Finding]:
    """Compare brightness, sharpness and the other properties of pictures of both sets."""
    first, second = both_sets(examined)
    sides = [
        {name: kept.properties[name] for name in PROPERTIES if name in kept.properties} for kept in (first, second)
    ]
    if sides[0] and sides[0].keys() == sides[1].keys():
        yield _columns(
            "property_shift", "properties", sides[0], sides[1], examined, "Find out what changed in the camera"
        )


def check_predictions(examined: Examined) -> Iterator[Finding]:
    """Compare the probabilities that the model gives in both sets."""
    first, second = both_sets(examined, MOST_ROWS)
    mean = (first.probabilities.mean(0) + second.probabilities.mean(0)) / 2
    chosen = np.sort(np.argsort(-mean, kind="stable")[:_MOST_CLASSES])
    names = first.label_names
    sides = [{names[place]: kept.probabilities[:, place] for place in chosen} for kept in (first, second)]
    yield _columns("prediction_shift", "probabilities", sides[0], sides[1], examined, "Look at the label shift below")


def _columns(
    name: str,
    words: str,
    first: Mapping[str, np.ndarray],
    second: Mapping[str, np.ndarray],
    examined: Examined,
    next_: str,
) -> Finding:
    found = compare_columns(first, second, seed=examined.seed)
    count = sum(len(next(iter(side.values()))) for side in (first, second))
    seen = [one for one in found if one.p_value < LEVEL]
    most = max(found, key=lambda one: one.statistic)
    if seen:
        most = max(seen, key=lambda one: one.statistic)
        sentence = (
            f"{len(seen)} of {len(found)} {words} {agreeing(len(seen), 'differ')} between the sets, {most.name} most: "
            f"its median goes from "
            f"{most.first_median:.3g} to {most.second_median:.3g}."
        )
    else:
        sentence = f"None of {len(found)} {words} differs more than chance allows between the two sets."
    judgement: Judgement = "good" if not seen else "bad" if most.interval[0] > _FAR else "look"
    tables = {f"Shift of {words}": _table(found)}
    advice = next_ + "." if seen else ""
    return Finding(
        name,
        "shift",
        most.statistic,
        most.interval,
        count,
        judgement,
        sentence,
        next=advice,
        unit="number",
        tables=tables,
    )


def _table(found: tuple[ColumnShift, ...]) -> dict[str, list[object]]:
    return {
        "column": [one.name for one in found],
        "statistic": [one.statistic for one in found],
        "p (Bonferroni)": [one.p_value for one in found],
        "median before": [one.first_median for one in found],
        "median in the field": [one.second_median for one in found],
    }


def check_discrepancy(examined: Examined) -> Iterator[Finding]:
    """Compare the features of both sets by a kernel."""
    first, second = both_sets(examined)
    found = measure_discrepancy(first.features, second.features, seed=examined.seed)
    seen = found.p_value < LEVEL
    sentence = (
        f"The squared maximum mean discrepancy of the features is {found.value:.2g}; of one set dealt in two it stays "
        f"below {found.chance:.2g} in 95% of cases. The sets {'differ' if seen else 'do not differ'}, "
        f"p = {found.p_value:.3g}."
    )
    yield Finding(
        "feature_shift", "shift", found.value, None, found.n, "look" if seen else "good", sentence, unit="number"
    )


def check_domain(examined: Examined) -> Iterator[Finding]:
    """Fit a classifier of the set, and show the pictures of the field that tell most."""
    first, second = both_sets(examined)
    found = tell_apart(first.features, second.features, first_ids=first.ids, second_ids=second.ids, seed=examined.seed)
    seen = found.p_value < LEVEL
    pictures = tuple(
        Shown(second.ids[row], f"of the field with probability {doubt:.2f}", "against")
        for row, doubt in zip(found.telling[:_SHOWN].tolist(), found.doubt.tolist())
        if seen and doubt > 0.5
    )
    low, high = found.interval
    sentence = (
        f"A linear probe tells the two sets apart with AUROC {found.auroc:.3f} ({low:.3f} to {high:.3f}; 0.5 is chance)"
        + (": the pictures shown tell most." if pictures else ".")
    )
    judgement: Judgement = "good" if not seen else "bad" if low > 0.8 else "look"
    advice = "Look at these pictures, and label some of them." if pictures else ""
    yield Finding(
        "domain_shift",
        "shift",
        found.auroc,
        found.interval,
        found.n,
        judgement,
        sentence,
        pictures,
        next=advice,
        unit="number",
    )


_RABANSER = "Rabanser et al., 2019, arXiv:1810.11953"
_AGAINST = frozenset({"against"})
CARDS = (
    CheckCard("property_shift", "shift", check_properties, needs=_AGAINST, reference=_RABANSER),
    CheckCard("prediction_shift", "shift", check_predictions, needs=_AGAINST, reference=_RABANSER),
    CheckCard(
        "feature_shift",
        "shift",
        check_discrepancy,
        needs=_AGAINST | {"features"},
        reference="Gretton et al., 2012, JMLR 13",
    ),
    CheckCard("domain_shift", "shift", check_domain, needs=_AGAINST | {"features"}, reference=_RABANSER),
)
