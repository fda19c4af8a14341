"""What was proved about a data set: every number a function of one table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from backlight.attack.checks import Doubt
from backlight.certify.bounds import CERTAIN
from backlight.certify.request import CertifyRequest
from backlight.certify.smoothing import ABSTAINED
from backlight.core.display import Displayed
from backlight.core.errors import Failure, counted
from backlight.table import Table
from backlight.table.statistics import wilson


@dataclass(frozen=True)
class CertifiedShare:
    """How much of a data set is proved to be named rightly within a radius, and how much attacks left standing there.

    `attacked` is None where no attack was asked for; intervals are of 95%.

    >>> CertifiedShare(0.25, 0.4, (0.3, 0.5)).to_json()
    {'share': 0.4, 'interval': [0.3, 0.5]}
    """

    radius: float
    share: float
    interval: tuple[float, float]
    attacked: float | None = None
    attacked_interval: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return `{"share","interval"}`, and the same of attacks below `attacked` where there were any."""
        own: dict[str, Any] = {"share": self.share, "interval": list(self.interval)}
        if self.attacked is None or self.attacked_interval is None:
            return own
        return own | {"attacked": {"share": self.attacked, "interval": list(self.attacked_interval)}}


@dataclass(frozen=True, eq=False)
class CertificateStudy(Displayed):
    """A table with one row per picture: what the network says of it, and what is proved.

    Columns: `id`, `label`, `prediction` (of the network itself); of smoothing `certified` (the class that is proved, -1
    where it abstains) and `radius` (l2, pixel units); of bounds `margin` (the least that the label's logit exceeds
    another by within eps). Where attacks ran `attacked`: how far the network itself was when it was fooled, 0 where it
    is wrong already, infinite where it never was; and `blind`: whether no gradient led anywhere.

    >>> table = Table.of(id=["a", "b"], label=[0, 1], prediction=[0, 1], certified=[0, -1], radius=[0.3, 0.0])
    >>> CertificateStudy(table, CertifyRequest()).at(0.25).share
    0.5
    """

    table: Table
    request: CertifyRequest
    split: str = "all"
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def clean_accuracy(self) -> float:
        """Return the share of pictures that the network itself names rightly."""
        return float((self.table["prediction"] == self.table["label"]).mean())

    @property
    def abstained(self) -> float:
        """Return the share of pictures of which nothing could be proved."""
        if self.request.smoothing:
            return float((self.table["certified"] == ABSTAINED).mean())
        return float((~np.asarray(self.table["margin"] > CERTAIN)).mean())  # NaN proves nothing

    def holds(self, radius: float) -> np.ndarray:
        """Return which pictures are proved to be named rightly within a radius, bool `[N]`."""
        if not self.request.smoothing:
            return np.asarray(self.table["margin"] > CERTAIN) & (radius <= self.request.size)
        return np.asarray((self.table["certified"] == self.table["label"]) & (self.table["radius"] >= radius))

    def stands(self, radius: float) -> np.ndarray | None:
        """Return which pictures the network names rightly and no attack within a radius changed, bool `[N]`."""
        if "attacked" not in self.table:
            return None
        right = self.table["prediction"] == self.table["label"]
        return np.asarray(right & (self.table["attacked"] > radius))

    @property
    def verdicts(self) -> tuple[Doubt, ...]:
        """Tell whether the attack saw what it needs: what it left standing says nothing else."""
        blind = int(np.asarray(self.table["blind"]).sum()) if "blind" in self.table else 0
        if not blind:
            return ()
        found = f"of {counted(blind, 'picture')} the attack saw no gradient that leads anywhere"
        return (Doubt("blind attack", found, "read nothing from what it left; certificates do not rest on it"),)

    def at(self, radius: float) -> CertifiedShare:
        """Return what is proved within a radius, with intervals over pictures (Wilson)."""
        held, stood = self.holds(radius), self.stands(radius)
        count = len(held)
        attacks = (None, None) if stood is None else (float(stood.mean()), wilson(int(stood.sum()), count))
        return CertifiedShare(radius, float(held.mean()), wilson(int(held.sum()), count), *attacks)

    @property
    def shares(self) -> tuple[CertifiedShare, ...]:
        """Return what is proved at every radius of the request."""
        return tuple(self.at(radius) for radius in self.request.radii)

    def to_json(self) -> dict[str, Any]:
        """Return the document: `{"n","method","certified_accuracy":{radius:{"share","interval"}},...}`."""
        right = int((self.table["prediction"] == self.table["label"]).sum())
        return {
            "n": len(self.table),
            "split": self.split,
            **self.request.describe(),
            "norm": self.request.norm,
            "certified_accuracy": {radius_text(one.radius): one.to_json() for one in self.shares},
            "abstained": self.abstained,
            "clean_accuracy": self.clean_accuracy,
            "clean_interval": list(wilson(right, len(self.table))),
            "verdicts": [one.to_json() for one in self.verdicts],
            "failed": [one.to_json() for one in self.failed],
            "seconds": self.seconds,
        }

    def summary_table(self) -> Table:
        """Return a row per radius: `radius`, `certified` with its interval `from` and `to`, `attacked`."""
        shares = self.shares
        return Table.numbered(
            {
                "radius": [one.radius for one in shares],
                "certified": [one.share for one in shares],
                "from": [one.interval[0] for one in shares],
                "to": [one.interval[1] for one in shares],
                "attacked": [one.attacked for one in shares],
            }
        )

    def __repr__(self) -> str:
        first = self.shares[-1] if not self.request.smoothing else self.at(self.request.settings["sigma"])
        return (
            f"CertificateStudy({self.request.method}, {len(self.table)} pictures: {first.share:.1%} proved within "
            f"{radius_text(first.radius)} in {self.request.norm})"
        )


def radius_text(radius: float) -> str:
    """Write a radius as documents and pages call it.

    >>> radius_text(0.25), radius_text(2 / 255)
    ('0.25', '0.007843')
    """
    return f"{radius:.4g}"
