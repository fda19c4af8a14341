"""The audit of a classifier on a data set: the passes, then every check."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from backlight.audit.card import CheckCard
from backlight.audit.commands import CommandWords
from backlight.audit.examined import Depth, Examined, Part
from backlight.audit.finding import Finding, NotChecked
from backlight.audit.kept import HEALTH, PROPERTIES
from backlight.audit.paired import PairedFinding, compare_findings, paired_finding
from backlight.audit.passing import look_once
from backlight.audit.registry import CHECKS, depth_of
from backlight.audit.running import Checked, run_checks
from backlight.audit.two_models import SECTION
from backlight.audit.verdict import Light, lights, next_steps
from backlight.classifier import Classifier
from backlight.core.display import Displayed
from backlight.core.errors import Failure
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset
from backlight.table import Table

SCHEMA = 1
"""The number of the document's form: keys are added under the same number, and never mean something else."""


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Displayed):
    """What an audit found: findings in the order of the page, what was not checked, and what that cost in seconds.

    >>> import numpy as np
    >>> from backlight.audit.kept import Kept
    >>> examined = Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2]))
    >>> Audit(examined, run_checks(examined, []), 0.0, 0.0).to_json()["n"]
    3
    """

    examined: Examined
    checked: Checked
    pass_seconds: float
    check_seconds: float
    paired: tuple[PairedFinding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Return every finding, in the order of the page."""
        return self.checked.findings

    @property
    def not_checked(self) -> tuple[NotChecked, ...]:
        """Return what was not looked at, and why."""
        return self.checked.not_checked

    @cached_property
    def lights(self) -> tuple[Light, ...]:
        """Return the six lights of the first screen."""
        return lights(self.findings, self.not_checked)

    @cached_property
    def next_steps(self) -> list[Finding]:
        """Return the findings that name a next step, most gain first."""
        return next_steps(self.findings)

    @property
    def failed(self) -> tuple[Failure, ...]:
        """Name the pictures that could not be read, of all data sets."""
        examined = self.examined
        parts = (examined.kept, examined.train, examined.against)
        return tuple(one for part in parts if part is not None for one in part.failed)

    @cached_property
    def table(self) -> Table:
        """Return a row per picture of the data: label, prediction, confidence, properties."""
        kept = self.examined.kept
        properties = {name: kept.properties[name] for name in (*PROPERTIES, *HEALTH) if name in kept.properties}
        return Table.of(
            {
                "id": list(kept.ids),
                "label": kept.labels,
                "prediction": kept.predictions,
                "confidence": kept.confidence,
                **properties,
            }
        )

    def summary_table(self) -> Table:
        """Return a row per finding: its number with the 95% interval `from` and `to`, and the judgement."""
        found = self.findings
        bounds = [(None, None) if one.interval is None else one.interval for one in found]
        return Table.numbered(
            {
                "finding": [one.name for one in found],
                "section": [one.section for one in found],
                "value": [one.value for one in found],
                "from": [low for low, _ in bounds],
                "to": [high for _, high in bounds],
                "unit": [one.unit for one in found],
                "n": [one.n for one in found],
                "judgement": [one.judgement for one in found],
            }
        )

    @cached_property
    def per_class(self) -> dict[str, dict[str, Any]]:
        """Return the pictures and the accuracy of each class, for gates by class; empty without labels."""
        kept = self.examined.kept
        if not kept.labeled:
            return {}
        counts = np.bincount(kept.labels, minlength=len(kept.label_names)).tolist()
        right = np.bincount(kept.labels[kept.right], minlength=len(kept.label_names)).tolist()
        return {
            name: {"n": n, "accuracy": good / n if n else None}
            for name, n, good in zip(kept.label_names, counts, right)
        }

    @property
    def cost(self) -> dict[str, Any]:
        """Return how many pictures were looked at, and the seconds of the pass and of the checks."""
        examined = self.examined
        parts = (examined.kept, examined.train, examined.against, examined.second)
        pictures = sum(len(part) for part in parts if part is not None)
        return {
            "pictures": pictures,
            "pass_seconds": round(self.pass_seconds, 3),
            "check_seconds": round(self.check_seconds, 3),
            "checks": {name: round(seconds, 3) for name, seconds in self.checked.seconds.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """Return `{"schema","n","depth","seed","findings","per_class","not_checked","cost","seconds"}`."""
        return {
            "schema": SCHEMA,
            "n": len(self.examined.kept),
            "depth": self.examined.depth,
            "seed": self.examined.seed,
            "findings": [one.to_json() for one in self.findings],
            "per_class": self.per_class,
            "lights": {light.name: light.judgement for light in self.lights},
            "not_checked": [one.to_json() for one in self.not_checked],
            "cost": self.cost,
            "seconds": round(self.pass_seconds + self.check_seconds, 3),
        }


def audit(
    classifier: Classifier,
    data: Dataset,
    *,
    train: Dataset | None = None,
    against: Dataset | None = None,
    second: Classifier | None = None,
    depth: Depth = "normal",
    checks: Iterable[CheckCard] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    folder: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
    seen_labels: str = "",
    groups: Mapping[str, Mapping[str, str]] | None = None,
    words: CommandWords | None = None,
) -> Audit:
    """Find out what can be trusted about a classifier and its data: one look at every picture, then every check.

    `train` is the data that the model was trained on, `against` data of the field without labels or with them; a
    `second` model looks at the same pictures, goes through the checks whose numbers pictures add to, and is compared
    with the first picture by picture. The passes are kept in `folder`, and read
    back by the next audit of the same model and pictures. `depth` is "quick" (the pass alone), "normal" or "deep" (more
    passes); `checks` are all of `CHECKS` if left out. `seen_labels` says how it is known that the model was trained on
    these very labels, empty where nothing says so; `groups` are values by id, by name: slices beside those that are
    looked for. `words` are how a command line names all this, for commands to copy.

    Raises UsageError for another depth, and as `look_once` does.

    >>> import torch
    >>> from torch import nn
    >>> data = Dataset.of(torch.randint(0, 255, (8, 3, 8, 8), dtype=torch.uint8), [0, 1] * 4, ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> found = audit(Classifier.from_module(net, size=8, labels=["a", "b"]), data, depth="quick")
    >>> "accuracy" in [one.name for one in found.findings]
    True
    """
    depth, start = depth_of(depth), time.perf_counter()

    def look(at: Classifier, one: Dataset | None) -> Part | None:
        if one is None:
            return None
        return look_once(at, one, batch_size=batch_size, folder=folder, engine=engine, progress=progress)

    part, known, field = (look(classifier, one) for one in (data, train, against))
    assert part is not None
    examined = Examined(
        part, classifier, known, field, seed, depth, progress, folder, seen_labels, groups or {}, words=words
    )
    beside: Examined | None = None
    if second is not None:
        other, other_known = look(second, data), look(second, train)
        assert other is not None
        examined = replace(examined, compared=True)
        beside = replace(examined, part=other, classifier=second, train_part=other_known, against_part=None)
        examined = replace(examined, second=other.kept)
    looked = time.perf_counter()
    checked, paired = _checked(examined, beside, list(CHECKS.values() if checks is None else checks))
    return Audit(examined, checked, looked - start, time.perf_counter() - looked, paired)


def _checked(
    examined: Examined, second: Examined | None, cards: Sequence[CheckCard]
) -> tuple[Checked, tuple[PairedFinding, ...]]:
    """Run the checks, on a second model those whose numbers pictures add to, and add what the comparison comes to."""
    checked = run_checks(examined, cards)
    if second is None:
        return checked, ()
    others = run_checks(second, [card for card in cards if card.paired])
    paired = tuple(compare_findings(checked.findings, others.findings))
    if not paired:
        return checked, paired
    findings = list(checked.findings)
    place = next((row + 1 for row, one in enumerate(findings) if one.name == "second_model_accuracy"), len(findings))
    findings.insert(place, paired_finding(paired, SECTION))
    seconds = {**checked.seconds, "second model": sum(others.seconds.values())}
    return replace(checked, findings=tuple(findings), seconds=seconds), paired
