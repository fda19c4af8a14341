"""A check by name: which section it speaks in, what it needs and how deep an audit has to go for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from backlight.audit.examined import Depth, Examined
from backlight.audit.finding import Finding

NEEDS = {
    "labels": "labels for every picture",
    "features": "a layer before the last one that the model shows",
    "head": "a last layer that is linear",
    "train": "the training data (--train)",
    "against": "data of the field (--against)",
    "second": "a second model (--model given twice)",
    "pictures": "the pictures and the model",
    "gradients": "a model through which gradients go",
}
"""What a check may need, as a sentence after "needs" says it."""

Check = Callable[[Examined], Iterable[Finding]]
"""From what is examined to findings: a pure function of it."""


@dataclass(frozen=True)
class CheckCard:
    """One check: its section (a key of `SECTIONS`), the least depth that runs it, what it needs, its reference.

    `needs` are keys of `NEEDS`; where one is absent the check is listed as not checked, with the reason. `avoid` says
    when not to rely on it. `paired` says that its findings hold what each picture adds (`Finding.per_picture`): a
    second model goes through it too, and is compared by it.

    >>> CheckCard("dark", "health", lambda examined: []).depth
    'quick'
    """

    name: str
    section: str
    function: Check
    depth: Depth = "quick"
    needs: frozenset[str] = frozenset()
    reference: str = ""
    avoid: str = ""
    paired: bool = False


@dataclass(frozen=True)
class SectionOf:
    """One section of an audit: its title, the light on the first screen that it feeds, and what it asks."""

    title: str
    light: str
    asks: str


SECTIONS = {
    "health": SectionOf("Data health", "data", "Are the pictures fit to be learned from and measured on?"),
    "splits": SectionOf("Split hygiene", "splits and labels", "Does the test know pictures of the training?"),
    "labels": SectionOf("Labels", "splits and labels", "How many labels are wrong, and which?"),
    "accuracy": SectionOf("Accuracy", "accuracy", "How often is it right, and against what is that much?"),
    "calibration": SectionOf("Calibration and sets", "calibration", "Does its confidence mean what it says?"),
    "slices": SectionOf("Slices", "accuracy", "On which kinds of pictures does it fail?"),
    "shortcuts": SectionOf("Shortcuts", "robustness", "Does it look at the thing, or at what stands beside it?"),
    "stability": SectionOf("Stability and corruption", "robustness", "What do noise, blur and small shifts do?"),
    "adversarial": SectionOf("Adversarial quick look", "robustness", "How little changes its answer?"),
    "unknown": SectionOf("Unknown inputs", "shift and unknown inputs", "Does it know what it does not know?"),
    "shift": SectionOf("Shift", "shift and unknown inputs", "Is the field like the data that it was measured on?"),
    "second": SectionOf("Two models", "", "Is a second model better, and where?"),
    "why": SectionOf("Why", "accuracy", "Where do its gravest errors come from?"),
}
"""The sections of an audit in the order of the page."""

LIGHTS = ("data", "splits and labels", "accuracy", "calibration", "robustness", "shift and unknown inputs")
"""What the first screen shows, each from the findings of its sections."""
