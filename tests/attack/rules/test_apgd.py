"""APGD's checkpoints, and its step sizes against a trace of the authors' code."""

from __future__ import annotations

import pytest
import torch

from backlight.attack.rules.apgd import APGD, checkpoints
from backlight.classifier import Classifier
from backlight.pixels import Ball, Box, Measure, Pixels, cross_entropy, dlr
from backlight.pixels.loop import turns
from tests.attack.nets import fixed_images, fixed_net


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (100, [22, 41, 57, 70, 80, 87, 93, 99]),
        (50, [11, 21, 30, 38, 45]),
        (20, [4, 7, 9, *range(10, 21)]),
        (10, list(range(2, 11))),
    ],
)
def test_checkpoints(steps: int, expected: list[int]) -> None:
    assert checkpoints(steps) == expected


# How often the step was halved after each checkpoint, for 12 images, from the start 2 eps: recorded from the
# authors' code (github.com/fra31/auto-attack, autopgd_base.py) on this net, these images and eps 0.3.
_CROSS_ENTROPY = """
1 2 3 4 5 6 6 6 | 1 2 3 4 5 5 6 6 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 5 6 6 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 6 6 6 |
1 2 3 4 5 6 6 6 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 5 6 6 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 6 6 6
"""
_DLR = """
1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 6 6 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 4 5 6 7 |
1 2 3 4 5 5 5 6 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8
"""


# The same in l2 with eps 1. (DLR has plateaus here whose gradients are rounding alone: nothing to compare.)
_L2_CROSS_ENTROPY = """
1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 5 5 5 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 |
1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 7 8 | 1 2 3 4 5 6 6 6 | 1 2 3 4 4 4 4 4 | 1 2 3 4 5 6 7 8 | 1 2 3 4 4 5 6 6
"""


@pytest.mark.parametrize(
    ("objective", "recorded", "norm", "eps"),
    [
        (cross_entropy, _CROSS_ENTROPY, "linf", 0.3),
        (dlr, _DLR, "linf", 0.3),
        (cross_entropy, _L2_CROSS_ENTROPY, "l2", 1.0),
    ],
)
def test_step_sizes_equal_those_of_the_authors_code(objective, recorded: str, norm: str, eps: float) -> None:
    images = fixed_images(12)
    classifier = Classifier.from_module(fixed_net(), size=4)
    climbed: Measure = objective(classifier.logits(images).argmax(1))
    sizes = [
        run.state["size"].clone()
        for run in turns(
            classifier,
            climbed,
            Pixels(images),
            APGD(norm, eps),
            steps=100,
            constraint=Ball(norm, images, eps) & Box(),
        )
        if len(run.rows)
    ]
    halvings = [(2 * eps / sizes[mark + 1]).log2().round().long() for mark in checkpoints(100)]
    expected = [[int(word) for word in image.split()] for image in recorded.split("|")]
    assert torch.stack(halvings, 1).tolist() == expected
