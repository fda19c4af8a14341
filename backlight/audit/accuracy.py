"""How often a classifier is right, and against what that is much: baselines, classes, confusions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Shown, judge
from backlight.audit.kept import Kept
from backlight.audit.neighbors import find_neighbors
from backlight.audit.paired import values_of
from backlight.audit.probe import fit_probe
from backlight.audit.words import number_of, pictures, some_of
from backlight.evaluate.confusion import Confusion
from backlight.evaluate.metrics import most_confused, per_class, rank_of
from backlight.page.charts import bar_chart, interval_chart
from backlight.page.sections import percent
from backlight.table.statistics import exact_interval, wilson

_FEW, _TOP = 30, 5
_PAIRS, _PER_PAIR, _WORST, _CHARTED = 4, 4, 8, 20


def check_accuracy(examined: Examined) -> Iterator[Finding]:
    """Find the share of pictures that are right, with its Wilson interval, and the share among the five likeliest."""
    kept = examined.kept
    count, right = len(kept), int(kept.right.sum())
    interval = wilson(right, count)
    common, share = _commonest(kept)
    words = f"{some_of(right, count)} right ({percent(right / count)})"
    worse = interval[1] < share
    judged = "not judged" if count < _FEW else "bad" if worse else "look" if interval[0] <= share else "good"
    against = f"; always saying {common} would be right in {percent(share)}."
    yield Finding(
        "accuracy",
        "accuracy",
        right / count,
        interval,
        count,
        judged,  # type: ignore[arg-type]
        words + against,
        per_picture=values_of(kept.ids, kept.right),
    )
    undefined = int((~kept.defined).sum())
    if undefined:
        yield _undefined(kept, undefined)
    if len(kept.label_names) > _TOP:
        is_among = rank_of(kept.logits, kept.labels) < _TOP
        among = int(is_among.sum())
        sentence = f"The right class is among the five likeliest of {among:,} of {pictures(count)}."
        yield Finding(
            "top5",
            "accuracy",
            among / count,
            wilson(among, count),
            count,
            "not judged" if count < _FEW else "good",
            sentence,
            per_picture=values_of(kept.ids, is_among),
        )


def _undefined(kept: Kept, number: int) -> Finding:
    rows = np.flatnonzero(~kept.defined)[:_WORST]
    return Finding(
        "no_prediction",
        "accuracy",
        number / len(kept),
        wilson(number, len(kept)),
        len(kept),
        "bad",
        f"For {pictures(number)} the model returns no number, so there is no prediction.",
        tuple(Shown(kept.ids[row]) for row in rows),
        "Look for a division by zero or an overflow in the network.",
        gain=number / len(kept),
    )


def _commonest(kept: Kept) -> tuple[str, float]:
    counts = np.bincount(kept.labels, minlength=len(kept.label_names))
    return kept.label_names[int(counts.argmax())], float(counts.max() / len(kept))


def check_baselines(examined: Examined) -> Iterator[Finding]:
    """Find how much the classifier gains over the best of simple answers: majority, nearest neighbor, linear probe.

    With training data the baselines learn from it, else from all other pictures of the data.
    """
    from scipy.special import ndtri

    kept = examined.kept
    answers = dict(_baselines(examined))
    shares = {name: float((found == kept.labels).mean()) for name, found in answers.items()}
    best = max(shares, key=lambda name: shares[name])
    # Paired: what both get right or wrong says nothing about which is better.
    difference = kept.right.astype(float) - (answers[best] == kept.labels)
    gain = float(difference.mean())
    half = float(ndtri(0.975)) * float(difference.std(ddof=1) if len(kept) > 1 else 1) / len(kept) ** 0.5
    interval = (max(-1.0, gain - half), min(1.0, gain + half))
    names = [*shares, "the classifier"]
    values = [*shares.values(), float(kept.right.mean())]
    source = "the training data" if examined.train is not None else "the other pictures here"
    sentence = (
        f"The classifier is right in {percent(values[-1])}, {best} in {percent(shares[best])}, learned from {source}."
    )
    judged = "not judged" if len(kept) < _FEW else judge(interval, look=0.0, bad=-0.05)
    yield Finding(
        "gain_over_baseline",
        "accuracy",
        gain,
        interval,
        len(kept),
        judged,
        sentence,
        next="Its last layer wastes what its features know: fit it anew (backlight train --freeze -1)."
        if judged in ("look", "bad") and best != "the commonest class"
        else "",
        tables={"Accuracy of simple answers": {"answer": names, "accuracy": values}},
        charts={"Accuracy of simple answers": bar_chart(list(zip(names, values)), alt="Accuracy of simple answers")},
    )


def _baselines(examined: Examined) -> Iterator[tuple[str, np.ndarray]]:
    kept, train = examined.kept, examined.train
    source = train if train is not None and train.labeled and train.features.shape[1] else None
    counts = np.bincount((kept if source is None else source).labels, minlength=len(kept.label_names))
    yield "the commonest class", np.full(len(kept), int(counts.argmax()))
    if not kept.features.shape[1] or len(kept) < 2:
        return
    if source is None:
        nearest = examined.neighbors.rows[:, 0]
        yield "the nearest neighbor", np.where(nearest >= 0, kept.labels[nearest], -1)
        if examined.probed is not None:
            yield "a linear probe", examined.probed.probabilities.argmax(1)
        return
    nearest = find_neighbors(kept.features, source.features, 1).rows[:, 0]
    yield "the nearest neighbor", source.labels[nearest]
    if len(np.unique(source.labels)) > 1:
        probe = fit_probe(source.features, source.labels, classes=len(kept.label_names), ids=source.ids)
        yield "a linear probe", probe.probabilities(kept.features).argmax(1)


def check_classes(examined: Examined) -> Iterator[Finding]:
    """Find the class that is least often right, of rare ones as far as can be told, and whether chance explains it."""
    from scipy.stats import binomtest

    kept = examined.kept
    counts = Confusion.of(kept.labels, kept.predictions, len(kept.label_names))
    present = np.flatnonzero(counts.totals > 0)
    if len(present) < 2:
        return
    shares = counts.right[present] / counts.totals[present]
    bounds = [wilson(int(counts.right[one]), int(counts.totals[one]), 1 - 0.05 / len(present))[1] for one in present]
    worst = int(present[np.argmin(bounds)])
    right, total = int(counts.right[worst]), int(counts.totals[worst])
    # Among many classes one is always lowest: the interval is as wide as their number asks for.
    interval = wilson(right, total, 1 - 0.05 / len(present))
    others = (int(counts.right.sum()) - right) / (len(kept) - total)
    # Of a handful of pictures Wilson's interval is too short: the exact test has to agree.
    surprising = binomtest(right, total, others, "less").pvalue < 0.05 / len(present)
    judged = judge(interval, look=others, bad=others / 2) if surprising else "good"
    name = kept.label_names[worst]
    sentence = f"{name} is right least often: {right:,} of {pictures(total)}, all others in {percent(others)}"
    sentence += "." if judged != "good" else "; with so many classes chance explains that."
    wrong = np.flatnonzero((kept.labels == worst) & ~kept.right)
    wrong = wrong[np.argsort(-kept.confidence[wrong], kind="stable")][:_WORST]
    order = present[np.argsort(shares, kind="stable")]
    rows = [(kept.label_names[one], *_share(counts, one)) for one in order[:_CHARTED]]
    yield Finding(
        "worst_class",
        "accuracy",
        right / total,
        interval,
        total,
        judged,
        sentence,
        tuple(Shown(kept.ids[row], f"{name}, taken for {taken(kept, int(row))}") for row in wrong)
        if judged != "good"
        else (),
        f"Collect more pictures of {name}, and look at its labels first." if judged != "good" else "",
        gain=max(0.0, others - right / total) * total / len(kept) if judged != "good" else 0.0,
        tables={"By class": _class_table(kept, counts, order)},
        charts={
            f"Accuracy by class{', the lowest' if len(order) > _CHARTED else ''}": interval_chart(
                rows, alt="Accuracy by class with 95% intervals", text=percent
            )
        },
    )


def _share(counts: Confusion, one: int) -> tuple[float, float, float, bool]:
    right, total = int(counts.right[one]), int(counts.totals[one])
    return right / total, *wilson(right, total), False


def _class_table(kept: Kept, counts: Confusion, order: np.ndarray) -> dict[str, list[object]]:
    scores = per_class(counts)
    bounds = [wilson(int(counts.right[one]), int(counts.totals[one])) for one in order]
    return {
        "class": [kept.label_names[one] for one in order],
        "pictures": [scores[one].n for one in order],
        "accuracy": [scores[one].accuracy for one in order],
        "from": [low for low, _ in bounds],
        "to": [high for _, high in bounds],
        "precision": [scores[one].precision for one in order],
        "f1": [scores[one].f1 for one in order],
    }


def check_confusions(examined: Examined) -> Iterator[Finding]:
    """Find the class that is most often taken for one other, with pictures of the commonest confusions."""
    kept = examined.kept
    counts = Confusion.of(kept.labels, kept.predictions, len(kept.label_names))
    pairs = most_confused(counts, kept.label_names)
    wrong = int((~kept.right).sum())
    if not pairs or pairs[0].count < 2:
        sentence = "No class is taken for the same other one twice."
        yield Finding("most_confused", "accuracy", 0.0, None, len(kept), "good", sentence)
        return
    first, total = pairs[0], int(counts.totals[kept.label_names.index(pairs[0].true)])
    # The commonest of many pairs, or of many classes of which each has one: the interval is as wide as they ask for.
    looked_at = max(len(counts.wrong), int((counts.totals > 0).sum()))
    interval = exact_interval(first.count, total, 1 - 0.05 / looked_at)
    judged = judge(interval, look=0.1, bad=0.3)
    sentence = f"{first.true} is taken for {first.predicted} most often: {first.count:,} of {pictures(total)}"
    shown = []
    for place, pair in enumerate(pairs[:_PAIRS]):
        true, other = kept.label_names.index(pair.true), kept.label_names.index(pair.predicted)
        rows = np.flatnonzero((kept.labels == true) & (kept.predictions == other))
        rows = rows[np.argsort(-kept.confidence[rows], kind="stable")][:_PER_PAIR]
        shown += [Shown(kept.ids[row], f"{pair.true}, taken for {pair.predicted}", group=place) for row in rows]
    yield Finding(
        "most_confused",
        "accuracy",
        first.fraction,
        interval,
        total,
        judged,
        f"{sentence}, of {number_of(wrong, 'mistake')}.",
        tuple(shown),
        "Look whether the two can be told apart on these pictures; mend labels or collect both."
        if judged in ("look", "bad")
        else "",
        gain=first.count / len(kept) if judged in ("look", "bad") else 0.0,
        tables={
            "Most confused": {
                "true": [one.true for one in pairs],
                "predicted": [one.predicted for one in pairs],
                "pictures": [one.count for one in pairs],
                "share of the class": [one.fraction for one in pairs],
            }
        },
    )


def taken(kept: Kept, row: int) -> str:
    """Name the class that a row is taken for.

    >>> taken(Kept.of(np.eye(2), label_names=["cat", "dog"]), 1)
    'dog'
    """
    predicted = int(kept.predictions[row])
    return kept.label_names[predicted] if predicted >= 0 else "nothing"


_NEEDS = frozenset({"labels"})
CARDS = (
    CheckCard("accuracy", "accuracy", check_accuracy, needs=_NEEDS, paired=True),
    CheckCard(
        "gain_over_baseline",
        "accuracy",
        check_baselines,
        needs=_NEEDS,
        reference="Alain and Bengio, 2016, arXiv:1610.01644",
        avoid="pictures that the model was trained on: its features know them",
    ),
    CheckCard("worst_class", "accuracy", check_classes, needs=_NEEDS),
    CheckCard("most_confused", "accuracy", check_confusions, needs=_NEEDS),
)
