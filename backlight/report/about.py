"""What stands below the title of every page: which model, which pictures, when, and by which command."""

from __future__ import annotations

import os
import time

from backlight.classifier import Classifier

_CLOCK = "SOURCE_DATE_EPOCH"


def about(classifier: Classifier | None = None, *, data: str = "", command: str = "") -> tuple[tuple[str, str], ...]:
    """Describe what a page is of, as names with words; what is empty is left out.

    The date is that of `SOURCE_DATE_EPOCH` (https://reproducible-builds.org/specs/source-date-epoch/) where it is set.

    >>> [name for name, _ in about(data="photos (test)")]
    ['pictures', 'date']
    """
    facts = {"model": "", "weights": "", "pictures reach it by": ""}
    if classifier is not None:
        passport = classifier.passport
        facts |= {
            "model": classifier.title,
            "weights": passport.weights or "",
            "pictures reach it by": passport.describe(),
        }
    seconds = os.environ.get(_CLOCK, "")
    date = time.gmtime(int(seconds) if seconds.isdecimal() else None)
    facts |= {"pictures": data, "date": time.strftime("%Y-%m-%d %H:%M UTC", date), "command": command}
    return tuple((name, words) for name, words in facts.items() if words)
