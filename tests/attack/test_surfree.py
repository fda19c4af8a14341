"""SurFree on pictures so small that its directions run out, and on a circle whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import Challenge, ThreatModel
from backlight.attack.black_box.queries import Answers, Place
from backlight.attack.black_box.surfree import bands, directions, hadamard, surfree, turn_towards
from backlight.classifier import Classifier


@pytest.mark.parametrize("size", [1, 2, 16, 64])
def test_hadamard_rows_are_at_right_angles(size: int) -> None:
    rows = torch.stack([hadamard(row, size) for row in range(size)])
    assert torch.equal(rows @ rows.T, size * torch.eye(size))


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 3, 7), (2, 5, 1)])
@pytest.mark.parametrize("share", [0.01, 0.5, 1.0])
def test_one_round_of_directions_spans_everything(shape: tuple[int, int, int], share: float) -> None:
    place = Place(torch.zeros(shape).double(), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    values = place.original.numel()
    found = torch.stack([one.flatten() for one, _ in zip(directions(place, share), range(2 * values))])
    for part in found.split(values):
        assert torch.allclose(part @ part.T, torch.eye(values).double(), atol=1e-9)
    assert sum(size for _, size in bands(values, share)) == values


def test_slow_waves_come_first() -> None:
    place = Place(torch.zeros(1, 16, 16), "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    found = torch.stack([one for one, _ in zip(directions(place, 0.1), range(256))])
    steps = found.diff(dim=-1).square().sum((1, 2, 3))
    assert steps[:16].max() < 0.2 < steps[200:].min()


class Bright(nn.Module):
    """Class 1 where the mean is above 0.6."""

    def forward(self, images: Tensor) -> Tensor:
        level = images.flatten(1).mean(1)
        return torch.stack([torch.zeros_like(level), level - 0.6], 1)


@pytest.mark.parametrize("shape", [(1, 1, 2), (3, 2, 2), (3, 4, 4)])
def test_pictures_of_few_values_come_to_the_nearest_point(shape: tuple[int, int, int]) -> None:
    channels, *size = shape
    classifier = Classifier.from_module(Bright(), size=tuple(size), mean=(0.0,) * channels, std=(1.0,) * channels)
    images = torch.full((2, *shape), 0.5, dtype=torch.float64)
    found = surfree(Challenge.of(classifier, images, threat=ThreatModel("l2", None)), queries=1000)
    nearest = 0.1 * images[0].numel() ** 0.5
    distance = (found.images - images).flatten(1).norm(dim=1)
    assert found.success.all()
    assert (distance > nearest * (1 - 1e-6)).all()
    assert (distance < nearest * 1.03).all()


def test_a_direction_and_its_opposite_lead_to_the_same_nearer_point() -> None:
    classifier = Classifier.from_module(Bright(), size=4, mean=(0.0,) * 3, std=(1.0,) * 3)
    original = torch.full((3, 4, 4), 0.5, dtype=torch.float64)
    place = Place(original, "l2", 1.0, torch.tensor(-1.0), 9, (0, "mine"), torch.tensor([7]))
    point, across = original.clone(), torch.zeros_like(original)
    point[:, :2], across[:, 2:] = 0.7 + 1e-9, 1.0

    def turned(direction: Tensor) -> Tensor:
        walk = turn_towards(place, point, direction, 0.3)
        asked = next(walk)
        while True:
            gains = classifier.logits(asked)[:, 1]
            try:
                asked = walk.send(Answers(asked, gains > 0, gains, 100))
            except StopIteration as ended:
                return ended.value

    found, other = turned(across), turned(-across)
    assert torch.allclose(found, other)
    # The boundary is flat, and the nearest of its points lies in the plane: 0.1 more for every value.
    assert torch.allclose(found, torch.full_like(found, 0.6), atol=2e-3)
