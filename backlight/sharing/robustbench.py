"""A model's entry in RobustBench, with what its leaderboard asks for and what else was measured beside it.

Keys as in the `model_info` folder of RobustBench (Croce et al., "RobustBench: a standardized adversarial robustness
benchmark", NeurIPS Datasets and Benchmarks 2021): accuracies in percent, empty where only the authors can know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backlight.sharing.metrics import size_text

STANDARD = "autoattack"
"""The one attack whose result RobustBench lists; any other stands under `external`."""


def robustbench_card(document: Mapping[str, Any], *, command: str = "", version: str = "") -> dict[str, Any]:
    """Return the entry of a model from the document of the verb `robustness`.

    `autoattack_acc` is filled by the published AutoAttack alone, run to its end on every picture; another attack, or a
    part of one, is `external`. `unreliable` says whether there are signs that the attack was hindered.

    >>> accuracies = {"clean_accuracy": 0.8, "robust_accuracy": 0.4}
    >>> card = robustbench_card({"attack": "pgd", "norm": "linf", "eps": 8 / 255, **accuracies})
    >>> card["eps"], card["clean_acc"], card["autoattack_acc"], card["external"]
    ('8/255', '80.00', '', '40.00')
    """
    model, data = (_mapping(document.get(key)) for key in ("model", "data"))
    published = is_published(document)
    robust = _percent(document.get("robust_accuracy"))
    footnote = "" if published else f"{document.get('attack')}, not AutoAttack as published."
    return {
        "link": "",
        "name": str(model.get("name", "")),
        "authors": "",
        "additional_data": "",
        "number_forward_passes": 1,
        "dataset": str(data.get("name", "")),
        "venue": "",
        "architecture": "",
        "eps": size_text(document.get("norm"), document.get("eps")).split(" ", 1)[-1],
        "clean_acc": _percent(document.get("clean_accuracy")),
        "reported": "",
        "autoattack_acc": robust if published else "",
        "external": "" if published else robust,
        "footnote": footnote,
        "unreliable": bool(document.get("verdicts")),
        "backlight": {
            "version": version,
            "command": command,
            "weights": model.get("weights"),
            "data": dict(data),
            **{key: document.get(key) for key in _KEPT},
        },
    }


_KEPT = ("n", "attack", "mode", "norm", "eps", "target", "interval", "by_attack", "verdicts", "forwards", "backwards")


def is_published(document: Mapping[str, Any]) -> bool:
    """Whether a document is of AutoAttack as published: exact, without a target, on every picture."""
    whole = document.get("planned", document.get("n")) == document.get("n")
    plain = document.get("mode", "exact") == "exact" and document.get("target") is None
    return document.get("attack") == STANDARD and not document.get("stands_in_for") and plain and whole


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _percent(value: Any) -> str:
    return f"{100 * value:.2f}" if isinstance(value, int | float) else ""
