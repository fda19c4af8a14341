"""What the scores say, in sentences for a report."""

from __future__ import annotations

from typing import Any

SIGMAS = 2.0


def describe_location(summary: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Say of each method that was scored by `mass` whether its maps lie on the object, beside it, or anywhere.

    A random map's mass is the object's share of the picture; differences below 2 standard errors are none.

    >>> mass = {"mean": 0.1, "random": {"mean": 0.2, "difference": -0.1, "standard_error": 0.01}}
    >>> describe_location({"gradcam": {"mass": mass}})
    ['gradcam: explanations concentrate outside the object: 10 % of their mass lies on it, 20 % would by chance.']
    """
    sentences = []
    for method, metrics in summary.items():
        entry = metrics.get("mass")
        if entry is None or entry["mean"] is None or entry["random"]["difference"] is None:
            continue
        difference, error = entry["random"]["difference"], entry["random"]["standard_error"] or 0.0
        where = "lie on the object no more than by chance"
        if abs(difference) > SIGMAS * error:
            where = f"concentrate {'on' if difference > 0 else 'outside'} the object"
        shares = f"{entry['mean']:.0%} of their mass lies on it, {entry['random']['mean']:.0%} would by chance"
        sentences.append(f"{method}: explanations {where}: {shares}.".replace("%", " %"))
    return sentences
