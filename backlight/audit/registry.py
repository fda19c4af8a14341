"""Every check by name, section by section; installed packages add theirs by entry points `backlight.checks`."""

from __future__ import annotations

from collections.abc import Iterable

from backlight.audit import (
    accuracy,
    attribution_share,
    by_class,
    calibration,
    class_concepts,
    copies,
    field_labels,
    field_shift,
    gravest,
    health,
    labels,
    property_labels,
    quick_looks,
    sets,
    shortcuts,
    slices,
    splits,
    two_models,
    unknown_inputs,
)
from backlight.audit.card import SECTIONS, CheckCard
from backlight.audit.examined import DEPTHS, Depth
from backlight.core.errors import UsageError
from backlight.core.plugins import Registry

_CARDS: tuple[CheckCard, ...] = (
    *health.CARDS,
    *copies.CARDS,
    *splits.CARDS,
    *labels.CARDS,
    *accuracy.CARDS,
    *by_class.CARDS,
    *calibration.CARDS,
    *sets.CARDS,
    *slices.CARDS,
    *two_models.CARDS,
    *gravest.CARDS,
    *class_concepts.CARDS,
    *shortcuts.CARDS,
    *attribution_share.CARDS,
    *property_labels.CARDS,
    *quick_looks.CARDS,
    *unknown_inputs.CARDS,
    *field_shift.CARDS,
    *field_labels.CARDS,
)

CHECKS = Registry("checks", "check", _CARDS, CheckCard)


def checks_of(depth: Depth = "normal") -> list[CheckCard]:
    """List the checks that an audit of this depth runs, in the order of the page; raises UsageError for no depth.

    >>> "accuracy" in [card.name for card in checks_of("quick")]
    True
    """
    return [card for card in in_order(CHECKS.values()) if DEPTHS.index(card.depth) <= DEPTHS.index(depth_of(depth))]


def depth_of(name: str) -> Depth:
    """Return a depth by name; raises UsageError that lists them.

    >>> depth_of("deep")
    'deep'
    """
    for depth in DEPTHS:
        if name == depth:
            return depth
    raise UsageError(f"depth {name!r}", expected=" | ".join(DEPTHS))


def in_order(cards: Iterable[CheckCard]) -> list[CheckCard]:
    """Sort checks by section as on the page; those of one section keep their order, unknown sections come last."""
    order = {name: place for place, name in enumerate(SECTIONS)}
    return sorted(cards, key=lambda card: order.get(card.section, len(order)))
