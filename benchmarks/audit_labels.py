"""The audit of labels, calibration, sets and slices: planted faults over five seeds, and speed against cleanlab.

Features are those of the default model on 2,000 CIFAR-10 pictures of BACKLIGHT_DATA (default `../shared/data`), or
drawn where there are none. `figures()` gives everything to `benchmarks/audit.py`; alone it prints the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace

import measure
import numpy as np
import torch
from measure import Figure, at_least, at_most, faster

import backlight
from backlight.audit import (
    compare_calibrators,
    conformal_sets,
    coverage_band,
    estimate_label_noise,
    find_label_errors,
    find_neighbors,
    find_weak_slices,
    look_once,
    out_of_fold,
)

SEEDS, FLIPPED, PENALTY = 5, 0.05, 0.01


def figures(totals: list[float], quick: bool = False) -> Iterator[Figure]:
    """Measure everything, and add to the totals of ours and the peer; `quick` takes less work."""
    features, labels, images = embedded(300 if quick else 2000)
    yield from flipped_labels(features, labels)
    yield from weak_slices(features, labels, images)
    yield from promises(2 if quick else 20)
    yield from speed(1000 if quick else 10_000, totals)


def embedded(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features `[N,1280]` of the default model, labels, and brightness of CIFAR-10 pictures, or drawn ones."""
    folder = measure.data_folder()
    if folder is None:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 10, count)
        features = 0.3 * rng.normal(size=(10, 1280))[labels] + rng.normal(size=(count, 1280))
        return features.clip(0).astype(np.float16), labels, rng.random(count)
    data = backlight.load_data(str(folder / "cifar10_jpeg.npz"), split="test", limit=count)
    # The model knows other classes than these: only its features are wanted.
    unlabeled = replace(data, labels=torch.full((len(data),), -1), label_names=())
    kept = look_once(backlight.load(), unlabeled).kept
    return kept.features, data.labels.numpy(), kept.properties["brightness"]


