"""The alarm of adversarial training: when a network holds against one step alone, its robustness is gone."""

from __future__ import annotations

from dataclasses import dataclass

from backlight.classifier import Classifier
from backlight.data.dataset import Dataset
from backlight.pixels import Pixels, cross_entropy, misclassified, optimize
from backlight.pixels.ascent import Ascent

FALL, GAP = 0.15, 0.25
"""What ends a run: robust accuracy that fell by so much in one epoch, or one step's that is so much higher."""

FEWEST = 100  # pictures below which a fall of 15 points may be chance
_STEPS = 10


@dataclass(frozen=True)
class Robustness:
    """The shares of `count` held-out pictures that are right under PGD in ten steps and under one step (FGSM).

    `constant` is the share of the most common class: a network that always names it is right under any attack.

    >>> Robustness(0.3, 0.4, 0.1, 256).pgd
    0.3
    """

    pgd: float
    one_step: float
    constant: float
    count: int


def measure_robustness(classifier: Classifier, data: Dataset, ascent: Ascent, *, seed: int) -> Robustness:
    """Attack all pictures of a data set in the ball of `ascent`, by ten steps from a random start and by one step.

    The starts are the same every time, so that epochs can be compared.

    >>> from torch import nn
    >>> from backlight.data.load import load_data
    >>> data = load_data("shapes:n=20,size=8,classes=2", split="all")
    >>> net = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 2)), size=8)
    >>> measure_robustness(net, data, Ascent("linf", 8 / 255), seed=0).count
    20
    """
    ten, one = (_right(classifier, data, ascent, steps, seed) for steps in (_STEPS, 1))
    return Robustness(ten, one, int(data.labels.bincount().max()) / len(data), len(data))


def _right(classifier: Classifier, data: Dataset, ball: Ascent, steps: int, seed: int) -> float:
    """Return the share that is right at every point of the way; one step begins at the picture itself."""
    ascent = Ascent(ball.norm, ball.eps, steps, min(2.5 / steps, 1.0) * ball.eps)
    fooled = 0
    for batch in data.batches(128):
        images, labels = batch.images.to(classifier.device), batch.labels.to(classifier.device)
        wrong = misclassified(labels)
        found = optimize(
            classifier,
            cross_entropy(labels),
            Pixels(images, ascent.start if steps > 1 else None),
            ascent.rule,
            steps=steps,
            constraint=ascent.inside(images),
            success=wrong,
            stop=wrong,
            random=((seed, "collapse"), batch.ids),
        )
        fooled += int(found.success.sum())
    return 1 - fooled / len(data)


def collapse_words(before: float, seen: Robustness) -> str:
    """Say that a training collapsed, where it did; `before` is robust accuracy an epoch earlier, -1 for none.

    >>> collapse_words(0.4, Robustness(0.02, 0.75, 0.1, 256)).split(":")[0]
    'The training collapsed'
    >>> collapse_words(0.4, Robustness(0.38, 0.45, 0.1, 256))
    ''
    """
    if seen.count < FEWEST:
        return ""
    # Where it was hardly above a constant answer there was nothing to lose: a network that begins to learn falls too.
    if before - seen.pgd > FALL and before - seen.constant > FALL:
        how = f"accuracy under PGD fell from {before:.0%} to {seen.pgd:.0%} in one epoch"
    elif seen.one_step - seen.pgd > GAP:
        how = f"{seen.one_step:.0%} are right under one step and {seen.pgd:.0%} under ten"
    else:
        return ""
    return f"The training collapsed: {how} (of {seen.count} held-out pictures)"
