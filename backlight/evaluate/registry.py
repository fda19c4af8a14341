"""Metrics of an evaluation by name: one number that follows from the table of samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backlight.core.errors import InputError
from backlight.core.plugins import Registry
from backlight.evaluate import metrics
from backlight.evaluate.calibration import reliability
from backlight.table import Table


@dataclass(frozen=True)
class EvaluationMetric:
    """One metric: `function(table, labels)` returns a number, `better` is higher, lower, or empty for a description.

    The table has a row per picture with label, prediction, confidence, loss, and logits where there are few classes.

    >>> EVALUATION_METRICS["ece"].better
    'lower'
    """

    name: str
    function: Callable[[Table, tuple[str, ...]], float]
    better: str = ""
    reference: str = "not stated"


def _counted(function: Callable[[metrics.Confusion], float]) -> Callable[[Table, tuple[str, ...]], float]:
    return lambda table, labels: function(metrics.confusion(table, len(labels)))


_METRICS = (
    EvaluationMetric("accuracy", lambda table, _: metrics.accuracy(table), "higher", "the share that is right"),
    EvaluationMetric("balanced_accuracy", _counted(metrics.balanced_accuracy), "higher", "the mean recall of classes"),
    EvaluationMetric("macro_f1", _counted(metrics.macro_f1), "higher", "the mean F1 of classes"),
    EvaluationMetric("top5", lambda table, _: metrics.top_k(table, 5), "higher", "the label among the best five"),
    EvaluationMetric("loss", lambda table, _: metrics.mean_loss(table), "lower", "the mean cross-entropy, in nats"),
    EvaluationMetric("ece", lambda table, _: reliability(table).ece, "lower", "Guo et al., 2017, arXiv:1706.04599"),
)
EVALUATION_METRICS = Registry(
    "evaluation_metrics", "metric of evaluations", _METRICS, EvaluationMetric, wrap=EvaluationMetric
)

AnyEvaluationMetric = str | EvaluationMetric | Callable[[Table, tuple[str, ...]], float]
"""A name, `file.py:function`, a card, or a function of a table and the names of classes."""


def choose_evaluation_metrics(chosen: Sequence[AnyEvaluationMetric]) -> tuple[EvaluationMetric, ...]:
    """Look metrics up once, by name, as cards or functions.

    Raises UsageError for unknown ones, with near names.

    >>> [metric.name for metric in choose_evaluation_metrics(["macro-f1"])]
    ['macro_f1']
    """
    return tuple(EVALUATION_METRICS.find(one) for one in chosen)


def measure(table: Table, labels: tuple[str, ...], chosen: Sequence[AnyEvaluationMetric]) -> dict[str, float]:
    """Measure a table of samples by each metric, by name.

    Raises InputError where a metric returns no number, and as `choose_evaluation_metrics` does.

    >>> measure(Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 0]), ("cat", "dog"), ["accuracy"])
    {'accuracy': 0.5}
    """
    found = {}
    for metric in choose_evaluation_metrics(chosen):
        value = metric.function(table, labels)
        try:
            found[metric.name] = float(value)
        except (TypeError, ValueError):
            seen = type(value).__name__
            raise InputError(f"the metric {metric.name} returned {seen}", expected="a number") from None
    return found
