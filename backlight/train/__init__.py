"""Training: from a classifier and data to a run folder with the best epoch in it.

fit, Trained             one call; stopped and resumed it gives the same run       fitting.py
start_classifier         what training starts from                                start.py
Recipe, read_recipe      everything that changes the result                       recipe.py
Runtime                  everything that only changes how fast it comes           runtime.py
read_adversary           attacks on the batches that are trained on               adversaries.py, adversary.py
"""

from backlight.train.adversaries import ADVERSARIES, AdversaryCard, read_adversary
from backlight.train.adversary import Adversary
from backlight.train.fitting import Trained, fit
from backlight.train.recipe import Recipe, read_recipe
from backlight.train.runtime import Runtime
from backlight.train.start import start_classifier

__all__ = [
    "ADVERSARIES",
    "Adversary",
    "AdversaryCard",
    "Recipe",
    "Runtime",
    "Trained",
    "fit",
    "read_adversary",
    "read_recipe",
    "start_classifier",
]
