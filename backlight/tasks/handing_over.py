"""Hand a finished result over to an experiment tracker: `--log`."""

from __future__ import annotations

from dataclasses import replace

from backlight.core.errors import BacklightError, Failure
from backlight.sharing import Record, Tracker, open_tracker
from backlight.tasks.outcome import Outcome

__all__ = ["hand_over", "open_tracker"]


def hand_over(outcome: Outcome, tracker: Tracker, *, verb: str, command: str = "") -> Outcome:
    """Give a tracker the numbers, page and tables of an outcome, and say where they can be seen.

    A tracker that fails is one failure of the outcome: the result itself is finished and on disk.

    >>> from backlight.sharing import TrackerCard
    >>> tracker = Tracker(TrackerCard("list", lambda record, options: "here"))
    >>> hand_over(Outcome({"n": 2}), tracker, verb="predict").lines
    ('list: here',)
    """
    if outcome.document is None:  # this process is not the main one
        return outcome
    try:
        where = tracker.hand_over(Record(verb, outcome.document, outcome.files, command))
    except BacklightError as error:
        return replace(outcome, failures=(*outcome.failures, Failure(f"--log {tracker.card.name}", str(error))))
    return replace(outcome, lines=(*outcome.lines, f"{tracker.card.name}: {where}"))
