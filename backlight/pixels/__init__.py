"""The loop that changes pixels, and the parts that it is assembled from.

objective        a Measure to climb             objectives.py, features.py, verdicts.py, penalties.py, measure.py
parametrization  what is moved                  parametrizations.py, fourier.py, starts.py
rule             how it moves                   rules.py, sparse.py, rule.py, lbfgs.py, wrappers.py
constraint       where it may be                constraints.py, l1.py, l0.py
prices           what of a change is worth it   proximal.py
transforms       random views of it             transforms.py, views.py
loop             look, judge, leave, move       loop.py, look.py, problem.py, view.py
outcome          Result of a Run                result.py, run.py
ascent           PGD, assembled from these      ascent.py
"""

from backlight.pixels.constraints import Ball, Box, Constraint, Mask
from backlight.pixels.features import content, direction, diversity, energy, gram, neuron, read_objective
from backlight.pixels.fourier import Fourier
from backlight.pixels.lbfgs import LBFGS
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
from backlight.pixels.rule import Observation, Rule, Update
from backlight.pixels.rules import SGD, Adam, Sign, Unit
from backlight.pixels.run import Run
from backlight.pixels.starts import Gaussian, Surface, Uniform
from backlight.pixels.transforms import Compose, Jitter, Transforms
from backlight.pixels.verdicts import confidence, misclassified, predicted
from backlight.pixels.view import View
from backlight.pixels.views import Blur, Crop, Noise, Pad, Warp
from backlight.pixels.wrappers import Blurring, InputSpace, Watched

__all__ = [
    "Adam",
    "Ball",
    "Blur",
    "Blurring",
    "Box",
    "Compose",
    "Constraint",
    "Crop",
    "Fourier",
    "Gaussian",
    "InputSpace",
    "Jitter",
    "LBFGS",
    "Lattice",
    "Mask",
    "Measure",
    "Update",
    "Noise",
    "Pad",
    "Parametrization",
    "Pixels",
    "Result",
    "Rule",
    "Run",
    "SGD",
    "Observation",
    "Sign",
    "Stopped",
    "Surface",
    "Transforms",
    "Uniform",
    "Unit",
    "View",
    "Warp",
    "Watched",
    "activation",
    "clamp",
    "classes_of",
    "confidence",
    "content",
    "cross_entropy",
    "direction",
    "distance",
    "diversity",
    "dlr",
    "dlr_targeted",
    "energy",
    "gram",
    "hinge",
    "logit",
    "margin",
    "misclassified",
    "neuron",
    "optimize",
    "predicted",
    "probability",
    "read_objective",
    "total_variation",
    "turns",
]
