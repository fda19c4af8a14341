"""Before and after hardening, on the same pictures: what was gained under attack, what it cost, and who pays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from backlight.attack import Robustness, RobustnessRequest, evaluate_robustness
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Seed
from backlight.corrupt import CorruptionRequest, CorruptionStudy, evaluate_corruptions
from backlight.data.dataset import Dataset
from backlight.evaluate import Evaluation
from backlight.evaluate.samples import match_labels
from backlight.table.paired import Change, PerPicture, compare_paired
from backlight.table.statistics import expected_calibration_error, wilson

CLEAN, CORRUPTED, CALIBRATION = "clean", "corruptions", "calibration_error"
ATTACKS = ("pgd:steps=20", "autoattack-fast")
_LEVEL = 0.05


@dataclass(frozen=True)
class HardeningRequest:
    """What two models are put through: `attacks` of size `eps`, weakest first, and the published corruptions.

    Raises UsageError for attacks that there are not, and for none.

    >>> HardeningRequest(("pgd:steps=3",)).robustness[0].threat.describe()
    'linf 8/255 = 0.03137 in [0,1] pixels'
    """

    attacks: tuple[str, ...] = ATTACKS
    eps: str | None = None

    def __post_init__(self) -> None:
        if not self.attacks:
            raise UsageError("no attack", expected=f"some, as in {','.join(ATTACKS)}")
        for one in self.robustness:
            _ = one.stages(), one.threat
            if one.threat.eps is None:
                raise UsageError(
                    f"{one.label} without an eps", expected="one, to ask who withstands", hint="--eps 8/255"
                )

    @cached_property
    def robustness(self) -> tuple[RobustnessRequest, ...]:
        """Return what each attack is asked for; the last one also looks for signs that its number is too good."""
        last = len(self.attacks) - 1
        return tuple(
            RobustnessRequest(name, eps=self.eps, checks=place == last) for place, name in enumerate(self.attacks)
        )


class Measurements(NamedTuple):
    """What one model came to: as pictures are, under each attack, and corrupted."""

    evaluation: Evaluation
    robust: tuple[Robustness, ...]
    corrupted: CorruptionStudy


def measure(
    classifier: Classifier,
    data: Dataset,
    evaluation: Evaluation,
    request: HardeningRequest,
    *,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Measurements:
    """Attack and corrupt the pictures that a model was evaluated on; finished blocks are kept in `cache`.

    Raises as `evaluate_robustness` and `evaluate_corruptions` do.
    """
    fitting = match_labels(classifier, data).with_channels(classifier.channels)
    robust = tuple(
        evaluate_robustness(classifier, fitting, one, seed=seed, cache=cache, engine=engine, progress=progress)
        for one in request.robustness
    )
    asked = CorruptionRequest.of()
    corrupted = evaluate_corruptions(classifier, data, asked, seed=seed, cache=cache, engine=engine, progress=progress)
    return Measurements(evaluation, robust, corrupted)


@dataclass(frozen=True)
class Gain:
    """One number before and after: their difference with its paired 95% interval, and the interval of each.

    >>> Gain("clean", Change(0.7, 0.5, (-0.3, -0.1), 0.01, 0.0, "a test", 100), None).costs
    True
    """

    name: str
    change: Change
    intervals: tuple[tuple[float, float], tuple[float, float]] | None

    @property
    def clear(self) -> bool:
        """Whether the interval of the difference leaves zero out."""
        return not self.change.interval[0] <= 0 <= self.change.interval[1]

    @property
    def costs(self) -> bool:
        """Whether the number got worse, by more than chance."""
        worse = self.change.difference > 0 if self.name == CALIBRATION else self.change.difference < 0
        return worse and self.clear

    def to_json(self) -> dict[str, Any]:
        """Return `{"before","after","difference","interval","before_interval","after_interval","p","test","n"}`."""
        change, own = self.change, self.intervals or (None, None)
        return {
            "before": change.before,
            "after": change.now,
            "difference": change.difference,
            "interval": list(change.interval),
            "before_interval": own[0] and list(own[0]),
            "after_interval": own[1] and list(own[1]),
            "p": change.p,
            "test": change.test,
            "n": change.n,
        }


class ClassGain(NamedTuple):
    """One class: what became of its pictures as they are, and under the last attack."""

    name: str
    clean: Gain
    robust: Gain


@dataclass(frozen=True)
class Hardening:
    """Two models on the same pictures, the second one hardened: every number is paired picture by picture.

    >>> from backlight.data import load_data
    >>> from backlight.evaluate import evaluate
    >>> from backlight.testing import small_net
    >>> data, request = load_data("shapes:n=12,size=16,classes=4"), HardeningRequest(("fgsm",))
    >>> classifier = Classifier.from_module(small_net(), size=16, labels=data.label_names)
    >>> once = measure(classifier, data, evaluate(classifier, data), request)
    >>> found = Hardening(once, once, request)
    >>> list(found.gains), found.gains["fgsm"].change.difference
    (['clean', 'fgsm', 'corruptions', 'calibration_error'], 0.0)
    """

    before: Measurements
    after: Measurements
    request: HardeningRequest

    @cached_property
    def gains(self) -> dict[str, Gain]:
        """Return what changed: `clean`, each attack by its name, `corruptions`, `calibration_error`."""
        found = {CLEAN: _gain(CLEAN, _right(self.before), _right(self.after))}
        for one, other in zip(self.before.robust, self.after.robust):
            found[one.name] = _gain(one.name, _withstood(one), _withstood(other))
        found[CORRUPTED] = _gain(CORRUPTED, _corrupted(self.before), _corrupted(self.after))
        found[CALIBRATION] = _gain(CALIBRATION, _sure(self.before), _sure(self.after), share=False)
        return found

    @property
    def strongest(self) -> str:
        """Name the last attack, by which classes and pictures are judged."""
        return self.before.robust[-1].name

    @cached_property
    def classes(self) -> tuple[ClassGain, ...]:
        """Return what became of each class that occurs, the one that pays most of its clean accuracy first."""
        table, names = self.before.evaluation.table, self.before.evaluation.labels
        labels, found = table["label"], []
        clean = _right(self.before), _right(self.after)
        robust = _withstood(self.before.robust[-1]), _withstood(self.after.robust[-1])
        ids = np.asarray(table.ids)
        for label in np.unique(labels).tolist():
            own = ids[labels == label]
            pairs = [tuple(_among(one, own) for one in pair) for pair in (clean, robust)]
            if all(len(one.ids) for pair in pairs for one in pair):
                found.append(ClassGain(names[label], *(_gain(names[label], *pair) for pair in pairs)))
        return tuple(sorted(found, key=lambda one: (one.clean.change.difference, one.name)))

    @property
    def paying(self) -> tuple[ClassGain, ...]:
        """Return the classes whose clean accuracy fell by more than chance (McNemar's test, Holm's correction)."""
        fallen = sorted((one for one in self.classes), key=lambda one: one.clean.change.p)
        found = []
        for place, one in enumerate(fallen):
            if one.clean.change.p * (len(fallen) - place) > _LEVEL:
                break
            found.append(one)
        return tuple(one for one in self.classes if one in found and one.clean.change.difference < 0)

    def to_json(self) -> dict[str, Any]:
        """Return all numbers: `{"attacks","eps","norm","gains","classes","paying"}`."""
        threat = self.before.robust[-1].request.threat
        return {
            "attacks": [one.name for one in self.before.robust],
            "norm": threat.norm,
            "eps": threat.eps,
            "gains": {name: one.to_json() for name, one in self.gains.items()},
            "classes": {
                one.name: {"clean": one.clean.to_json(), "robust": one.robust.to_json()} for one in self.classes
            },
            "paying": [one.name for one in self.paying],
        }


def _right(one: Measurements) -> PerPicture:
    table = one.evaluation.table
    return PerPicture(np.asarray(table.ids), (table["label"] == table["prediction"]).astype(np.float64))


def _withstood(one: Robustness) -> PerPicture:
    return PerPicture(np.asarray(one.table.ids), one.table["robust"].astype(np.float64))


def _corrupted(one: Measurements) -> PerPicture:
    study = one.corrupted
    shares = np.mean([study.right(kind.name).mean(1) for kind in study.counted], axis=0)
    return PerPicture(np.asarray(study.table.ids), shares)


def _sure(one: Measurements) -> PerPicture:
    """Return confidence and whether it was right, of pictures that have a prediction: one number needs both."""
    table = one.evaluation.table.where(one.evaluation.table["prediction"] >= 0)
    pairs = np.stack([table["confidence"].astype(np.float64), table["label"] == table["prediction"]], axis=1)
    return PerPicture(np.asarray(table.ids), pairs, _calibration_error)


def _calibration_error(values: np.ndarray) -> float:
    return expected_calibration_error(values[:, 0], values[:, 1].astype(bool))


def _among(values: PerPicture, ids: np.ndarray) -> PerPicture:
    chosen = np.isin(values.ids, ids)
    return PerPicture(values.ids[chosen], values.values[chosen], values.statistic)


def _gain(name: str, before: PerPicture, after: PerPicture, *, share: bool = True) -> Gain:
    """Compare two numbers, picture by picture; a mean over looks at a picture has as many trials as pictures."""
    change = compare_paired(after, before, name)
    if change is None or change.n is None:
        raise UsageError("two models without a picture in common", expected="pictures that both can read")
    n = change.n
    bounds = (wilson(change.before * n, n), wilson(change.now * n, n)) if share else None
    return Gain(name, change, bounds)
