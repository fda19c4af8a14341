"""Randomized smoothing: published radii, a linear model whose true radius is known, and keyed noise."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from backlight import Classifier
from backlight.certify import certify_by_smoothing
from backlight.core.errors import UsageError
from backlight.core.random import Random


@pytest.mark.parametrize(
    ("n", "wrong", "times"), [(100, 0, 1.50048), (1000, 0, 2.46326), (1000, 10, 1.97801), (1000, 50, 1.43986)]
)
def test_published_radii(n: int, wrong: int, times: float, monkeypatch: pytest.MonkeyPatch) -> None:
    from backlight.certify import smoothing

    def counts(_classifier: Any, images: Tensor, _random: Any, draws: int, _sigma: float) -> Tensor:
        return torch.tensor([[draws - wrong, wrong]]).expand(len(images), 2)

    monkeypatch.setattr(smoothing, "_counts", counts)
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    found = certify_by_smoothing(classifier, torch.rand(1, 3, 2, 2), sigma=0.5, n=n)
    assert float(found.radius[0]) == pytest.approx(0.5 * times, rel=1e-5)


def linear(seed: int = 0) -> tuple[Classifier, float]:
    """Return a linear model of two classes and the size of its gradient in pixel units."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layer = nn.Linear(12, 2)
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), layer), mean=(0.5,) * 3, std=(0.25,) * 3, size=2)
    return classifier, float((layer.weight[1] - layer.weight[0]).detach().norm()) / 0.25


def test_certificates_of_a_linear_model_lie_below_its_true_radius_and_near_it() -> None:
    classifier, norm = linear()
    images = Random("smooth", list(range(60))).uniform(3, 2, 2)
    logits = classifier.logits(images)
    truth = (logits[:, 1] - logits[:, 0]).abs().double() / norm
    found = certify_by_smoothing(classifier, images, sigma=0.25, n=4000, n0=50)
    sure = found.prediction >= 0
    assert (found.prediction[sure] == logits.argmax(1)[sure]).all()
    # A certificate is too large with a chance of .001: of 60 none may be.
    assert (found.radius <= truth).all()
    near = sure & (truth < 0.5)
    assert int(near.sum()) > 10
    assert float((truth - found.radius)[near].max()) < 0.1


def test_wrong_certificates_are_as_rare_as_alpha_says() -> None:
    classifier, norm = linear()
    images = torch.full((400, 3, 2, 2), 0.5)
    logits = classifier.logits(images[:1])
    truth = float((logits[0, 1] - logits[0, 0]).abs()) / norm
    found = certify_by_smoothing(classifier, images, sigma=0.25, n=200, n0=20, alpha=0.1)
    share = float((found.radius > truth).float().mean())
    assert 0.01 < share < 0.1 + 3 * math.sqrt(0.1 * 0.9 / 400)


def undecided() -> Classifier:
    """Return a model that names grey pictures with equal chances under noise."""
    layer = nn.Linear(12, 2)
    with torch.no_grad():
        layer.weight[1] = -layer.weight[0]
        layer.bias.zero_()
    net = nn.Sequential(nn.Flatten(), layer)
    return Classifier.from_module(net, mean=(0.5,) * 3, std=(1,) * 3, size=2)


def test_between_two_classes_it_abstains() -> None:
    found = certify_by_smoothing(undecided(), torch.full((1, 3, 2, 2), 0.5), n=300)
    assert (found.prediction.tolist(), found.radius.tolist()) == ([-1], [0.0])


def test_what_is_proved_is_counted_on_other_copies_than_what_was_guessed() -> None:
    found = certify_by_smoothing(undecided(), torch.full((600, 3, 2, 2), 0.5), n=101, n0=101, alpha=0.1)
    # Counted on the same copies both classes could be proved by chance: a share of twice alpha.
    assert 0.01 < float((found.prediction >= 0).float().mean()) < 0.1 + 3 * math.sqrt(0.1 * 0.9 / 600)


def test_the_same_picture_gets_the_same_certificate_in_any_batch() -> None:
    classifier, _ = linear()
    images, ids = Random("smooth", list(range(5))).uniform(3, 2, 2), [f"{row}.png" for row in range(5)]
    whole = certify_by_smoothing(classifier, images, n=150, n0=10, ids=ids)
    for row in (0, 3):
        alone = certify_by_smoothing(classifier, images[[row]], n=150, n0=10, ids=[ids[row]])
        assert (alone.radius[0], alone.prediction[0]) == (whole.radius[row], whole.prediction[row])


def test_the_certified_share_falls_with_the_radius() -> None:
    classifier, _ = linear()
    images = Random("smooth", list(range(30))).uniform(3, 2, 2)
    labels = classifier.logits(images).argmax(1)
    found = certify_by_smoothing(classifier, images, n=300, n0=20)
    shares = [found.share(labels, radius)[0] for radius in (0.0, 0.1, 0.3, 0.6)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.5
    assert found.share(1 - labels, 0.0)[0] == 0


@pytest.mark.parametrize(
    "options", [{"sigma": 0.0}, {"sigma": math.nan}, {"n": 0}, {"n0": 0}, {"alpha": 0.5}, {"alpha": 0.0}]
)
def test_settings_that_prove_nothing_are_refused(options: dict[str, Any]) -> None:
    classifier, _ = linear()
    with pytest.raises(UsageError):
        certify_by_smoothing(classifier, torch.rand(1, 3, 2, 2), **options)
