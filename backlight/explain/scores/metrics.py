"""Every metric: what it asks, which direction is good, what it needs, where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from backlight.errors import UsageError, did_you_mean
from backlight.explain.scores import curves, faithful, localization, randomization, road


@dataclass(frozen=True)
class Metric:
    """One metric: `function(judge, maps)`, or `function(judge, maps, again)` where it explains again.

    `better` is higher, lower, or empty for a description; `needs` nothing, mask or again.

    >>> METRICS["mass"].better, METRICS["mass"].needs
    ('higher', 'mask')
    """

    name: str
    function: Callable[..., Tensor]
    better: str
    needs: str
    reference: str


_METRICS = (
    Metric("deletion", curves.deletion, "lower", "", "Petsiuk et al., 2018, arXiv:1806.07421"),
    Metric("insertion", curves.insertion, "higher", "", "Petsiuk et al., 2018, arXiv:1806.07421"),
    Metric("road", road.road, "higher", "", "Rong et al., 2022, arXiv:2202.00449"),
    Metric("average_drop", curves.average_drop, "lower", "", "Chattopadhyay et al., 2018, arXiv:1710.11063"),
    Metric("average_increase", curves.average_increase, "higher", "", "Chattopadhyay et al., 2018, arXiv:1710.11063"),
    Metric("infidelity", faithful.infidelity, "lower", "", "Yeh et al., 2019, arXiv:1901.09392"),
    Metric("max_sensitivity", faithful.max_sensitivity, "lower", "again", "Yeh et al., 2019, arXiv:1901.09392"),
    Metric("pointing_game", localization.pointing_game, "higher", "mask", "Zhang et al., 2018, arXiv:1608.00507"),
    Metric("mass", localization.mass, "higher", "mask", "Wang et al., 2020, arXiv:1910.01279"),
    Metric("border", localization.border, "", "", "the share of a tenth along each edge"),
    Metric(
        "model_randomization",
        randomization.model_randomization,
        "lower",
        "again",
        "Adebayo et al., 2018, arXiv:1810.03292",
    ),
)
METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _METRICS}


def find_metric(name: str) -> Metric:
    """Find a metric by name; raise UsageError with near names.

    >>> find_metric("deletion").better
    'lower'
    """
    if name not in METRICS:
        raise UsageError(f"no metric {name!r}", hint=did_you_mean(name, METRICS))
    return METRICS[name]
