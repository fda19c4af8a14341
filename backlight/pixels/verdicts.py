"""Measures that answer: is it fooled, is it the target, how sure is the classifier?

Without a well-defined prediction nothing is a success: to argmax, NaN looks like a class.
"""

from __future__ import annotations

from torch import Tensor

from backlight.pixels.describe import brief
from backlight.pixels.measure import Measure
from backlight.pixels.objectives import Classes, classes_of
from backlight.pixels.view import View


def misclassified(labels: Classes) -> Measure:
    """Whether the predicted class is another than the label, and well defined.

    >>> misclassified(3)
    misclassified(3)
    """

    def verdict(view: View) -> Tensor:
        return ~view.head.answers(view.logits, classes_of(view, labels)) & view.well_defined

    return Measure(verdict, f"misclassified({brief(labels)})")


def predicted(targets: Classes) -> Measure:
    """Whether the predicted class is the target (of several labels: is one of them), and well defined.

    >>> predicted(7) & (confidence() >= 0.9)
    predicted(7) & (confidence() >= 0.9)
    """

    def verdict(view: View) -> Tensor:
        return view.head.answers(view.logits, classes_of(view, targets)) & view.well_defined

    return Measure(verdict, f"predicted({brief(targets)})")


def confidence() -> Measure:
    """Measure the probability of the predicted class, of the surest label where there are several, 0 to 1.

    >>> confidence() > 0.99
    confidence() > 0.99
    """
    return Measure(lambda view: view.head.probabilities(view.logits).amax(1), "confidence()")
