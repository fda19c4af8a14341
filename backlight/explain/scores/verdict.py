"""What the scores say, in sentences for a report."""

from __future__ import annotations

from typing import Any

SIGMAS = 2.0
WORDS = {"random": "a random map", "edges": "the edge map"}


def describe_location(summary: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Describe for each method that was scored by `mass` whether its maps lie on the object, beside it, or anywhere.

    A random map's mass is the object's share of the picture; differences below 2 standard errors are none.

    >>> mass = {"mean": 0.1, "random": {"mean": 0.2, "difference": -0.1, "standard_error": 0.01}}
    >>> describe_location({"gradcam": {"mass": mass}})
    ['gradcam: explanations concentrate outside the object: 10% of their mass lies on it, 20% would by chance.']
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
        sentences.append(f"{method}: explanations {where}: {shares}.")
    return sentences


def describe_scores(summary: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    """Describe for each method by which scores it is better than its two controls, and by which it is not.

    Differences below 2 standard errors are none. Scores of where a map lies are left out: a true map of a classifier
    that looks beside the object lies beside it too.

    >>> entry = {"mean": 0.1, "better": "lower", "judges": True}
    >>> entry |= {"random": {"difference": -0.1, "standard_error": 0.01}}
    >>> describe_scores({"m": {"deletion": {**entry, "edges": {"difference": 0.01, "standard_error": 0.01}}}})
    ['m: better than a random map by deletion; not better than the edge map by any.']
    """
    sentences = []
    for method, metrics in summary.items():
        judged = {name: entry for name, entry in metrics.items() if entry["judges"] and entry["mean"] is not None}
        if judged:
            parts = [_against(judged, control) for control in WORDS]
            sentences.append(f"{method}: {'; '.join(parts)}.")
    return sentences


def verdict(entry: dict[str, Any], control: str) -> str:
    """Return `better`, `worse` or `no different` of one score against one control.

    >>> verdict({"better": "higher", "random": {"difference": 0.3, "standard_error": 0.1}}, "random")
    'better'
    """
    difference, error = entry[control]["difference"], entry[control]["standard_error"]
    if error is None or abs(difference) <= SIGMAS * error:  # one picture alone says nothing about others
        return "no different"
    return "better" if (difference > 0) == (entry["better"] == "higher") else "worse"


def _against(judged: dict[str, dict[str, Any]], control: str) -> str:
    found: dict[str, list[str]] = {"better": [], "worse": [], "no different": []}
    for name, entry in judged.items():
        found[verdict(entry, control)].append(name.replace("_", " "))
    worse = f", worse by {_listed(found['worse'])}" if found["worse"] else ""
    if not found["better"]:
        return f"not better than {WORDS[control]} by any{worse}"
    even = f", no different by {_listed(found['no different'])}" if found["no different"] else ""
    return f"better than {WORDS[control]} by {_listed(found['better'])}{worse}{even}"


def _listed(names: list[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
