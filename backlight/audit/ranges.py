"""Ranges of properties in which errors are frequent: a shallow decision tree, of which every node is a candidate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

_CUTS = 31  # thresholds that are tried for each property, at equally spaced quantiles


@dataclass(frozen=True)
class Range:
    """Pictures whose properties lie between bounds: name, lower (within) and upper (beyond), infinite where open.

    >>> Range((("brightness", -np.inf, 0.25),)).holds({"brightness": np.array([0.1, 0.25, np.nan])}).tolist()
    [True, False, False]
    """

    bounds: tuple[tuple[str, float, float], ...]

    def holds(self, properties: Mapping[str, np.ndarray]) -> np.ndarray:
        """Whether each picture lies within all bounds: bool `[N]`; one without a value does not."""
        found = [(properties[name] >= low) & (properties[name] < high) for name, low, high in self.bounds]
        return np.asarray(np.logical_and.reduce(found))

    def __str__(self) -> str:
        return " and ".join(_words(*bound) for bound in self.bounds)


def find_ranges(
    wrong: np.ndarray, properties: Mapping[str, np.ndarray], *, depth: int = 2, least: int = 20
) -> list[Range]:
    """Split pictures by the properties that tell wrong `[N]` from right ones best, and list every node but the root.

    The criterion is Gini impurity (Breiman et al. 1984); no node holds fewer than `least` pictures. The first split of
    every single property is listed too, since what explains errors best may not be what a person understands.

    >>> dark = np.arange(100.0)
    >>> [str(one) for one in find_ranges(dark < 31, {"brightness": dark}, depth=1)]
    ['brightness below 31', 'brightness at least 31']
    """
    roots = [Range(())] if len(properties) > 1 else []
    found = [node for root in roots for node in _grown(root, wrong, properties, depth, least)]
    for name, values in properties.items():
        found += _grown(Range(()), wrong, {name: values}, min(depth, 1) if roots else depth, least)
    return list(dict.fromkeys(found))


def _grown(
    node: Range, wrong: np.ndarray, properties: Mapping[str, np.ndarray], depth: int, least: int
) -> Iterator[Range]:
    members = node.holds(properties) if node.bounds else np.ones(len(wrong), bool)
    if depth < 1 or members.sum() < 2 * least or len(np.unique(wrong[members])) < 2:
        return
    best = max((_best_cut(wrong[members], values[members], least) + (name,) for name, values in properties.items()))
    gain, cut, name = best
    if gain <= 0:
        return
    for low, high in ((-np.inf, cut), (cut, np.inf)):
        child = _narrowed(node, name, low, high)
        yield child
        yield from _grown(child, wrong, properties, depth - 1, least)


def _best_cut(wrong: np.ndarray, values: np.ndarray, least: int) -> tuple[float, float]:
    """Return how much impurity the best threshold takes away, summed over pictures, and the threshold."""
    known = np.isfinite(values)
    if known.sum() < 2 * least:
        return 0.0, 0.0
    order = np.argsort(values[known], kind="stable")
    ordered, errors = values[known][order], wrong[known][order].astype(np.float64).cumsum()
    cuts = np.unique(np.quantile(ordered, np.arange(1, _CUTS + 1) / (_CUTS + 1), method="nearest"))
    places = np.searchsorted(ordered, cuts)
    fits = (places >= least) & (len(ordered) - places >= least)
    if not fits.any():
        return 0.0, 0.0
    places, cuts, total, count = places[fits], cuts[fits], errors[-1], len(ordered)
    left = errors[places - 1]

    def impurity(bad: np.ndarray | float, size: np.ndarray | int) -> np.ndarray:
        return np.asarray(bad * (1 - bad / size))

    gains = impurity(total, count) - impurity(left, places) - impurity(total - left, count - places)
    best = int(gains.argmax())
    return float(gains[best]), float(cuts[best])


def _narrowed(node: Range, name: str, low: float, high: float) -> Range:
    bounds = {one: (start, end) for one, start, end in node.bounds}
    start, end = bounds.get(name, (-np.inf, np.inf))
    bounds[name] = (max(start, low), min(end, high))
    return Range(tuple((one, *ends) for one, ends in sorted(bounds.items())))


def _words(name: str, low: float, high: float) -> str:
    plain = name.replace("_", " ")
    if np.isinf(low):
        return f"{plain} below {high:.3g}"
    return f"{plain} at least {low:.3g}" if np.isinf(high) else f"{plain} {low:.3g} to {high:.3g}"
