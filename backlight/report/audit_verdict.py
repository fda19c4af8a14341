"""The first screen of an audit's page: six lights, what was not checked, and what was looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from backlight.audit.auditing import Audit
from backlight.audit.finding import NotChecked
from backlight.audit.kept import Kept
from backlight.audit.verdict import Light, counts
from backlight.page.sections import Section
from backlight.report.audit_words import first_sentence, interval_text, title_of, value_text
from backlight.report.fill import fill
from backlight.table.statistics import wilson

SIGNS = {"good": "●", "look": "▲", "bad": "■", "not judged": "○"}
"""A sign beside the word and the color of each judgement: not everybody sees colors."""


@dataclass(frozen=True)
class AuditFacts:
    """What the page says of the audit besides its findings: names, fingerprints, cost, gates.

    `facts` are names with words, in the order of the page; `gates` are sentences of a gate file with whether each
    holds, None where that could not be judged.

    >>> AuditFacts("photos (test)").pictures
    True
    """

    data: str
    facts: Mapping[str, str] = field(default_factory=dict)
    gates: Sequence[tuple[bool | None, str]] = ()
    pictures: bool = True


def verdict_section(found: Audit, about: AuditFacts) -> Section:
    """Write the first screen.

    >>> import numpy as np
    >>> from backlight.audit import Examined, run_checks
    >>> examined = Examined.of(Kept.of(np.eye(3), labels=[0, 1, 2]))
    >>> found = Audit(examined, run_checks(examined, []), 0, 0)
    >>> "names <strong>100%</strong> of them right" in verdict_section(found, AuditFacts("d")).html
    True
    """
    facts = {
        "lights": [_light(light) for light in found.lights],
        "signs": SIGNS,
        "counts": [(judgement, count) for judgement, count in counts(found.findings).items() if count],
        "not_checked": _together(found.not_checked),
        "about": about,
        "n": len(found.examined.kept),
        "accuracy": _accuracy(found.examined.kept),
    }
    return Section("verdict", "At a glance", fill("audit_verdict.html", facts))


def _accuracy(kept: Kept) -> tuple[float, tuple[float, float]] | None:
    known = kept.labels >= 0
    if not known.any():
        return None
    right, count = int(kept.right[known].sum()), int(known.sum())
    return right / count, wilson(right, count)


def _light(light: Light) -> dict[str, Any]:
    first = light.finding
    return {
        "name": light.name.capitalize(),
        "judgement": light.judgement,
        "sentence": light.why if first is None else first_sentence(first.sentence),
        "anchor": "" if first is None else f"finding-{first.name}",
        "title": "" if first is None else title_of(first.name).lower(),
        "value": "" if first is None else value_text(first),
        "interval": "" if first is None else interval_text(first),
        "others": [(f"finding-{one.name}", title_of(one.name), one.judgement) for one in light.others],
    }


def _together(absent: Sequence[NotChecked]) -> list[tuple[str, list[str]]]:
    """Gather what was not checked by the reason."""
    by_reason = sorted(absent, key=lambda one: one.why)
    return [(why, [title_of(one.name) for one in group]) for why, group in groupby(by_reason, key=lambda one: one.why)]
