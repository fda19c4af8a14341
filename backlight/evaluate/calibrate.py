"""Make confidence mean what it says: one temperature, found on validation pictures, and what it changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from backlight.errors import DataError
from backlight.evaluate.calibration import coverage_curve, fit_temperature, reliability
from backlight.evaluate.metrics import mean_loss
from backlight.evaluate.samples import tabulate
from backlight.table import Table

_COVERAGES = (0.5, 0.7, 0.8, 0.9, 0.95, 1.0)


@dataclass(frozen=True)
class Calibration:
    """A temperature, and loss and calibration error before and after it on the pictures that it was found on.

    `after` is the table with the confidences and losses at that temperature; predictions stay as they were.

    >>> Calibration(1.5, 0.4, 0.3, 0.1, 0.02, Table.of(id=["a"])).temperature
    1.5
    """

    temperature: float
    loss_before: float
    loss_after: float
    ece_before: float
    ece_after: float
    after: Table

    def coverage(self) -> list[dict[str, float]]:
        """Give the accuracy on the most confident share of pictures, at some shares (ties counted whole)."""
        shares, accuracies = coverage_curve(self.after)
        places = [int((shares < wanted - 1e-9).sum()) for wanted in _COVERAGES]
        return [{"coverage": float(shares[i]), "accuracy": float(accuracies[i])} for i in places]

    def to_json(self) -> dict[str, Any]:
        """Give the document of the verb `calibrate`."""
        numbers = {name: value for name, value in vars(self).items() if name != "after"}
        return {**numbers, "n": len(self.after), "coverage": self.coverage()}


def calibrate(table: Table) -> Calibration:
    """Find the temperature on a table of validation pictures (Guo et al. 2017), and what it changes.

    Divide logits by the temperature to use it. The error after it is on the same pictures: for an unbiased one
    evaluate on others.

    Raises DataError for a table without logits or with unlabeled pictures.

    >>> data = tabulate(["a", "b", "c", "d"], torch.tensor([0, 0, 0, 1]), torch.tensor([[4.0, 0.0]] * 4))
    >>> found = calibrate(data)
    >>> round(found.ece_before, 2), round(found.ece_after, 2)
    (0.23, 0.0)
    """
    if "logits" not in table or "loss" not in table:
        raise DataError(f"a table with the columns {table.names}", expected="logits and loss of labeled pictures")
    logits, labels = torch.tensor(table["logits"]), torch.tensor(table["label"])
    temperature = fit_temperature(logits, labels)
    after = tabulate(table.ids, labels, logits / temperature)
    # Division can make two logits equal; what is predicted must not depend on that.
    after = after.with_columns(prediction=table["prediction"])
    return Calibration(
        temperature,
        mean_loss(table),
        float(F.cross_entropy(logits.double() / temperature, labels)),
        reliability(table).ece,
        reliability(after).ece,
        after,
    )
