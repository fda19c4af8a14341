"""What an audit comes to: a light for each question, and what to do next, most gain first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from backlight.audit.card import LIGHTS, SECTIONS
from backlight.audit.finding import Finding, Judgement, NotChecked

_WORST_FIRST: tuple[Judgement, ...] = ("bad", "look", "good", "not judged")


@dataclass(frozen=True)
class Light:
    """One light of the first screen: its judgement is the worst of its findings, and `finding` says why.

    `others` are the other findings that are as bad, or worth a look; without any finding, `why` says what is missing.

    >>> Light("accuracy", "not judged", None, (), "no labels").why
    'no labels'
    """

    name: str
    judgement: Judgement
    finding: Finding | None
    others: tuple[Finding, ...] = ()
    why: str = ""


def lights(findings: Sequence[Finding], not_checked: Sequence[NotChecked] = ()) -> tuple[Light, ...]:
    """Return the six lights, in the order of `LIGHTS`.

    >>> found = Finding("accuracy", "accuracy", 0.2, None, 90, "bad", "18 of 90 pictures are right.")
    >>> [light.judgement for light in lights([found])]
    ['not judged', 'not judged', 'bad', 'not judged', 'not judged', 'not judged']
    """
    return tuple(_light(name, findings, not_checked) for name in LIGHTS)


def _light(name: str, findings: Sequence[Finding], not_checked: Sequence[NotChecked]) -> Light:
    own = [one for one in findings if light_of(one.section) == name]
    ranked = sorted(own, key=lambda one: (_WORST_FIRST.index(one.judgement), -one.gain))
    if not ranked or ranked[0].judgement == "not judged":
        reasons = [one.sentence for one in ranked] or [one.why for one in not_checked if light_of(one.section) == name]
        return Light(name, "not judged", None, (), reasons[0] if reasons else "nothing looks at it")
    first = ranked[0]
    # A good light is told by its first finding: sections begin with what is asked first.
    shown = first if first.judgement != "good" else next(one for one in own if one.judgement == "good")
    others = tuple(one for one in ranked if one is not shown and one.judgement in ("bad", "look"))
    return Light(name, first.judgement, shown, others)


def light_of(section: str) -> str:
    """Name the light that a section feeds; sections of others feed none.

    >>> light_of("why"), light_of("elsewhere")
    ('accuracy', '')
    """
    return SECTIONS[section].light if section in SECTIONS else ""


def next_steps(findings: Sequence[Finding]) -> list[Finding]:
    """List the findings that name a next step: bad ones first, then by what the step may bring.

    >>> steps = [Finding(name, "labels", 0.1, None, 9, "look", "So.", next="do", gain=gain)
    ...          for name, gain in (("a", 0.1), ("b", 0.3))]
    >>> [one.name for one in next_steps(steps)]
    ['b', 'a']
    """
    wanted = [one for one in findings if one.next and one.judgement in ("bad", "look")]
    return sorted(wanted, key=lambda one: (-one.gain, _WORST_FIRST.index(one.judgement)))


def counts(findings: Sequence[Finding]) -> dict[Judgement, int]:
    """Count findings by judgement, worst first.

    >>> counts([])["bad"]
    0
    """
    return {judgement: sum(one.judgement == judgement for one in findings) for judgement in _WORST_FIRST}
