"""What a network may answer while its input stays within a box: what certificates rest on, and certified training.

steps        a network as the steps that bounds are propagated through; layers: the steps that are known
statistics   by what BatchNorm normalizes meanwhile
checking     whether the network is what those steps say
inputs       pictures as a network sees them, and the box of all that lie near
intervals, linear_bounds    the two ways to propagate bounds; margins: those of a label above every other class
"""

from backlight.bounds.checking import checked_steps, private_steps
from backlight.bounds.inputs import input_box, normalized
from backlight.bounds.intervals import Interval, propagate, step_interval
from backlight.bounds.linear_bounds import lower_bounds
from backlight.bounds.margins import margins_of
from backlight.bounds.statistics import BatchStatistics
from backlight.bounds.steps import Step, run_steps, steps_of

__all__ = [
    "BatchStatistics",
    "Interval",
    "Step",
    "checked_steps",
    "input_box",
    "lower_bounds",
    "margins_of",
    "normalized",
    "private_steps",
    "propagate",
    "run_steps",
    "step_interval",
    "steps_of",
]
