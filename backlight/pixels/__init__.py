"""The loop that changes pixels, and the parts that it is assembled from.

objective        a Measure to climb             objectives.py, verdicts.py, penalties.py, measure.py
parametrization  what is moved                  parametrizations.py, starts.py
rule             how it moves                   rules.py, rule.py
constraint       where it may be                constraints.py
transforms       random views of it             transforms.py
loop             look, judge, leave, move       loop.py, look.py, problem.py, view.py
outcome          Result of a Run                result.py, run.py
"""

from backlight.pixels.constraints import Ball, Box, Constraint, Mask
from backlight.pixels.loop import optimize, turns
from backlight.pixels.measure import Measure
from backlight.pixels.objectives import (
    activation,
    clamp,
    classes_of,
    cross_entropy,
    dlr,
    dlr_targeted,
    hinge,
    logit,
    margin,
    probability,
)
from backlight.pixels.parametrizations import Lattice, Parametrization, Pixels
from backlight.pixels.penalties import distance, total_variation
from backlight.pixels.result import Result, Stopped
from backlight.pixels.rule import Move, Rule, Seen
from backlight.pixels.rules import SGD, Adam, Sign, Unit
from backlight.pixels.run import Run
from backlight.pixels.starts import Gaussian, Surface, Uniform
from backlight.pixels.transforms import Compose, Jitter, Transforms
from backlight.pixels.verdicts import confidence, misclassified, predicted
from backlight.pixels.view import View

__all__ = [
    "SGD",
    "Adam",
    "Ball",
    "Box",
    "Compose",
    "Constraint",
    "Gaussian",
    "Jitter",
    "Lattice",
    "Mask",
    "Measure",
    "Move",
    "Parametrization",
    "Pixels",
    "Result",
    "Rule",
    "Run",
    "Seen",
    "Sign",
    "Stopped",
    "Surface",
    "Transforms",
    "Uniform",
    "Unit",
    "View",
    "activation",
    "clamp",
    "classes_of",
    "confidence",
    "cross_entropy",
    "distance",
    "dlr",
    "dlr_targeted",
    "hinge",
    "logit",
    "margin",
    "misclassified",
    "optimize",
    "predicted",
    "probability",
    "total_variation",
    "turns",
]
