"""The section on unknown inputs: which detector to use, at which threshold, and what the field looks like to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from backlight.audit.activations import Activations, Head
from backlight.audit.card import CheckCard
from backlight.audit.detectors import DETECTORS
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge
from backlight.audit.kept import Kept
from backlight.audit.paired import values_of
from backlight.audit.passing import look_once
from backlight.audit.proxies import PROXIES
from backlight.audit.scores import Known
from backlight.audit.separation import Separated
from backlight.audit.shift import choose_rows
from backlight.audit.unknown import CAVEAT, Unknown, detect_unknown, score_activations
from backlight.core.random import Random
from backlight.data.dataset import Dataset
from backlight.page.charts import interval_chart
from backlight.table.paired import PerPicture

_FITTED, _JUDGED, _SHOWN = 5000, 2000, 12
_PICTURES = {"quick": 100, "normal": 300, "deep": 500}
_NOISE = ("uniform noise", "Gaussian noise")
_AGAINST = "the field"


def check_unknown(examined: Examined) -> Iterator[Finding]:
    """Measure detectors of unknown inputs on made pictures, on classes left out, and on the data of the field."""
    made, examples, made_ids = _made(examined)
    known, fitted, known_ids = _known(examined)
    unknown = dict(made)
    if examined.against is not None:
        unknown[_AGAINST] = _some(examined.against, _JUDGED, examined.seed)
    found = detect_unknown(
        known,
        {name: some for name, some in unknown.items() if len(some)},
        training=fitted,
        head=examined.kept.head,
        classes_left_out=True,
        seed=examined.seed,
    )
    overall = _overall(found, examples)
    if examined.compared:
        fit = Known(fitted or known, None if examined.kept.head is None else Head.of(examined.kept.head))
        scored = score_activations([DETECTORS[found.recommended]], fit, {"": known, **made})[0]
        if found.recommended in scored:
            ids = {"": known_ids, **made_ids}
            overall = replace(overall, per_picture=_scores_of(ids, scored[found.recommended]))
    yield overall
    yield from _noise(found)
    if examined.against is not None and _AGAINST in found.sets:
        yield _field(found, examined, fitted or known)


def _some(kept: Kept, most: int, seed: int) -> Activations:
    return Activations.of_kept(kept.take(choose_rows(len(kept), most, ids=kept.ids, seed=seed)))


def _scores_of(ids: Mapping[str, Sequence[str]], scored: Mapping[str, np.ndarray]) -> PerPicture:
    """Gather the score of each picture and whether it is a known one, `[N,2]`; made pictures are told by their kind."""
    names = [f"{title} {one}" for title in scored for one in ids[title]]
    columns = [np.stack([scores, np.full(len(scores), not title)], 1) for title, scores in scored.items()]
    return values_of(names, np.concatenate(columns), _auroc)


def _auroc(values: np.ndarray) -> float:
    """Return the chance that a known picture scores above an unknown one, of scores and whether known `[N,2]`."""
    from scipy.stats import rankdata

    known = values[:, 1] > 0
    count, others = int(known.sum()), int((~known).sum())
    if not count or not others:
        return 0.5
    return float((rankdata(values[:, 0])[known].sum() - count * (count + 1) / 2) / (count * others))


def _known(examined: Examined) -> tuple[Activations, Activations | None, list[str]]:
    """Return the pictures to judge on, those to fit on where there are others, and the ids of the first."""
    kept, seed = examined.kept, examined.seed
    if examined.train is not None:
        rows = choose_rows(len(kept), _JUDGED, ids=kept.ids, seed=seed)
        return (
            Activations.of_kept(kept.take(rows)),
            _some(examined.train, _FITTED, seed),
            [kept.ids[row] for row in rows],
        )
    rows = choose_rows(len(kept), _FITTED + _JUDGED, ids=kept.ids, seed=seed)
    keys = Random((seed, "judged"), [kept.ids[row] for row in rows]).uniform(dtype=torch.float64).numpy()
    judged = np.sort(np.argsort(keys)[: min(_JUDGED, len(rows) // 2)])
    others = np.setdiff1d(np.arange(len(rows)), judged)
    both = (Activations.of_kept(kept.take(rows[part])) for part in (judged, others))
    return next(both), next(both), [kept.ids[row] for row in rows[judged]]


def _made(examined: Examined) -> tuple[dict[str, Activations], dict[str, Tensor], dict[str, list[str]]]:
    """Look at pictures made of some of the known ones: activations, one example and ids of each kind, by title."""
    if examined.classifier is None or examined.data is None:
        return {}, {}, {}
    rows = choose_rows(len(examined.kept), _PICTURES[examined.depth], ids=examined.kept.ids, seed=examined.seed)
    _, data = examined.dataset(torch.from_numpy(rows))
    found: dict[str, Activations] = {}
    examples: dict[str, Tensor] = {}
    made_ids: dict[str, list[str]] = {}
    for card in PROXIES.values():
        parts: list[Tensor] = []
        ids: list[str] = []
        for batch in data.batches(64):
            images = card.function(batch.images, Random((examined.seed, card.name), batch.ids))
            parts.append((images * 255).round().to(torch.uint8))
            ids += batch.ids
        made = torch.cat(parts)
        seen = look_once(examined.fast, replace(Dataset.of(made, ids=ids), name=card.title), folder=examined.folder)
        found[card.title] = Activations.of_kept(seen.kept)
        examples[card.title] = made[0].float() / 255
        made_ids[card.title] = list(seen.kept.ids)
    return found, examples, made_ids


def _overall(found: Unknown, examples: dict[str, Tensor]) -> Finding:
    best = found.detectors[found.recommended]
    tables = {"Detectors": found.to_columns(), "Rank correlation of detectors": _correlations(found)}
    if found.left_out:
        tables["Left out"] = {"what": list(found.left_out), "why": list(found.left_out.values())}
    words = DETECTORS[found.recommended].words
    threshold = f"it accepts 95% of the known pictures above {best.threshold:.4g}"
    if not best.sets:
        sentence = (
            f"There was nothing unknown to measure on, so the score “{words}” is recommended; {threshold}. {CAVEAT}"
        )
        return Finding("unknown_inputs", "unknown", None, None, found.n, "not judged", sentence, tables=tables)
    low, high = _mean_interval(best)
    worst = min(best.sets, key=lambda name: best.sets[name].auroc)
    sentence = (
        f"The score “{words}” tells unknown pictures from known ones best: AUROC {best.mean_auroc:.3f} on average over "
        f"{len(best.sets)} sets, {best.sets[worst].auroc:.3f} on the hardest, {worst}; {threshold}. {CAVEAT}"
    )
    rows = [(name, one.auroc, *one.auroc_interval, False) for name, one in best.sets.items()]
    chart = interval_chart(rows, alt=f"AUROC on each unknown set with 95% intervals, by the score “{words}”")
    return Finding(
        "unknown_inputs",
        "unknown",
        best.mean_auroc,
        (low, high),
        found.n,
        judge((low, high), look=0.85, bad=0.7),
        sentence,
        next=f"Turn away pictures whose score “{words}” is below {best.threshold:.4g}.",
        unit="number",
        tables=tables,
        charts={f"AUROC: {words}": chart},
        images=examples,
    )


def _mean_interval(best: Separated) -> tuple[float, float]:
    """Average the ends: at least as wide as the interval of the mean."""
    low, high = np.mean([one.auroc_interval for one in best.sets.values()], axis=0)
    return float(low), float(high)


def _correlations(found: Unknown) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {"detector": list(found.detectors)}
    return columns | {name: found.correlation[:, place].tolist() for place, name in enumerate(found.detectors)}


def _noise(found: Unknown) -> Iterator[Finding]:
    best = found.detectors[found.recommended]
    sets = [name for name in _NOISE if name in best.sets]
    if not sets:
        return
    worst = min(sets, key=lambda name: best.sets[name].auroc)
    one = best.sets[worst]
    sentence = (
        f"The score “{DETECTORS[found.recommended].words}” tells {worst} from known pictures with AUROC "
        f"{one.auroc:.3f}, and lets {one.fpr:.1%} of it pass."
    )
    judgement = judge(one.auroc_interval, look=0.95, bad=0.9)
    yield Finding("unknown_noise", "unknown", one.auroc, one.auroc_interval, one.n, judgement, sentence, unit="number")


def _field(found: Unknown, examined: Examined, fitted: Activations) -> Finding:
    best = found.detectors[found.recommended].sets[_AGAINST]
    assert examined.against is not None, "asked for only where there is data of the field"
    kept = examined.against
    rows = choose_rows(len(kept), _JUDGED, ids=kept.ids, seed=examined.seed)
    rows = rows[np.isfinite(kept.logits[rows]).all(1)]
    head = None if examined.kept.head is None else Head.of(examined.kept.head)
    some = {_AGAINST: Activations.of_kept(kept.take(rows))}
    scores = score_activations([DETECTORS[found.recommended]], Known(fitted, head), some)[0][found.recommended]
    order = np.argsort(scores[_AGAINST], kind="stable")[:_SHOWN]
    pictures = tuple(
        Shown(kept.ids[rows[row]], f"score {scores[_AGAINST][row]:.4g}", "against") for row in order.tolist()
    )
    share, interval = 1 - best.fpr, (1 - best.fpr_interval[1], 1 - best.fpr_interval[0])
    sentence = (
        f"{share:.1%} of the field's pictures look unknown to the score “{DETECTORS[found.recommended].words}”, where "
        "5% of known ones do; "
        f"it tells the two sets apart with AUROC {best.auroc:.3f}."
    )
    return Finding(
        "unknown_in_field",
        "unknown",
        share,
        interval,
        best.n,
        judge(interval, look=0.1, bad=0.3),
        sentence,
        pictures,
        next="Look at these pictures: do they show what the model was made for?",
        gain=max(0.0, share - 0.05),
    )


CARDS = (
    CheckCard(
        "unknown_inputs",
        "unknown",
        check_unknown,
        reference="OpenOOD v1.5, Zhang et al. 2023, arXiv:2306.09301",
        avoid="as a promise about unknown pictures of other kinds than those it was measured on",
        paired=True,
    ),
)
