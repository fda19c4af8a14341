"""Every metric: what it asks, which direction is good, what it needs, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from backlight.core.plugins import Registry
from backlight.explain.scores import curves, faithful, localization, randomization, road


@dataclass(frozen=True)
class Metric:
    """One metric: `function(judge, maps)`, or `function(judge, maps, again)` where it explains again.

    `better` is higher, lower, or empty for a description; `needs` nothing, mask or again. `asks` says to a reader
    what the number answers.

    >>> METRICS["mass"].better, METRICS["mass"].needs
    ('higher', 'mask')
    """

    name: str
    function: Callable[..., Tensor]
    better: str = ""
    needs: str = ""
    reference: str = "not stated"
    asks: str = ""

    @property
    def judges(self) -> bool:
        """Whether it tells if a map is true of its classifier, rather than where it lies.

        >>> METRICS["deletion"].judges, METRICS["mass"].judges, METRICS["border"].judges
        (True, False, False)
        """
        return bool(self.better) and self.needs != "mask"


_METRICS = (
    Metric(
        "deletion",
        curves.deletion,
        "lower",
        "",
        "Petsiuk et al., 2018, arXiv:1806.07421",
        "How sure it stays of the class while the places that the map marks most are taken away first.",
    ),
    Metric(
        "insertion",
        curves.insertion,
        "higher",
        "",
        "Petsiuk et al., 2018, arXiv:1806.07421",
        "How soon it is sure of the class when the places that the map marks most appear first.",
    ),
    Metric(
        "road",
        road.road,
        "higher",
        "",
        "Rong et al., 2022, arXiv:2202.00449",
        "How much more is lost without the most marked places than without the least marked, filled in smoothly.",
    ),
    Metric(
        "average_drop",
        curves.average_drop,
        "lower",
        "",
        "Chattopadhyay et al., 2018, arXiv:1710.11063",
        "How much of its sureness is lost when the picture is dimmed where the map is dark.",
    ),
    Metric(
        "average_increase",
        curves.average_increase,
        "higher",
        "",
        "Chattopadhyay et al., 2018, arXiv:1710.11063",
        "In how many pictures it becomes surer when the picture is dimmed where the map is dark.",
    ),
    Metric(
        "infidelity",
        faithful.infidelity,
        "lower",
        "",
        "Yeh et al., 2019, arXiv:1901.09392",
        "How badly the map predicts what noise does to the score: 0 is perfect, 1 is an empty map.",
    ),
    Metric(
        "max_sensitivity",
        faithful.max_sensitivity,
        "lower",
        "again",
        "Yeh et al., 2019, arXiv:1901.09392",
        "How much the map changes when the picture changes so little that nobody sees it.",
    ),
    Metric(
        "pointing_game",
        localization.pointing_game,
        "higher",
        "mask",
        "Zhang et al., 2018, arXiv:1608.00507",
        "In how many pictures the map's highest place lies on the object.",
    ),
    Metric(
        "mass",
        localization.mass,
        "higher",
        "mask",
        "Wang et al., 2020, arXiv:1910.01279",
        "Which share of the map lies on the object.",
    ),
    Metric(
        "border",
        localization.border,
        reference="the share of a tenth along each edge",
        asks="Which share of the map lies along the picture's edges.",
    ),
    Metric(
        "model_randomization",
        randomization.model_randomization,
        "lower",
        "again",
        "Adebayo et al., 2018, arXiv:1810.03292",
        "How alike the map stays when the network's weights are drawn anew: it should not.",
    ),
)
METRICS = Registry("explanation_metrics", "metric", _METRICS, Metric, wrap=Metric)

AnyMetric = str | Metric | Callable[..., Tensor]
"""A name, `file.py:function`, a card, or a function of a judge and maps."""


def choose_metrics(metrics: Sequence[AnyMetric]) -> tuple[Metric, ...]:
    """Look metrics up once, each by name, as a card or a function; one that comes twice counts once.

    Raises UsageError for an unknown one, with near names.

    >>> [metric.name for metric in choose_metrics(["deletion", "pointing-game", "deletion"])]
    ['deletion', 'pointing_game']
    """
    found = [METRICS.find(one) for one in ([metrics] if isinstance(metrics, str) else metrics)]
    return tuple({metric.name: metric for metric in found}.values())
