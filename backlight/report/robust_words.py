"""An evaluation of robustness in words: what was allowed, when the attacker wins, how complete the search was."""

from __future__ import annotations

import math
from collections.abc import Callable

from backlight.attack.measures import MEASURES
from backlight.attack.robustness import Robustness
from backlight.attack.threat import ThreatModel
from backlight.classifier.targets import Target
from backlight.page.sections import number, percent

_LEVELS, _ON_LEVEL = 255, 1e-3


def threat_words(threat: ThreatModel) -> str:
    """Describe what an attacker may change.

    >>> threat_words(ThreatModel("linf", "8/255"))
    'Every color value may move by at most 8/255 (0.03137) of the way from black to white.'
    """
    if threat.eps is None:
        measured = {
            "linf": "its largest value",
            "l2": "the root of the sum of its squares",
            "l1": "its sum",
            "l0": "the number of color values that change at all",
            **{name: own.aim for name, own in MEASURES.items()},
        }
        return f"Nothing bounds the change: the attack looks for the smallest that fools, by {measured[threat.norm]}."
    size = size_text(threat)(threat.size)
    if threat.own is not None:
        return threat.own.limit.format(size=size)
    if threat.norm == "linf":
        decimal = f" ({threat.size:.4g})" if "/" in size else ""
        return f"Every color value may move by at most {size}{decimal} of the way from black to white."
    if threat.norm == "l0":
        return f"At most {size} color values may change, by any amount; a pixel has one for each of its channels."
    how = "squared, added up and the root taken," if threat.norm == "l2" else "added up,"
    return f"All changes of a picture, {how} may reach {size}, where one value from black to white counts 1."


def goal_words(target: Target) -> str:
    """Describe when the attacker wins.

    >>> goal_words(None)
    'The attacker wins by any wrong answer.'
    """
    if target is None:
        return "The attacker wins by any wrong answer."
    names = {"random": "a class drawn at random", "least-likely": "the class that seemed least likely before"}
    aim = names.get(target, target) if isinstance(target, str) else "the class that was asked for"
    return f"The attacker wins only by one answer: {aim}. Any other answer counts as withstanding."


def mode_words(found: Robustness) -> list[str]:
    """Describe how completely an evaluation was run, in a paragraph for each thing that limits it.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> mode_words(Robustness(Table.of(id=["a"]), RobustnessRequest("pgd"), (), 1))[0][:6]
    'Exact:'
    """
    request, words = found.request, []
    if found.stands_in_for:
        words.append(stand_in_words(found))
    if found.audit is not None:
        survivors, tested, broken = found.audit
        words.append(
            f"Audited: the costly last attacks ran on {tested:,} of {survivors:,} survivors, drawn at random, and "
            f"broke {broken:,}. Run on all of them they would, with 95% confidence, break at most "
            f"{found.audit_bound:,} more, {percent(found.audit_bound / len(found.table))} of all pictures; "
            "the interval reaches down by that."
        )
    if request.budget is not None:
        share = percent(len(found.table) / max(found.planned, 1))
        words.append(
            f"Within a budget of {request.budget:g} seconds: {len(found.table):,} of {found.planned:,} pictures "
            f"({share}), drawn at random, were attacked. The numbers are of these."
        )
    return words or ["Exact: every attack ran on every picture that the ones before it had left standing."]


def stand_in_words(found: Robustness) -> str:
    """Say that a stand-in ran and for what, and what to run for a paper; nothing where none did.

    >>> from backlight.attack.request import RobustnessRequest
    >>> from backlight.table import Table
    >>> stand_in_words(Robustness(Table.of(id=["a"]), RobustnessRequest("autoattack-fast"), (), 1))
    'These numbers stand in for those of autoattack; run autoattack for papers.'
    """
    if not found.stands_in_for:
        return ""
    some = f" On {found.unfinished:,} survivors only the stand-in ran." if found.unfinished else ""
    return f"These numbers stand in for those of {found.stands_in_for}; run {found.stands_in_for} for papers.{some}"


def size_text(threat: ThreatModel) -> Callable[[float], str]:
    """Return how sizes of changes are written for people: in linf in 8-bit levels.

    The size that was asked for is written as it was, whole and half levels as they are, what was measured with two
    digits.

    >>> text = size_text(ThreatModel("linf", "8/255"))
    >>> text(8 / 255), text(0.5 / 255), text(2.2134 / 255), size_text(ThreatModel("l2", 0.5))(0.25)
    ('8/255', '0.5/255', '2.2/255', '0.25')
    """

    def text(size: float) -> str:
        if threat.norm != "linf" or not 0 < size < math.inf:
            return number(size)
        decimal, levels = f"{size:.4g}", _LEVELS * size
        if size == threat.size:  # 0.1 was chosen as 0.1, and 2.21/255 as that
            return decimal if float(decimal) == size else f"{levels:.4g}/255"
        halves = round(2 * levels) / 2
        if halves and abs(levels - halves) < _ON_LEVEL:
            return f"{halves:g}/255"
        return f"{levels:.0f}/255" if levels >= 10 else f"{levels:.2g}/255"

    return text
