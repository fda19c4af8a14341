"""How often a classifier is right, and against what that is much."""

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
from backlight.audit.words import pictures, some_of
from backlight.evaluate.metrics import rank_of
from backlight.page.charts import bar_chart
from backlight.page.sections import percent
from backlight.table.statistics import wilson

_FEW, _TOP = 30, 5
_WORST = 8


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
)
