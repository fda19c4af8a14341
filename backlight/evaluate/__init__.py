"""How good a classifier is, where it fails, and what it says about single pictures.

evaluate, Evaluation                   a whole data set: one table, and every number that follows from it
compare_evaluations, Comparison        whether a second model is better on the same pictures
predict, Predictions                   picture files and their most likely classes
predict_files                          the same of many files: a table, made in blocks that are kept and shared
calibrate, Calibration                 the temperature at which confidence means what it says
evaluate_multilabel, score_multilabel  several labels per picture: average precision of each, and its mean
predict_dataset, match_labels          the table alone, and labels numbered as a classifier numbers them
"""

from backlight.core.faces import call_room
from backlight.evaluate.compare import Comparison, compare_evaluations
from backlight.evaluate.evaluating import Evaluation, evaluate
from backlight.evaluate.multilabel import MultilabelScores, evaluate_multilabel, score_multilabel
from backlight.evaluate.predicted_files import predict_files
from backlight.evaluate.predicting import Predicted, Predictions, predict
from backlight.evaluate.samples import match_labels, predict_dataset
from backlight.evaluate.temperature import Calibration, calibrate

__all__ = [
    "Calibration",
    "Comparison",
    "Evaluation",
    "MultilabelScores",
    "Predicted",
    "Predictions",
    "calibrate",
    "compare_evaluations",
    "evaluate",
    "evaluate_multilabel",
    "match_labels",
    "predict",
    "predict_dataset",
    "predict_files",
    "score_multilabel",
]

call_room(__name__, "evaluate")
