"""The referee's own looks: one picture has the same logits in any batch, and a large one costs one picture."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backlight.attack.referee import judge_logits
from backlight.classifier import Classifier


def looked_at(side: int) -> tuple[Classifier, list[int]]:
    """Return a classifier of pictures of this side, and a list of how many pictures each of its passes takes."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 4, 3, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        net.append(nn.Linear(64, 5))
    passes: list[int] = []
    classifier = Classifier.from_module(net, size=side)
    judge_logits(classifier, pictures(1, side))  # a classifier looks at its module before the first answer
    net.register_forward_pre_hook(lambda _, given: passes.append(len(given[0])))
    return classifier, passes


def pictures(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.promises
@pytest.mark.parametrize("side", [32, 100, 224])
def test_no_picture_changes_the_logits_of_another(side: int) -> None:
    classifier, _ = looked_at(side)
    images = pictures(11, side)
    whole = judge_logits(classifier, images)
    for size in (1, 2, 5, 7):
        assert torch.equal(torch.cat([judge_logits(classifier, part) for part in images.split(size)]), whole)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(2))
    assert torch.equal(judge_logits(classifier, images[order]), whole[order])


@pytest.mark.parametrize(("side", "passes"), [(32, [64]), (100, [26]), (224, [1, 1, 1]), (600, [1, 1, 1])])
def test_large_pictures_are_looked_at_one_by_one(side: int, passes: list[int]) -> None:
    classifier, seen = looked_at(side)
    judge_logits(classifier, pictures(3, side))
    assert seen == passes
