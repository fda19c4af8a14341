"""How near the nearest answers were after so many queries: what a search without an eps has to show for its budget."""

from __future__ import annotations

import numpy as np
import torch

from backlight.attack.card import AttackCard
from backlight.attack.threat import ThreatModel
from backlight.pixels.run import Run
from backlight.table import Table

QUERIES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000)
"""Budgets at which the distances are noted."""
COLUMN = "distance_by_queries"
"""The column of a table that holds them: a list per picture, a distance for each of `QUERIES` and the last one."""
SHARES = {"10%": 0.1, "median": 0.5, "90%": 0.9}
"""What is told of the distances of many pictures."""


def has_trail(card: AttackCard, threat: ThreatModel) -> bool:
    """Whether an attack looks for the nearest answer by queries alone, without a bound.

    >>> from backlight.attack.registry import ATTACKS
    >>> [has_trail(ATTACKS.find(name), ThreatModel("l2", None)) for name in ("hopskipjump", "simba", "ddn")]
    [True, False, False]
    """
    return card.outputs_only and card.minimum_norm and threat.eps is None


class Trail:
    """Watch the search of a challenge of `count` images and note how near it was after each number of queries.

    >>> from dataclasses import replace
    >>> from backlight.attack.black_box.rays import rays
    >>> from backlight.testing import small_challenge
    >>> trail = Trail(4)
    >>> found = rays(replace(small_challenge("linf", None), watch=trail), queries=100)
    >>> trail.near.shape, bool((trail.near[:, :-1] >= trail.near[:, 1:]).all())
    (torch.Size([4, 16]), True)
    """

    def __init__(self, count: int) -> None:
        self.near = torch.full((count, len(QUERIES) + 1), torch.inf, dtype=torch.float64)

    def __call__(self, run: Run) -> None:
        """Note what the run has found so far: each image's queries, and its distance where it was fooled."""
        asked, found = run.result.forwards.cpu(), -run.result.score.double().cpu()
        found = torch.where(run.result.success.cpu(), found, torch.inf)
        within = asked[:, None] <= torch.tensor([*QUERIES, torch.inf])
        self.near = torch.minimum(self.near, torch.where(within, found[:, None], torch.inf))

    def added_to(self, table: Table) -> Table:
        """Return the table of these images with the column; no distance is below the one that was confirmed."""
        last = torch.tensor(np.where(table["robust"].astype(bool), np.inf, table["distance"].astype(np.float64)))
        return table.with_columns({COLUMN: torch.maximum(self.near, last[:, None]).numpy()})


def quantiles(near: np.ndarray, most: int) -> dict[int, dict[str, float]]:
    """Summarize the distances of pictures `[N, len(QUERIES) + 1]` by number of queries, up to `most`.

    A quantile between a picture that was fooled and one that was not is infinite.

    >>> quantiles(np.array([[np.inf] + 15 * [0.2], 16 * [0.1]]), 3)[2]["median"]
    0.15...
    """
    known = {count: near[:, place] for place, count in enumerate(QUERIES) if count < most} | {most: near[:, -1]}
    return {count: {name: _quantile(found, share) for name, share in SHARES.items()} for count, found in known.items()}


def _quantile(values: np.ndarray, share: float) -> float:
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    place = share * (len(ordered) - 1)
    low, high = ordered[int(np.floor(place))], ordered[int(np.ceil(place))]
    # Where both are infinite their difference is not a number.
    return float(low if low == high else low + (place - np.floor(place)) * (high - low))


def curves(found: dict[int, dict[str, float]], share: str) -> list[tuple[int, float]]:
    """Return one curve of the summary: (queries, distance), only where it is finite.

    >>> curves({10: {"median": np.inf}, 20: {"median": 0.5}}, "median")
    [(20, 0.5)]
    """
    return [(count, one[share]) for count, one in found.items() if np.isfinite(one[share])]
