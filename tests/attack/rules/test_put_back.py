"""Putting changed values back, against every subset of them."""

from __future__ import annotations

from itertools import product

import torch
from torch import nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.nearest import fewer
from backlight.classifier import Classifier
from backlight.pixels import Result
from backlight.pixels.result import Stopped


def rows(count: int) -> tuple[Challenge, torch.Tensor]:
    """Pictures of 2 x 2 px, fooled where their weighted sum exceeds 1, and the same with some values changed."""
    draw = torch.Generator().manual_seed(7)
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2)).double()
    with torch.no_grad():
        net[1].weight.copy_(torch.stack([torch.zeros(12), torch.rand(12, generator=draw)]))
        net[1].bias.copy_(torch.tensor([1.0, 0.0]))
    classifier = Classifier.from_module(net, size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.zeros(count, 3, 2, 2, dtype=torch.float64)
    changed = torch.rand(count, 3, 2, 2, generator=draw, dtype=torch.float64)
    changed = torch.where(changed > 0.4, changed, 0.0)
    return Challenge.of(classifier, images, threat=ThreatModel("l0", None)), changed


def claimed(challenge: Challenge, changed: torch.Tensor) -> Result:
    blank = challenge.claim(changed)
    far = challenge.threat.distance(changed, challenge.images)
    stopped = torch.full((len(changed),), int(Stopped.STEPS))
    return Result(**(vars(blank) | {"score": -far, "stopped": stopped}))


def test_no_value_is_left_that_is_not_needed_and_on_a_plane_none_could_be_fewer() -> None:
    challenge, changed = rows(6)
    found = fewer(challenge, claimed(challenge, changed))
    wins = challenge.classifier.logits(changed).argmax(1) == 1
    assert wins.sum() > 2
    for row in wins.nonzero()[:, 0].tolist():
        masks = torch.tensor(list(product((0.0, 1.0), repeat=12)), dtype=torch.float64).view(-1, 3, 2, 2)
        fooled = challenge.classifier.logits(masks * changed[row]).argmax(1) == 1
        least = int((masks * changed[row] != 0).flatten(1).sum(1)[fooled].min())
        kept = found.images[row] != 0
        assert bool(found.success[row])
        assert torch.equal(found.images[row][kept], changed[row][kept])
        assert int(kept.sum()) == least < int((changed[row] != 0).sum())
    assert found.success.tolist() == wins.tolist()


class Saturated(nn.Module):
    """Is fooled by the first value alone, whose gradient is zero once it is large, and not by the second."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        first, second = images[:, 0, 0, 0], images[:, 0, 0, 1]
        gain = (10 * first).clamp(max=1) + 0.5 * second - 0.9
        return torch.stack([torch.zeros_like(gain), gain], 1)


def test_a_value_that_proves_to_be_needed_comes_back_before_the_next_one_is_tried() -> None:
    classifier = Classifier.from_module(Saturated(), size=2, mean=(0.0,) * 3, std=(1.0,) * 3)
    images = torch.zeros(1, 3, 2, 2)
    changed = images.clone()
    changed[0, 0, 0] = 1.0
    challenge = Challenge.of(classifier, images, threat=ThreatModel("l0", None))
    found = fewer(challenge, claimed(challenge, changed))
    assert bool(found.success[0])
    assert found.images.nonzero().tolist() == [[0, 0, 0, 0]]
