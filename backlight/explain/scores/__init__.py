"""How far a map can be trusted: metrics of explanations, always beside a random map and an edge map.

score            `score`, one row per image, and `summarize`
metrics          every metric: direction, needs, reference
curves, road     hide or show pixels in the map's order
faithful         small perturbations: infidelity, max-sensitivity
localization     pointing game, mass inside a mask, mass near the border
randomization    does the map depend on the model?
verdict          what the scores say, in sentences
controls         a random map and an edge map
judge            the images, the class and the network's probability of it
"""

from backlight.explain.scores.metrics import METRICS, Metric, choose_metrics
from backlight.explain.scores.score import Scores, score, score_explanations, score_maps, summarize
from backlight.explain.scores.verdict import describe_location, describe_scores

__all__ = [
    "METRICS",
    "Metric",
    "Scores",
    "choose_metrics",
    "describe_location",
    "describe_scores",
    "score",
    "score_explanations",
    "score_maps",
    "summarize",
]
