"""Documents of verbs, small and true to form, and the tables beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backlight.gate import Result
from backlight.table import Table
from backlight.table.statistics import wilson


def evaluation(right: int, n: int, /, **more: Any) -> Result:
    """Give what `evaluate` says of so many right pictures."""
    document = {"n": n, "split": "test", "accuracy": right / n, "accuracy_interval": list(wilson(right, n)), "ece": 0.1}
    return Result(document | {"per_class": {}} | more, "evaluate.json")


def saved(folder: Path, name: str, right: Sequence[bool], *, labels: Sequence[int] = (), start: int = 0) -> Result:
    """Write a document and its table of samples into a folder of its own; ids count from `start`."""
    folder.mkdir(parents=True, exist_ok=True)
    label = list(labels) or [0] * len(right)
    said = [one if good else 1 - one for one, good in zip(label, right)]
    table = Table.of(id=[f"{start + row:05}.png" for row in range(len(right))], label=label, prediction=said)
    table.write(folder / "samples.parquet")
    document = evaluation(sum(right), len(right)).document | {"labels": ["cat", "dog"], "per_class": {}}
    for number, animal in enumerate(("cat", "dog")):
        good = [one for one, own in zip(right, label) if own == number]
        document["per_class"][animal] = {"n": len(good), "accuracy": sum(good) / len(good) if good else None}
    (folder / name).write_text(json.dumps(document))
    return Result(document, str(folder / name), folder)


ROBUSTNESS = {
    "n": 200,
    "attack": "pgd",
    "eps": 0.03,
    "clean_accuracy": 0.9,
    "clean_top5": 1.0,
    "robust_accuracy": 0.4,
    "interval": [0.33, 0.47],
    "intervals": {"clean": [0.85, 0.93], "robust": [0.33, 0.47]},
    "by_attack": {"apgd-ce": 0.45, "apgd-t": 0.4},
}
CORRUPTIONS = {
    "n": 100,
    "clean_accuracy": 0.9,
    "clean_interval": [0.82, 0.94],
    "mean_accuracy": 0.5,
    "counted": ["fog", "snow"],
    "severities": [1, 2],
    "kinds": {
        "fog": {"accuracy": [0.8, 0.6], "interval": [[0.71, 0.87], [0.5, 0.69]], "group": "weather"},
        "snow": {"accuracy": [0.4, 0.2], "interval": [[0.31, 0.5], [0.13, 0.29]], "group": "weather"},
    },
    "stability": {"rotate": {"flip_share": 0.1, "interval": [0.05, 0.18]}},
}
EXPLANATIONS = {"n": 50, "methods": {"gradcam": {"deletion": {"mean": 0.25, "standard_error": 0.01}}}}
AUDIT = {
    "schema": 1,
    "findings": [
        {"name": "accuracy", "section": "accuracy", "value": 0.9, "interval": list(wilson(450, 500)), "n": 500,
         "judgement": "good", "sentence": "90% are right.", "unit": "share"},
        {"name": "label_errors", "section": "labels", "value": 0.06, "interval": [0.04, 0.09], "n": 500,
         "judgement": "bad", "sentence": "About 6% of the labels look wrong.", "unit": "share"},
        {"name": "leaked_pictures", "section": "splits", "value": None, "interval": None, "n": 0,
         "judgement": "not judged", "sentence": "No --train data.", "unit": "share"},
    ],
}  # fmt: skip
