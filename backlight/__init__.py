"""Backlight: train, measure, explain, attack and harden image classifiers.

The names below are imported when they are first used, so `import backlight` costs nothing. A name that is a room too
can be called: `backlight.explain(...)` is what `from backlight.explain import explain` gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backlight.core.faces import lazy_names

if TYPE_CHECKING:
    from backlight.attack import attack as attack
    from backlight.attack import evaluate_robustness as evaluate_robustness
    from backlight.attack import evaluate_transfer as evaluate_transfer
    from backlight.attack import evaluate_universal as evaluate_universal
    from backlight.audit import audit as audit
    from backlight.audit import conformal_sets as conformal_sets
    from backlight.audit import detect_unknown as detect_unknown
    from backlight.audit import estimate_accuracy as estimate_accuracy
    from backlight.audit import find_label_errors as find_label_errors
    from backlight.audit import find_near_duplicates as find_near_duplicates
    from backlight.classifier import Classifier as Classifier
    from backlight.core.allocator import keep_memory as keep_memory
    from backlight.core.errors import BacklightError as BacklightError
    from backlight.core.progress import progress_bar as progress_bar
    from backlight.core.random import Random as Random
    from backlight.data import load_data as load_data
    from backlight.denoise import denoise as denoise
    from backlight.evaluate import calibrate as calibrate
    from backlight.evaluate import evaluate as evaluate
    from backlight.evaluate import predict as predict
    from backlight.explain import explain as explain
    from backlight.explain import explain_data as explain_data
    from backlight.images import Resize as Resize
    from backlight.models import load as load
    from backlight.pixels import optimize as optimize
    from backlight.report import write_report as report  # noqa: F401
    from backlight.table import Table as Table
    from backlight.train import fit as fit
    from backlight.visualize import class_image as class_image
    from backlight.visualize import dream as dream
    from backlight.visualize import feature_image as feature_image
    from backlight.visualize import fooling_image as fooling_image
    from backlight.visualize import invert as invert
    from backlight.visualize import style_transfer as style_transfer

_HOMES = {
    "BacklightError": "backlight.core.errors",
    "Classifier": "backlight.classifier",
    "Random": "backlight.core.random",
    "Resize": "backlight.images",
    "Table": "backlight.table",
    "attack": "backlight.attack",
    "audit": "backlight.audit",
    "calibrate": "backlight.evaluate",
    "class_image": "backlight.visualize",
    "conformal_sets": "backlight.audit",
    "denoise": "backlight.denoise",
    "detect_unknown": "backlight.audit",
    "dream": "backlight.visualize",
    "estimate_accuracy": "backlight.audit",
    "evaluate": "backlight.evaluate",
    "evaluate_robustness": "backlight.attack",
    "evaluate_transfer": "backlight.attack",
    "evaluate_universal": "backlight.attack",
    "explain": "backlight.explain",
    "explain_data": "backlight.explain",
    "feature_image": "backlight.visualize",
    "find_label_errors": "backlight.audit",
    "find_near_duplicates": "backlight.audit",
    "fit": "backlight.train",
    "fooling_image": "backlight.visualize",
    "invert": "backlight.visualize",
    "keep_memory": "backlight.core.allocator",
    "load": "backlight.models",
    "load_data": "backlight.data",
    "optimize": "backlight.pixels",
    "predict": "backlight.evaluate",
    "progress_bar": "backlight.core.progress",
    "report": "backlight.report",
    "style_transfer": "backlight.visualize",
}

__all__ = list(_HOMES)  # noqa: PLE0605
__version__ = "0.2.0"
__getattr__ = lazy_names(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
