"""Does the classifier know what it does not know? Every detector on every unknown set, and which one to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from backlight.audit.activations import Activations, Head
from backlight.audit.detectors import DEFAULT, DETECTORS, DetectorCard
from backlight.audit.kept import LinearHead
from backlight.audit.left_out import LeftOut, leave_classes_out
from backlight.audit.scores import Known
from backlight.audit.separation import Separated, measure_separation
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed

LEFT_OUT = "classes left out"
CAVEAT = (
    "No detector is safe everywhere: the best one on these sets can fail on others, so measure it again on pictures "
    "of the place where it is used."
)


@dataclass(frozen=True, eq=False, repr=False)
class Unknown:
    """What detectors make of unknown pictures, the best first, by the mean AUROC over the sets.

    `left_out` says why a detector (or the set of left-out classes) is missing, `correlation` `[M,M]` how alike the
    detectors rank the `n` known pictures (Spearman).

    >>> seen = Activations.of(torch.eye(4).repeat(5, 1) * 9)
    >>> found = detect_unknown(seen, {"blank": Activations.of(torch.zeros(6, 4))})
    >>> found.detectors[found.recommended].sets["blank"].auroc
    1.0
    """

    detectors: Mapping[str, Separated]
    left_out: Mapping[str, str]
    correlation: np.ndarray
    n: int

    @property
    def recommended(self) -> str:
        """Name the detector with the largest mean AUROC; `gen` where there was nothing to measure."""
        names = list(self.detectors)
        return DEFAULT if DEFAULT in names and not self.detectors[DEFAULT].sets else names[0]

    @property
    def sets(self) -> list[str]:
        """Name the unknown sets."""
        return list(next(iter(self.detectors.values())).sets)

    def to_columns(self) -> dict[str, list[Any]]:
        """Return the table of detectors: AUROC and false acceptances of each set, threshold."""
        rows = self.detectors.items()
        columns: dict[str, list[Any]] = {"detector": [name for name, _ in rows]}
        columns["measures"] = [DETECTORS[name].words if name in DETECTORS else name for name, _ in rows]
        for one in self.sets:
            columns[f"AUROC: {one}"] = [found.sets[one].auroc for _, found in rows]
            columns[f"accepted: {one}"] = [found.sets[one].fpr for _, found in rows]
        return {**columns, "mean AUROC": [found.mean_auroc for _, found in rows]} | {
            "threshold": [found.threshold for _, found in rows]
        }


def detect_unknown(
    known: Activations,
    unknown: Mapping[str, Activations],
    *,
    training: Activations | None = None,
    head: Head | LinearHead | None = None,
    detectors: Sequence[str] = (),
    classes_left_out: bool = False,
    accept: float = 0.95,
    seed: Seed = 0,
) -> Unknown:
    """Measure how detectors tell unknown pictures from known ones, from stored logits and features alone.

    Detectors are fitted on `training`; without it on one half of the known pictures, and judged on the other. `head`
    is the last layer where it is linear; detectors that need what is not there are left out, with the reason.
    `detectors` are names of `DETECTORS` (all, if none is named). `classes_left_out` adds the set of classes that a
    probe has not seen (see `leave_classes_out`). The threshold of each accepts a share `accept` of the known ones.
    Scores are larger for pictures that look known. Source: OpenOOD v1.5, Zhang et al. 2023, arXiv:2306.09301.

    Raises InputError for too few pictures and for sets that do not fit together; UsageError for unknown names.

    >>> seen = Activations.of(torch.eye(4).repeat(5, 1) * 9)
    >>> list(detect_unknown(seen, {}).left_out)[:2]
    ['knn', 'mds']
    """
    layer = Head.of(head) if isinstance(head, LinearHead) else head
    judged, fitted = (known, training) if training is not None else _halves(known, seed)
    if len(judged) < 2 or len(fitted) < 2:
        raise InputError(f"{len(known)} known pictures", expected="four at least, to fit on some and judge on others")
    _check_widths([fitted, judged, *unknown.values()])
    fit = Known(fitted, layer)
    cards = [DETECTORS.find(name) for name in detectors or DETECTORS]
    here, missing = _available(cards, fit, [judged, *unknown.values()])
    scored, failed = score_activations(here, fit, {"": judged, **unknown})
    missing |= failed
    if not scored:
        raise InputError(f"no detector fits: {missing}", expected="one that needs logits alone, such as gen")
    left = [card for card in here if card.name in scored]
    near = _near(fit, left, seed, missing) if classes_left_out else None
    measured = {name: _measured(name, sets, near, accept, (seed, name)) for name, sets in scored.items()}
    order = sorted(measured, key=lambda name: -np.nan_to_num(measured[name].mean_auroc))
    correlation = _correlation([scored[name][""] for name in order])
    return Unknown({name: measured[name] for name in order}, missing, correlation, len(judged))


def _halves(known: Activations, seed: Seed) -> tuple[Activations, Activations]:
    order = Random((seed, "halves"), torch.arange(len(known))).uniform(dtype=torch.float64).argsort()
    middle = (len(order) + 1) // 2
    return known.take(order[:middle].sort().values), known.take(order[middle:].sort().values)


def _check_widths(sets: Sequence[Activations]) -> None:
    for name in ("logits", "features"):
        widths = {one.shape[1] for some in sets if (one := getattr(some, name)) is not None}
        if len(widths) > 1:
            raise InputError(f"{name} of {sorted(widths)} columns", expected="as many in every set")
    if any(not len(some) for some in sets):
        raise InputError("an empty set of pictures", expected="at least one picture in each")


def _available(
    cards: Sequence[DetectorCard], fit: Known, sets: Sequence[Activations]
) -> tuple[list[DetectorCard], dict[str, str]]:
    has = fit.has if all(one.features is not None for one in sets) else fit.has - {"features", "head"}
    words = {"features": "features", "head": "a last layer that is linear", "logits": "logits"}
    missing = {
        card.name: "needs " + " and ".join(words[need] for need in sorted(card.needs - has))
        for card in cards
        if card.needs - has
    }
    return [card for card in cards if card.name not in missing], missing


def score_activations(
    cards: Sequence[DetectorCard], fit: Known, sets: Mapping[str, Activations]
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """Score sets of pictures by each detector: float64 `[N]` by detector and set; and why a detector gives none.

    >>> known = Known(Activations.of(torch.eye(4)))
    >>> score_activations([DETECTORS["max_logit"]], known, {"self": known.seen})[0]["max_logit"]["self"].tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    fitted, missing = {}, {}
    for card in cards:
        try:
            fitted[card.name] = card.fit(fit)
        except InputError as error:
            missing[card.name] = str(error)
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in fitted}
    for title, some in sets.items():
        parts: dict[str, list[torch.Tensor]] = {name: [] for name in fitted}
        for chunk in some.chunks():
            for name, score in fitted.items():
                parts[name].append(score(chunk).double())
        for name, scores in parts.items():
            found[name][title] = torch.cat(scores).numpy()
    unsound = [name for name, scored in found.items() if not all(np.isfinite(one).all() for one in scored.values())]
    missing |= dict.fromkeys(unsound, "its scores are not finite here")
    return {name: scored for name, scored in found.items() if name not in missing}, missing


def _near(fit: Known, cards: Sequence[DetectorCard], seed: Seed, missing: dict[str, str]) -> LeftOut | None:
    try:
        return leave_classes_out(fit.seen, cards, seed=seed)
    except InputError as error:
        missing[LEFT_OUT] = str(error)
        return None


def _measured(
    name: str, scored: Mapping[str, np.ndarray], near: LeftOut | None, accept: float, seed: Seed
) -> Separated:
    sets = {title: scores for title, scores in scored.items() if title}
    found = measure_separation(scored[""], sets, accept=accept, seed=seed)
    if near is None:
        return found
    others = measure_separation(near.known_of(name), {LEFT_OUT: near.unknown_of(name)}, accept=accept, seed=seed)
    return replace(found, sets={**found.sets, **others.sets})


def _correlation(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Compute the rank correlation of detectors on the known pictures (Spearman 1904)."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(one) for one in scores])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.atleast_2d(np.corrcoef(ranks))
