"""How findings are written: their names, numbers and intervals, and what a second model makes of them."""

from __future__ import annotations

import re

from backlight.audit.finding import Finding
from backlight.audit.paired import PairedFinding
from backlight.page.sections import number, percent


def first_sentence(text: str) -> str:
    """Return the first sentence of several: what a light says, and its card says all.

    A short word or a letter before the full stop is an abbreviation.

    >>> first_sentence("A St. Bernard is right least often. Look at it.")
    'A St. Bernard is right least often.'
    """
    end = re.search(r"(?:[^\W\d_]{3}|[\d%)])\.(?=\s+[A-Z\d])", text)
    return text if end is None else text[: end.end()]


def title_of(name: str) -> str:
    """Write the name of a finding as people read it.

    >>> title_of("leaked_pictures")
    'Leaked pictures'
    """
    words = name.replace("_", " ").replace("-", " ")
    return words[:1].upper() + words[1:]


def value_text(found: Finding) -> str:
    """Write the number of a finding by its unit, nothing where there is none.

    >>> value_text(Finding("a", "health", 0.25, None, 4, "look", "So."))
    '25%'
    """
    return "" if found.value is None else number_text(found.value, found.unit)


def interval_text(found: Finding) -> str:
    """Write the interval of a finding by its unit, nothing where there is none.

    >>> interval_text(Finding("a", "health", 0.25, (0.0, 0.5), 4, "look", "So."))
    '0% to 50%'
    """
    return "" if found.interval is None else " to ".join(number_text(end, found.unit) for end in found.interval)


def number_text(value: float, unit: str) -> str:
    """Write a number by its unit: a share as percent, pictures as a count.

    >>> number_text(-0.13, "share"), number_text(1200, "pictures")
    ('−13%', '1,200')
    """
    if unit == "share":
        return percent(value) if value >= 0 else f"−{percent(-value)}"
    return f"{value:,.0f}" if unit == "pictures" else number(value)


def second_text(other: PairedFinding) -> str:
    """Write what a second model makes of a finding: its number, the difference with its interval, and a word."""
    low, high = (_signed(end, other.unit) for end in other.interval)
    apart = f"{_signed(other.difference, other.unit)} ({low} to {high})"
    return f"{number_text(other.first, other.unit)} and {number_text(other.second, other.unit)}, {apart}: {other.word}"


def _signed(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:+.1f} points".replace("-", "−")
    return f"{'+' if value >= 0 else '−'}{number(abs(value))}"
