"""Run checks over what is examined: findings in the order of the page, and what could not be checked, and why."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from backlight.audit.card import NEEDS, CheckCard
from backlight.audit.examined import DEPTHS, Examined
from backlight.audit.finding import Finding, NotChecked, not_judged
from backlight.audit.registry import CHECKS, in_order
from backlight.core.errors import BacklightError, DataError
from backlight.core.progress import reporting

FEWEST = 10
"""Of a data set of fewer pictures than these nothing is called good, however they turn out."""


@dataclass(frozen=True, eq=False, repr=False)
class Checked:
    """What became of the checks: findings, what was not looked at, and the seconds that each check took.

    >>> Checked((), ()).findings
    ()
    """

    findings: tuple[Finding, ...]
    not_checked: tuple[NotChecked, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)


def run_checks(examined: Examined, cards: Iterable[CheckCard] | None = None) -> Checked:
    """Run checks (all, if left out) and gather what they find, in the order of the page.

    A check of a greater depth than the audit's, and one that needs what is not at hand, is named as not checked. One
    that raises an error of this program becomes a finding that is not judged and says why; a plug-in that raises
    anything else does too, with a warning that names its distribution. Nothing is called good of fewer than `FEWEST`
    pictures. Raises DataError for findings of one name.

    >>> import numpy as np
    >>> from backlight.audit.kept import Kept
    >>> found = run_checks(Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2])), [CHECKS["accuracy"]])
    >>> [(one.name, one.judgement) for one in found.findings]
    [('accuracy', 'not judged')]
    """
    findings: list[Finding] = []
    absent: list[NotChecked] = []
    seconds: dict[str, float] = {}
    wanted = in_order(CHECKS.values() if cards is None else cards)
    with reporting(examined.progress, len(wanted), "check") as advance:
        for card in wanted:
            why = _why_not(card, examined)
            if why:
                absent.append(NotChecked(card.name, why, card.section))
            else:
                start = time.perf_counter()
                findings += _findings(card, examined)
                seconds[card.name] = time.perf_counter() - start
            advance(1, card.name)
    _check_names(findings)
    return Checked(tuple(findings), tuple(absent), seconds)


def _why_not(card: CheckCard, examined: Examined) -> str:
    if DEPTHS.index(card.depth) > DEPTHS.index(examined.depth):
        return f"needs --depth {card.depth}"
    lacking = [need for need in NEEDS if need in card.needs - examined.has]
    return f"needs {' and '.join(NEEDS[need] for need in lacking)}" if lacking else ""


def _findings(card: CheckCard, examined: Examined) -> Sequence[Finding]:
    try:
        return [_doubted(one, len(examined.kept)) for one in card.function(examined)]
    except BacklightError as error:
        return [not_judged(card.name, card.section, str(error), len(examined.kept))]
    except Exception as error:  # whatever a foreign package raises must not end the audit
        if card.name in CHECKS.built_in or card.name not in CHECKS:
            raise
        CHECKS.warn(card.name, f"raised {type(error).__name__}: {error}")
        return [not_judged(card.name, card.section, f"its plug-in raised {type(error).__name__}", len(examined.kept))]


def _doubted(found: Finding, pictures: int) -> Finding:
    """Return a finding that calls nothing good of a data set of a few pictures, whatever its check says."""
    if found.judgement != "good" or pictures >= FEWEST:
        return found
    return replace(found, judgement="not judged", sentence=f"{found.sentence} So few pictures prove nothing.")


def _check_names(findings: Sequence[Finding]) -> None:
    names = [one.name for one in findings]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"two findings are named {twice[0]!r}", expected="one name for each: a gate asks by name")
