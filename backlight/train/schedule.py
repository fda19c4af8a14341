"""Learning rates as a function of the step: nothing counts along, so nothing can come out of step."""

from __future__ import annotations

import math

from backlight.train.recipe import Recipe


def rate(recipe: Recipe, step: int, total: int) -> float:
    """Return the learning rate of a step (0 to total - 1).

    After a linear warm-up the rate stays (`constant`), falls along half a cosine (`cosine`) or a line (`linear`,
    and `triangle`, which starts at a fifth) down to `final` times the highest.

    >>> recipe = Recipe(lr=1.0, schedule="linear", warmup=0.5)
    >>> [rate(recipe, step, 4) for step in range(4)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warm = round(recipe.warmup * total)
    if step < warm:
        low = 0.2 if recipe.schedule == "triangle" else 0.0
        return recipe.lr * (low + (1 - low) * (step + 1) / warm)
    if recipe.schedule == "constant":
        return recipe.lr
    place = (step - warm) / (total - warm)
    left = (1 + math.cos(math.pi * place)) / 2 if recipe.schedule == "cosine" else 1 - place
    return recipe.lr * (recipe.final + (1 - recipe.final) * left)
