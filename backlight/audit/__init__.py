"""What can be trusted about a classifier and its data: findings from one pass, each a number, judged, in a sentence.

passing, gathering   `look_once`: the pass, in blocks; its parts to arrays
finding              `Finding`: number, interval, judgement, sentence, pictures, tables, charts, next step
kept                 `Kept`: what one pass keeps of each picture
examined             `Examined`: what a check is given; card: `CheckCard` and the sections of the page
health, splits, accuracy   checks; duplicates: `find_near_duplicates`
auditing, verdict    `audit`: the passes and the checks; six lights and what to do next
registry, running    every check by name; `run_checks`
probe, neighbors     a linear probe and exact neighbors on stored features; arrays: what analyses are given
label_errors         `find_label_errors`: confident learning
calibration_error    `measure_calibration`, beside what chance shows; calibrators: ways to mend it
conformal            `conformal_sets`: sets of classes that hold the right one as often as promised
shift, domain        sets of pictures compared: by column, by a kernel, by a classifier of the set
label_shift          `estimate_label_shift`; estimated_accuracy: `estimate_accuracy`
unknown              `detect_unknown`: scores, by detectors, of activations; separation: AUROC with intervals
weak_slices          `find_weak_slices`, confirmed on the other half; clusters and ranges: where they are looked for
two_models           `compare_models`: a second model on the same pictures, picture by picture
hardening            `Hardening`: what a model gained under attack and what it paid, before and after
influence            `last_layer_influence`: which training pictures taught an answer
concepts             `find_concepts`: parts that pictures of a class are sums of, weighed by the last layer
"""

from __future__ import annotations

from backlight.audit.activations import Activations
from backlight.audit.auditing import Audit, audit
from backlight.audit.calibration_error import CalibrationError, Chance, Measured, measure_calibration
from backlight.audit.calibrators import CalibratorComparison, compare_calibrators, temperature_interval
from backlight.audit.card import SECTIONS, CheckCard
from backlight.audit.concepts import Concepts, find_concepts
from backlight.audit.conformal import ConformalSets, conformal_sets, coverage_band
from backlight.audit.detectors import DETECTORS, DetectorCard
from backlight.audit.domain import Domain, tell_apart
from backlight.audit.duplicates import DuplicateGroup, find_near_duplicates
from backlight.audit.estimated_accuracy import EstimatedAccuracy, estimate_accuracy
from backlight.audit.examined import Examined, Part
from backlight.audit.finding import Finding, NotChecked, Shown, judge, not_judged
from backlight.audit.hardening import Hardening, HardeningRequest
from backlight.audit.influence import Influence, last_layer_influence
from backlight.audit.kept import Kept, LinearHead
from backlight.audit.label_errors import LabelErrors, estimate_label_noise, find_label_errors
from backlight.audit.label_shift import LabelShift, compare_shares, estimate_label_shift
from backlight.audit.neighbors import Neighbors, find_neighbors
from backlight.audit.passing import look_once
from backlight.audit.probe import OutOfFold, Probe, fit_probe, out_of_fold
from backlight.audit.registry import CHECKS
from backlight.audit.running import Checked, run_checks
from backlight.audit.separation import Separated, Separation, measure_separation
from backlight.audit.shift import ColumnShift, KernelShift, compare_columns, measure_discrepancy
from backlight.audit.two_models import Difference, ModelComparison, compare_models
from backlight.audit.unknown import Unknown, detect_unknown
from backlight.audit.weak_slices import SliceSearch, WeakSlice, find_weak_slices
from backlight.core.faces import call_room

__all__ = [
    "CHECKS",
    "DETECTORS",
    "SECTIONS",
    "Activations",
    "Audit",
    "CalibrationError",
    "CalibratorComparison",
    "Chance",
    "CheckCard",
    "Checked",
    "ColumnShift",
    "Concepts",
    "ConformalSets",
    "DetectorCard",
    "Difference",
    "Domain",
    "DuplicateGroup",
    "EstimatedAccuracy",
    "Examined",
    "Finding",
    "Hardening",
    "HardeningRequest",
    "Influence",
    "Kept",
    "KernelShift",
    "LabelErrors",
    "LabelShift",
    "LinearHead",
    "Measured",
    "ModelComparison",
    "Neighbors",
    "NotChecked",
    "OutOfFold",
    "Part",
    "Probe",
    "Separated",
    "Separation",
    "Shown",
    "SliceSearch",
    "Unknown",
    "WeakSlice",
    "audit",
    "compare_calibrators",
    "compare_columns",
    "compare_models",
    "compare_shares",
    "conformal_sets",
    "coverage_band",
    "detect_unknown",
    "estimate_accuracy",
    "estimate_label_noise",
    "estimate_label_shift",
    "find_concepts",
    "find_label_errors",
    "find_near_duplicates",
    "find_neighbors",
    "find_weak_slices",
    "fit_probe",
    "judge",
    "last_layer_influence",
    "look_once",
    "measure_calibration",
    "measure_discrepancy",
    "measure_separation",
    "not_judged",
    "out_of_fold",
    "run_checks",
    "tell_apart",
    "temperature_interval",
]

call_room(__name__, "audit")
