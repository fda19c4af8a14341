"""The nearest success on a model whose distances are known: the logits are the mean of each channel."""

import pytest
import torch
from torch import Tensor, nn

from backlight.attack import attack
from backlight.attack.challenge import Challenge
from backlight.attack.gradient import pgd
from backlight.attack.minimum_norm import carlini_wagner, fmn
from backlight.attack.threat import ThreatModel
from backlight.classifier import Classifier


class ChannelMeans(nn.Module):
    """Logits that an attack can only trade between two channels: half the gap each, in equal parts."""

    def __init__(self, shift: float = 0.0) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, images: Tensor) -> Tensor:
        logits = images.mean((2, 3))
        return logits + self.shift * (logits == logits.amax(1, keepdim=True))


def many() -> tuple[Tensor, Tensor, Tensor]:
    """Give the pictures of three seeds in one batch: a step costs the same however many take it."""
    images, labels, gap = zip(*map(near_the_boundary, range(3)))
    return torch.cat(images), torch.cat(labels), torch.cat(gap)


def near_the_boundary(seed: int = 0, count: int = 40, spread: float = 0.06) -> tuple[Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    images = 0.3 + 0.4 * torch.rand(count, 3, 16, 16, generator=draws)
    images += spread * torch.rand(count, 3, 1, 1, generator=draws)
    best = images.mean((2, 3)).sort(1, descending=True)
    return images, best.indices[:, 0], (best.values[:, 0] - best.values[:, 1]).double()


def distances(gap: Tensor, norm: str) -> Tensor:
    return gap / 2 if norm == "linf" else gap / (2 / 256) ** 0.5


METHODS = [("fmn", "linf"), ("fmn", "l2"), ("deepfool", "linf"), ("deepfool", "l2"), ("fab-t", "linf"), ("fab-t", "l2")]


@pytest.mark.parametrize(("method", "norm"), METHODS)
def test_every_picture_is_fooled_within_five_percent_of_the_truth(method: str, norm: str) -> None:
    images, labels, gap = many()
    found = attack(Classifier.from_module(ChannelMeans(), size=16), images, labels, method=method, norm=norm)
    assert found.success.all()
    assert (found.distance / distances(gap, norm)).max() < 1.05


def test_ddn_is_as_near_as_its_direction_allows() -> None:
    # Cross-entropy of three classes lowers one channel and raises both others: sqrt(4/3) times the way to the nearest.
    images, labels, gap = many()
    found = attack(Classifier.from_module(ChannelMeans(), size=16), images, labels, method="ddn", norm="l2")
    assert found.success.all()
    assert (found.distance / distances(gap, "l2")).max() < 1.16


def test_carlini_wagner_comes_as_near_beside_the_boundary_as_far_from_it() -> None:
    images, labels, gap = near_the_boundary(1)
    rows = gap.argsort()[[0, 1, 2, 3, 20, -1]]
    challenge = Challenge.of(
        Classifier.from_module(ChannelMeans(), size=16), images[rows], labels[rows], threat=ThreatModel("l2", None)
    )
    result = carlini_wagner(challenge)
    ratio = challenge.threat.distance(result.images, images[rows]) / distances(gap[rows], "l2")
    assert result.success.all()
    assert ratio.max() < 1.05


@pytest.mark.parametrize("shift", [-1e-6, -1e-4, -1e-3])
@pytest.mark.parametrize("lattice", [False, True])
def test_a_claim_that_the_referee_denies_is_taken_a_little_farther_out(shift: float, lattice: bool) -> None:
    # Attacks look at a model that gives way sooner than the one that judges.
    images, labels, gap = near_the_boundary(count=12)
    images = (images * 255).round() / 255 if lattice else images
    gap = images.mean((2, 3)).sort(1).values.diff()[:, 1].double()
    threat = ThreatModel("linf", None, lattice)
    judge, sooner = (Classifier.from_module(ChannelMeans(one), size=16) for one in (0.0, shift))
    result = fmn(Challenge.of(judge, images, labels, threat=threat).searching(sooner))
    far = threat.distance(result.images, images)
    assert result.success.all()
    assert torch.equal(judge.logits(result.images).argmax(1) != labels, result.success)
    assert torch.allclose(-result.score.double(), far, atol=1e-6)
    assert (far <= 4 * gap / 2 + (1 / 255 if lattice else 1e-6)).all()


class Stubborn(nn.Module):
    """Gives way where the first value rises above 0.6, but not between 0.6 and 0.7 if it is the one that judges."""

    def __init__(self, judges: bool) -> None:
        super().__init__()
        self.judges = judges

    def forward(self, images: Tensor) -> Tensor:
        first = images[:, 0, 0, 0]
        bump = torch.where((first > 0.6) & (first < 0.7), -1.0, 0.0) if self.judges else 0 * first
        return torch.stack([first * 0, first - 0.6 + bump], 1)


def test_a_denied_first_success_does_not_end_the_search() -> None:
    judge, search = (Classifier.from_module(Stubborn(one), size=2) for one in (True, False))
    challenge = Challenge.of(judge, torch.full((3, 3, 2, 2), 0.5), threat=ThreatModel("linf", 0.3)).searching(search)
    result = pgd(challenge, steps=20)
    assert result.success.all()
    assert (result.images[:, 0, 0, 0] >= 0.7).all()
