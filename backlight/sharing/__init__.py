"""What leaves for other programs: numbers and pages for experiment trackers, a model card for a hub.

numbers_of                    the numbers of a verb's document, each under one name
Record, TrackerCard, TRACKERS, open_tracker   what is handed over, and to whom
model_card, CardFacts         the text of a model card, its metrics in the YAML that model hubs read
robustbench_card              a model's entry in RobustBench
"""

from backlight.sharing.card import CardFacts, model_card
from backlight.sharing.numbers import numbers_of
from backlight.sharing.record import Record
from backlight.sharing.robustbench import robustbench_card
from backlight.sharing.trackers import TRACKERS, Tracker, TrackerCard, open_tracker

__all__ = [
    "TRACKERS",
    "CardFacts",
    "Record",
    "Tracker",
    "TrackerCard",
    "model_card",
    "numbers_of",
    "open_tracker",
    "robustbench_card",
]
