"""Which pixels speak for a class, by every attribution method that matters, from shared passes.

explaining           `explain`, the one call
catalog, choosing    every method with its needs, cost, reference and when not to use it; from names to them
attribution          the results; figures draws them, saved writes them; request: what is asked for
session, recorded    what methods work on: one recorded pass
objective, layout    what is explained; where a layer's rows and columns are
rectifiers           guided backpropagation by interception
attention            attention weights by interception
methods/             the methods
scores/              how far a map can be trusted
study                `explain_data`: whole data sets; views reads their pictures, averages gathers maps by class
"""

from backlight.core.faces import call_room
from backlight.explain.attribution import Attribution, Explanations
from backlight.explain.choosing import Method, choose_methods, method
from backlight.explain.explaining import explain
from backlight.explain.objective import Contrast
from backlight.explain.registry import METHODS, Card
from backlight.explain.study import explain_data

__all__ = [
    "METHODS",
    "Attribution",
    "Card",
    "Contrast",
    "Explanations",
    "Method",
    "choose_methods",
    "explain",
    "explain_data",
    "method",
]

call_room(__name__, "explain")
