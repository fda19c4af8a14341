"""Quick looks at robustness: a few corruptions, small shifts, and the smallest changes that fool."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch

from backlight.attack import RobustnessRequest, evaluate_robustness
from backlight.attack.curve import SIZES
from backlight.audit.card import CheckCard
from backlight.audit.commands import DATA, MODEL, PART
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding, Judgement, Shown, judge
from backlight.audit.paired import values_of
from backlight.audit.shift import choose_rows
from backlight.audit.words import pictures
from backlight.corrupt import CorruptionRequest, CorruptionStudy, evaluate_corruptions
from backlight.page.charts import line_chart
from backlight.page.plot import Line
from backlight.table.statistics import mean_interval

_KINDS, _SEVERITY = "gaussian_noise,defocus_blur,contrast,jpeg", 3
_PICTURES = {"quick": 50, "normal": 100, "deep": 300}
_ATTACKED, _LARGE, _FEW = {"normal": 32, "deep": 64}, 64, 16
_SMALL = 2.0  # levels of 255 per value: usual balls in l2 are as large (0.5 at 32 x 32, 3 at 224 x 224)
_ORDER = 6  # pictures from which the smallest and the largest enclose the median in 95% of cases


def check_corruptions(examined: Examined) -> Iterator[Finding]:
    """Measure accuracy under a few corruptions, and how often small shifts change the answer."""
    rows = choose_rows(len(examined.kept), _PICTURES[examined.depth], ids=examined.kept.ids, seed=examined.seed)
    classifier, data = examined.dataset(torch.from_numpy(rows))
    request = CorruptionRequest.of(_KINDS, severities=(_SEVERITY,), stability=True)
    study = evaluate_corruptions(classifier, data, request, seed=examined.seed, cache=examined.folder)
    low, high = np.mean([one.interval[0] for one in study.kinds.values()], axis=0).tolist()
    under = np.mean([study.right(name).mean(1) for name in study.kinds], axis=0)
    drop = mean_interval((study.table["prediction"] == study.table["label"]) - under)[1]  # of the same pictures
    worst = min(study.kinds.values(), key=lambda one: one.mean)
    sentence = (
        f"Quick look at {len(study.kinds)} of 19 kinds, at severity {_SEVERITY}, on {pictures(len(rows))}: "
        f"{study.mean_accuracy:.1%} are right instead of {study.clean_accuracy:.1%}; {worst.name} is worst, "
        f"with {worst.mean:.1%}."
    )
    table: dict[str, list[object]] = {
        "kind": list(study.kinds),
        "accuracy": [one.mean for one in study.kinds.values()],
        "low": [one.interval[0][0] for one in study.kinds.values()],
        "high": [one.interval[0][1] for one in study.kinds.values()],
    }
    yield Finding(
        "corruption_accuracy",
        "stability",
        study.mean_accuracy,
        (low, high),
        len(rows),
        judge(drop, look=0.1, bad=0.4),
        sentence,
        tuple(Shown(name) for name, *_ in study.worst_pictures(6)),
        next="Look at all kinds and severities.",
        command=examined.command("corruptions", MODEL, DATA, PART, "--stability"),
        tables={"Corruptions": table},
        per_picture=values_of(study.table.ids, under),
    )
    shifts = study.stability
    if shifts:
        name, most = max(shifts.items(), key=lambda pair: pair[1].flip_share)
        yield Finding(
            "stability",
            "stability",
            most.flip_share,
            most.interval,
            len(rows),
            judge(most.interval, look=0.1, bad=0.3),
            f"Of the small shifts, {name} changes the answer most often: in {most.flip_share:.1%} of looks.",
            next="Train with pictures that are shifted, scaled and turned a little (a recipe's augment).",
            tables={
                "Small shifts": {
                    "shift": list(shifts),
                    "changed answers": [one.flip_share for one in shifts.values()],
                }
            },
            per_picture=values_of(study.table.ids, _flips(study, name)),
            larger_is_better=False,
        )


def _flips(study: CorruptionStudy, name: str) -> np.ndarray:
    """Return how often a small shift changes the answer on each picture, float64 `[N]`."""
    changed = study.table[f"stability.{name}.prediction"] != study.table["prediction"][:, None]
    return np.asarray(changed.mean(1), dtype=np.float64)


def check_adversarial(examined: Examined) -> Iterator[Finding]:
    """Look for the smallest changes that fool on some pictures, at most 64, and for signs of masked gradients."""
    classifier, _ = examined.dataset()
    large = examined.depth != "deep" and (classifier.size is None or min(classifier.size) > _LARGE)
    rows = choose_rows(
        len(examined.kept), _FEW if large else _ATTACKED[examined.depth], ids=examined.kept.ids, seed=examined.seed
    )
    _, data = examined.dataset(torch.from_numpy(rows))
    request = RobustnessRequest("ddn", norm="l2", options={"steps": 50})
    found = evaluate_robustness(classifier, data, request, seed=examined.seed, cache=examined.folder)
    far = np.array(list((found.smallest or {}).values()))
    median = found.median_smallest
    if median is None or not len(far):
        return
    sizes = SIZES["l2"]
    accuracy = [float((far > size).mean()) for size in sizes]
    # The smallest changes end where the margin is zero, so that one is undecided there is no sign of anything.
    doubts = [one for one in found.verdicts if one.name != "undecided"]
    levels = 255 / data[[0]].images[0].numel() ** 0.5  # from l2 to the root mean square of the changes of values
    words = "for most there is none"
    if math.isfinite(median):
        words = f"the median is {median:.3g} in l2, about {levels * median:.1f} of 255 levels per value"
    sentence = f"Quick look for the smallest change that fools, on {pictures(len(rows))}: {words}; " + (
        f"signs of trouble: {'; '.join(one.found for one in doubts)}." if doubts else "no sign of masked gradients."
    )
    right = np.sort(far[far > 0])
    interval = _median_interval(right)
    told: Judgement = "not judged" if interval is None else judge(interval, look=_SMALL / levels, bad=0)
    judgement: Judgement = "look" if doubts and interval is not None else told
    curve = line_chart(
        [Line(tuple(zip(sizes, accuracy)))],
        alt="Accuracy over eps in l2",
        x_label="eps, l2",
        x_text=lambda eps: f"{eps:g}",
    )
    yield Finding(
        "smallest_change",
        "adversarial",
        median if math.isfinite(median) else None,
        None if interval is None or not all(map(math.isfinite, interval)) else interval,
        len(rows),
        judgement,
        sentence,
        next="Measure it in full.",
        command=examined.command("robustness", MODEL, DATA, PART, "--attack", "autoattack", "--mode", "audited"),
        unit="number",
        tables={
            "Accuracy over eps": {"eps": list(sizes), "accuracy": accuracy},
            "Doubts": {"what": [one.name for one in doubts], "remedy": [one.remedy for one in doubts]},
        },
        charts={"Accuracy over eps in l2": curve},
        # What is not fooled at all lies beyond every size that is shown: a finite number that a median can be of.
        per_picture=values_of(list(found.smallest or {}), np.minimum(far, 2 * max(sizes)), _median),
    )


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _median_interval(ordered: np.ndarray) -> tuple[float, float] | None:
    """Return the 95% interval of the median by order statistics; None of fewer than six, whose range is no such."""
    if len(ordered) < _ORDER:
        return None
    half = 0.98 * len(ordered) ** 0.5
    low, high = max(0, math.floor(len(ordered) / 2 - half)), min(len(ordered) - 1, math.ceil(len(ordered) / 2 + half))
    return float(ordered[low]), float(ordered[high])


_LABELED = frozenset({"pictures", "labels"})
CARDS = (
    CheckCard(
        "corruption_accuracy",
        "stability",
        check_corruptions,
        depth="normal",
        needs=_LABELED,
        reference="Hendrycks and Dietterich, 2019, arXiv:1903.12261",
        avoid="as the mean corruption error: few kinds, one severity, few pictures",
        paired=True,
    ),
    CheckCard(
        "smallest_change",
        "adversarial",
        check_adversarial,
        depth="normal",
        needs=_LABELED | {"gradients"},
        reference="Rony et al., 2019, arXiv:1811.09600",
        avoid="as a measure of robustness: one attack, few pictures",
        paired=True,
    ),
)