def flipped(labels: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Give a twentieth of the labels another class; return labels and which were changed."""
    rng = np.random.default_rng(seed)
    rows = rng.choice(len(labels), int(FLIPPED * len(labels)), replace=False)
    given = labels.copy()
    given[rows] = (given[rows] + rng.integers(1, 10, len(rows))) % 10
    return given, np.isin(np.arange(len(labels)), rows)


def flipped_labels(features: np.ndarray, labels: np.ndarray) -> Iterator[Figure]:
    """Find flipped labels, and compare the ranking with cleanlab's on the same probabilities."""
    from cleanlab.rank import get_label_quality_scores

    recalls, ratios, shares = [], [], []
    for seed in range(SEEDS):
        given, wrong = flipped(labels, seed)
        probabilities = out_of_fold(features, given, seed=seed).probabilities
        found = find_label_errors(probabilities, given, seed=seed)
        suspects = np.argsort(found.quality, kind="stable")[: 2 * wrong.sum()]
        recalls.append(float(wrong[suspects].sum() / wrong.sum()))
        theirs = average_precision(wrong, -get_label_quality_scores(given, probabilities))
        ratios.append(average_precision(wrong, -found.quality) / theirs)
        shares.append(estimate_label_noise(probabilities, given)[0])
    n, seeds = len(labels), f"least of {SEEDS} seeds"
    yield at_least("flipped labels: recall among twice as many", min(recalls), 0.6, unit="share", n=n, note=seeds)
    yield at_least("flipped labels: precision over cleanlab's", min(ratios), 0.95, unit="times", n=n, note=seeds)
    worst = max(abs(share - FLIPPED) for share in shares)
    yield at_most("flipped labels: estimated share is off by", worst, 0.04, unit="share", n=n, note="of 0.05")


def average_precision(wrong: np.ndarray, scores: np.ndarray) -> float:
    """Compute the mean precision at the ranks of what was to be found."""
    hits = wrong[np.argsort(-scores, kind="stable")]
    return float((hits.cumsum() / np.arange(1, len(hits) + 1))[hits].mean())


def weak_slices(features: np.ndarray, labels: np.ndarray, brightness: np.ndarray) -> Iterator[Figure]:
    """Confirm dark pictures that the model gets wrong, and show nothing where errors are anywhere."""
    found, shown = 0, 0
    dark = brightness < np.quantile(brightness, 0.15)
    properties = {"brightness": brightness, "other": np.random.default_rng(9).random(len(labels))}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        right = rng.random(len(labels)) > 0.1
        shown += bool(find_weak_slices(right, features=features, properties=properties, seed=seed).slices)
        if seed < SEEDS:
            planted = right & ~(dark & (rng.random(len(labels)) < 0.5))
            slices = find_weak_slices(planted, features=features, properties=properties, seed=seed).slices
            found += any(one.name.startswith("brightness below") for one in slices)
    yield at_least("weak slice: dark pictures confirmed", found, SEEDS, unit=f"of {SEEDS}", n=len(labels))
    yield at_most("weak slice: shown where errors are permuted", shown, 1, unit="of 20", n=len(labels))


def promises(splits: int) -> Iterator[Figure]:
    """Hold the promise of sets over many splits, and find the temperature of logits that were doubled."""
    inside, temperatures = 0, []
    for seed in range(splits):
        rng = np.random.default_rng(seed)
        logits = 2 * rng.normal(size=(4000, 10))
        p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        labels = (p.cumsum(1) > rng.random((4000, 1))).argmax(1)
        sets = conformal_sets(p[:500], labels[:500], p[500:], score="lac", never_empty=False, seed=seed)
        low, high = coverage_band(500, 0.1, tested=3500, confidence=0.99)
        inside += bool(low <= sets.covers(labels[500:]).mean() <= high)
        if seed < SEEDS:
            temperatures.append(compare_calibrators(2 * logits, labels, seed=seed).fitted["temperature"].temperature)
    yield at_least("conformal: coverage inside its band", inside, splits, unit=f"of {splits}", n=3500)
    off = abs(float(np.mean(temperatures)) / 2 - 1)
    yield at_most(
        "temperature of doubled logits is off by", off, 0.03, unit="share", n=2000, note=f"mean of {SEEDS} seeds"
    )


def speed(count: int, totals: list[float]) -> Iterator[Figure]:
    """Time what both programs do on the same arrays."""
    from cleanlab.classification import CleanLearning
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, count)
    features = (0.3 * rng.normal(size=(10, 1280))[labels] + rng.normal(size=(count, 1280))).astype(np.float32)
    given, _ = flipped(labels, 0)
    for classes in (10, 100):
        p, of_p = drawn_probabilities(count, classes)

        def theirs(p: np.ndarray = p, of_p: np.ndarray = of_p) -> object:
            scores = get_label_quality_scores(of_p, p)
            return scores, find_label_issues(of_p, p, return_indices_ranked_by="self_confidence")

        times = measure.in_turn({"ours": lambda p=p, of_p=of_p: find_label_errors(p, of_p), "theirs": theirs}, 3)
        same = likeness(set(find_label_errors(p, of_p).rows.tolist()), set(theirs()[1].tolist()))
        name = f"label errors from probabilities of {classes} classes"
        yield compared(name, times, totals, count, f"{same:.1%} of flags are the same")
    standard = (features - features.mean(0)) / features.std(0)
    # The same problem for both: their penalty is 1 / (C n), and both see standardized features.
    model = LogisticRegression(C=1 / (PENALTY * 0.8 * count), max_iter=100)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        work = {
            "ours": lambda: find_label_errors(out_of_fold(features, given, penalty=PENALTY).probabilities, given),
            "theirs": lambda: CleanLearning(model, cv_n_folds=5, seed=0).find_label_issues(standard, given),
        }
        times = measure.in_turn(work, 1, warm=False)
    yield compared("label errors from features, five folds", times, totals, count, f"both at penalty {PENALTY}")
    near = NearestNeighbors(n_neighbors=10, metric="cosine", algorithm="brute").fit(features)
    work = {
        "ours": lambda: find_neighbors(features, features, 10, own=np.arange(count)),
        "theirs": lambda: near.kneighbors(),
    }
    times = measure.in_turn(work, 1, warm=False)
    agree = float((find_neighbors(features, features, 10, own=np.arange(count)).rows == near.kneighbors()[1]).mean())
    yield compared("neighbors of features", times, totals, count, f"{agree:.2%} of places are the same")
    yield faster("labels: all of these together", totals[0], totals[1], "cleanlab", goal=None, n=count)


def drawn_probabilities(count: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities and labels of which a tenth is wrong."""
    rng = np.random.default_rng(classes)
    true = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)) + 4 * np.eye(classes)[true]
    p = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    return p, np.where(rng.random(count) < 0.1, (true + rng.integers(1, classes, count)) % classes, true)


def likeness(one: set[int], other: set[int]) -> float:
    """Compute the share of what either holds that both hold."""
    return len(one & other) / max(1, len(one | other))


def compared(name: str, times: dict[str, float], totals: list[float], count: int, note: str) -> Figure:
    """State one comparison without a goal and add it to the totals."""
    totals[0], totals[1] = totals[0] + times["ours"], totals[1] + times["theirs"]
    return faster(name, times["ours"], times["theirs"], "cleanlab", goal=None, n=count, note=note)


if __name__ == "__main__":
    given = measure.arguments(__doc__ or "")
    measure.show(one for one in figures([0.0, 0.0], given.quick) if given.only in one.name)
