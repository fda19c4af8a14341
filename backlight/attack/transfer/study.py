"""What came of attacks made on one model when others looked: every rate a function of one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from torch import Tensor

from backlight.attack.checks import Doubt
from backlight.attack.transfer.request import TransferRequest
from backlight.core.display import Displayed
from backlight.core.errors import DataError, Failure
from backlight.table import Table
from backlight.table.statistics import wilson

NOT_ATTACKED = -2
"""In place of a prediction, where the surrogate did not name the picture rightly and so was not attacked on it."""


@dataclass(frozen=True)
class TransferRate:
    """How often pictures that were changed on a surrogate fool a victim, of the `n` that both name rightly unchanged.

    `success` and its 95% `interval` are None where there is no such picture. `white_box` says that the surrogate is
    the victim itself.

    >>> TransferRate.of("mi", "a", "b", 3, 10).to_json()["success"]
    0.3
    """

    attack: str
    surrogate: str
    victim: str
    n: int
    fooled: int
    success: float | None
    interval: tuple[float, float] | None
    white_box: bool = False

    @classmethod
    def of(cls, attack: str, surrogate: str, victim: str, fooled: int, n: int) -> TransferRate:
        """Work out a rate from counts."""
        share, bounds = (fooled / n, wilson(fooled, n)) if n else (None, None)
        return cls(attack, surrogate, victim, n, fooled, share, bounds, surrogate == victim)

    def to_json(self) -> dict[str, Any]:
        """Return `{"attack","surrogate","victim","success","interval","n","fooled","white_box"}`."""
        bounds = None if self.interval is None else list(self.interval)
        names = ("attack", "surrogate", "victim", "success")
        return {name: getattr(self, name) for name in names} | {
            "interval": bounds,
            "n": self.n,
            "fooled": self.fooled,
            "white_box": self.white_box,
        }


@dataclass(frozen=True, eq=False)
class TransferExample:
    """One picture as surrogates saw it and as attacks changed it: by surrogate, and by (attack, surrogate).

    Pictures are uint8 [C,H,W].

    >>> TransferExample("cat.png", {}, {}).name
    'cat.png'
    """

    name: str
    originals: Mapping[str, Tensor]
    changed: Mapping[tuple[str, str], Tensor]


@dataclass(frozen=True, eq=False)
class TransferStudy(Displayed):
    """A table with one row per picture: what every victim said of it unchanged and changed on every surrogate.

    Columns: `id`, `label`; for each model `MODEL.true`, the picture's class as that model numbers it; for each
    surrogate and victim `SURROGATE > VICTIM.clean`, and for each attack `ATTACK: SURROGATE > VICTIM`, the class that
    the victim names; for each attack and surrogate `ATTACK: SURROGATE.blind`, whether it saw no gradient that leads
    anywhere and did not fool the surrogate. `models` are the victims, `surrogates` whom each was attacked on, with the
    members of an ensemble.

    >>> columns = {"id": ["a", "b"], "label": [0, 1], "m.true": [0, 1], "m > m.clean": [0, 1], "mi: m > m": [1, 1]}
    >>> study = TransferStudy(Table.of(columns), TransferRequest.of("mi"), ("m",), {"m": ("m",)})
    >>> study.rate("mi", "m", "m").success
    0.5
    """

    table: Table
    request: TransferRequest
    models: tuple[str, ...]
    surrogates: Mapping[str, tuple[str, ...]]
    label_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    examples: tuple[TransferExample, ...] = ()
    split: str = "all"
    failed: tuple[Failure, ...] = ()
    seconds: float = 0.0

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """List surrogates with the victims that their pictures were shown to; no ensemble is shown to a member."""
        return [(one, model) for one in self.surrogates for model in self.models if self._shown(one, model)]

    def _shown(self, surrogate: str, victim: str) -> bool:
        return f"{surrogate} > {victim}.clean" in self.table

    @cached_property
    def rates(self) -> tuple[TransferRate, ...]:
        """Return the rate of every attack from every surrogate to every victim."""
        return tuple(self.rate(attack, *pair) for attack in self.request.labels for pair in self.pairs)

    def both_right(self, surrogate: str, victim: str) -> np.ndarray:
        """Return which pictures count: attacked, as the surrogate names them rightly, and right for the victim too.

        bool `[N]`. Raises DataError for a pair that was not looked at.
        """
        if not self._shown(surrogate, victim):
            raise DataError(f"nothing of {surrogate} was shown to {victim}", expected=f"one of {self.pairs}")
        attacked = np.asarray(self.table[f"{self.request.labels[0]}: {surrogate} > {victim}"] != NOT_ATTACKED)
        return attacked & np.asarray(self.table[f"{surrogate} > {victim}.clean"] == self.table[f"{victim}.true"])

    def fooled(self, attack: str, surrogate: str, victim: str) -> np.ndarray:
        """Return which of all pictures count and are named otherwise after an attack, bool `[N]`.

        Where the victim has no well-defined prediction nothing is a success.
        """
        said = np.asarray(self.table[f"{attack}: {surrogate} > {victim}"])
        return self.both_right(surrogate, victim) & (said >= 0) & (said != np.asarray(self.table[f"{victim}.true"]))

    def rate(self, attack: str, surrogate: str, victim: str) -> TransferRate:
        """Work out how often an attack on a surrogate fools a victim."""
        count = int(self.both_right(surrogate, victim).sum())
        return TransferRate.of(attack, surrogate, victim, int(self.fooled(attack, surrogate, victim).sum()), count)

    @property
    def between(self) -> tuple[TransferRate, ...]:
        """Return the rates between different models, which is what transfer means."""
        return tuple(one for one in self.rates if not one.white_box and one.n)

    @property
    def verdicts(self) -> tuple[Doubt, ...]:
        """Tell which surrogates hide their gradients: what is made on them says nothing of whom it would fool."""
        found = []
        for attack in self.request.labels:
            for surrogate in self.surrogates:
                blind = np.asarray(self.table[f"{attack}: {surrogate}.blind"])
                count, attacked = int((blind == 1).sum()), int((blind != NOT_ATTACKED).sum())
                if count:
                    words = f"{attack} on {surrogate}: {count} of {attacked} pictures had gradients that were "
                    words += "zero all over or NaN, and did not fool even the model that they were made on"
                    remedy = "low rates from it prove nothing: another objective, such as objective=margin, or another"
                    found.append(Doubt("zero gradients", words, f"{remedy} surrogate"))
        return tuple(found)

    def clean_accuracy(self, model: str) -> float:
        """Return the share of pictures that a model names rightly, at its own size or as a surrogate saw them."""
        seen = [one for one, victim in self.pairs if victim == model]
        first = model if model in seen else seen[0]
        return float((self.table[f"{first} > {model}.clean"] == self.table[f"{model}.true"]).mean())

    def summary_table(self) -> Table:
        """Return a row per attack, surrogate and victim with `n`, `success` and its 95% interval `from` and `to`."""
        known = [one for one in self.rates if one.interval is not None]
        columns = {name: [getattr(one, name) for one in known] for name in ("attack", "surrogate", "victim", "n")}
        low, high = ([one.interval[end] for one in known if one.interval] for end in (0, 1))
        return Table.numbered(columns | {"success": [one.success for one in known], "from": low, "to": high})

    def to_json(self) -> dict[str, Any]:
        """Return the document of the verb `transfer`."""
        return {
            "n": len(self.table),
            "split": self.split,
            "eps": self.request.threat.size,
            "clean_accuracy": {name: self.clean_accuracy(name) for name in self.models},
            "surrogates": {name: list(members) for name, members in self.surrogates.items()},
            "rates": [one.to_json() for one in self.rates],
            "verdicts": [one.to_json() for one in self.verdicts],
            "seconds": round(self.seconds, 3),
        }
