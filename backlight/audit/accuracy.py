"""How often a classifier is right, and against what that is much."""

from __future__ import annotations

from collections.abc import Iterator

from backlight.audit.card import CheckCard
from backlight.audit.examined import Examined
from backlight.audit.finding import Finding
from backlight.table.statistics import wilson


def check_accuracy(examined: Examined) -> Iterator[Finding]:
    """Find the share of pictures that are right, with its Wilson interval, against the share of the commonest class."""
    kept = examined.kept
    count, right = len(kept), int(kept.right.sum())
    low, high = wilson(right, count)
    sentence = f"{right:,} of {count:,} pictures are right."
    yield Finding("accuracy", "accuracy", right / count, (low, high), count, "good", sentence)


CARDS = (CheckCard("accuracy", "accuracy", check_accuracy, needs=frozenset({"labels"})),)
