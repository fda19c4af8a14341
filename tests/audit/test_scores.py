"""Scores of unknown inputs: published vectors, brute force, and other programs' numbers on the same arrays."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from backlight.audit.activations import Activations, Head
from backlight.audit.detectors import DETECTORS
from backlight.audit.gaussians import RIDGE, Gaussians
from backlight.audit.scores import Known, decision_boundary, energy, generalized_entropy, max_probability, scale_factor

Z = Activations.of(torch.tensor([[2.0, 1.0, 0.0, -1.0]]))


def drawn(count: int = 400, width: int = 24, classes: int = 5, seed: int = 0) -> tuple[Known, Activations]:
    """Draw classes with means, a head that knows them, and pictures of which every second one is far from all."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    means = 2 * torch.randn(classes, width, generator=draw)
    features = means[labels] + torch.randn(count, width, generator=draw)
    head = Head(means / width, torch.linspace(-0.2, 0.2, classes))
    other = torch.cat([features[: count // 4] + 0.1, 3 * torch.randn(count // 4, width, generator=draw)])
    known = Known(Activations.of(head.logits(features), features=features, labels=labels), head)
    return known, Activations.of(head.logits(other), features=other)


def test_published_vectors_of_logit_scores() -> None:
    known = Known(Z)
    assert float(max_probability(known)(Z)) == pytest.approx(0.643914, abs=1e-6)
    assert float(energy(known)(Z)) == pytest.approx(2.440190, abs=1e-6)
    assert float(generalized_entropy(known)(Z)) == pytest.approx(-3.188802, abs=1e-6)
    assert float(generalized_entropy(known, most=2)(Z)) == pytest.approx(-1.705831, abs=1e-6)
    assert float(DETECTORS["max_logit"].fit(known)(Z)) == 2.0


def test_published_vector_of_fdbd() -> None:
    head = Head(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]), torch.zeros(3))
    fitted = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    some = torch.tensor([[2.0, 1.0]])
    known = Known(Activations.of(head.logits(fitted), features=fitted), head)
    found = float(decision_boundary(known)(Activations.of(head.logits(some), features=some)))
    assert found == pytest.approx(0.930714, abs=1e-6)
    assert found * math.hypot(1.5, 0.5) == pytest.approx(1.471587, abs=1e-6)


def test_published_vector_of_scale() -> None:
    features = torch.tensor([[0, 0.5, 1, 2, 4, 0.1, 0.2, 0.3, 0, 0]])
    assert float(scale_factor(features)) == pytest.approx(3.857426, abs=1e-6)


def test_distances_are_those_of_the_definition() -> None:
    known, other = drawn()
    seen = known.seen
    x, labels = seen.features.double(), seen.labels
    means = torch.stack([x[labels == one].mean(0) for one in range(5)])
    ridge = torch.eye(24, dtype=torch.float64)
    within = (x - means[labels]).T @ (x - means[labels]) / len(x)
    within += RIDGE * within.diagonal().mean() * ridge
    total = (x - x.mean(0)).T @ (x - x.mean(0)) / len(x) + RIDGE * within.diagonal().mean() * ridge
    y = other.features.double()
    by_class = torch.stack([((y - mean) @ within.inverse() * (y - mean)).sum(1) for mean in means], 1)
    overall = ((y - x.mean(0)) @ total.inverse() * (y - x.mean(0))).sum(1)
    nearest, background = Gaussians.fit(seen).distances(other.features)
    assert torch.allclose(nearest, by_class.min(1).values, rtol=1e-5)
    assert torch.allclose(background, overall, rtol=1e-5)


def test_classes_without_pictures_and_more_features_than_pictures_do_no_harm() -> None:
    known, other = drawn(count=20, width=64, classes=2)
    odd = Known(Activations(known.seen.logits, known.seen.features, known.seen.labels * 3), known.head)
    for card in DETECTORS.values():
        assert bool(torch.isfinite(card.fit(odd)(other)).all()), card.name


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    known, other = drawn()
    whole = {card.name: card.fit(known)(other) for card in DETECTORS.values()}
    monkeypatch.setattr("backlight.audit.activations.ROWS", 64)
    monkeypatch.setattr("backlight.audit.gaussians.ROWS", 64)
    again = Known(known.seen, known.head)
    for card in DETECTORS.values():
        score = card.fit(again)
        parts = torch.cat([score(chunk) for chunk in other.chunks()])
        assert torch.allclose(parts.double(), whole[card.name].double(), rtol=1e-4, atol=1e-4), card.name


def test_every_detector_ranks_far_pictures_below_known_ones() -> None:
    known, other = drawn(count=2000)
    for card in DETECTORS.values():
        score = card.fit(known)(other)
        near, far = score[:500], score[500:]
        if card.name not in (
            "energy",
            "max_logit",
            "react",
            "scale",
            "msp",
            "gen",
        ):  # they see the head's directions only
            assert float((near[:, None] > far).double().mean()) > 0.9, card.name


def test_equal_to_pytorch_ood_on_the_same_arrays() -> None:
    peers = pytest.importorskip("pytorch_ood.detector")
    known, other = drawn(count=1200)
    seen, head, z, logits = known.seen, known.head, other.features, other.logits
    linear = torch.nn.Linear(24, 5)
    linear.weight.data, linear.bias.data = head.weight, head.bias
    maps = lambda features: features[:, :, None, None]  # noqa: E731
    back = lambda features: head.logits(features[:, :, 0, 0])  # noqa: E731
    count = len(seen)
    ours = {card.name: card.fit(known)(other).double() for card in DETECTORS.values()}
    k = 2  # one percent of a class of 240
    theirs = {
        "msp": -peers.MaxSoftmax.score(logits),
        "max_logit": -peers.MaxLogit.score(logits),
        "energy": -peers.EnergyBased.score(logits),
        "gen": -5 * peers.GEN.score(logits),  # a mean over the classes, not a sum
        "knn": -peers.KNN(None, k=k).fit_features(seen.features, seen.labels).predict_features(z),
        # Half the distance, and a scatter matrix that is not divided by the number of pictures.
        "mds": -2 * count * peers.Mahalanobis(None).fit_features(seen.features, seen.labels).predict_features(z),
        "rmds": -count * peers.RMD(None).fit_features(seen.features, seen.labels).predict_features(z),
        "vim": -peers.ViM(None, 12, head.weight, head.bias)
        .fit_features(seen.features, seen.labels)
        .predict_features(z),
        "fdbd": -peers.fDBD(None, linear).fit_features(seen.features).predict_features(z),
        "scale": -peers.SCALE(None, back, percentile=0.85).predict_feature_maps(maps(z)),
        "react": -peers.ReAct(None, back)
        .fit_feature_maps(maps(seen.features), seen.labels)
        .predict_feature_maps(maps(z)),
    }
    for name, scores in theirs.items():
        np.testing.assert_allclose(
            ours[name].numpy(), scores.detach().double().numpy(), rtol=2e-4, atol=2e-4, err_msg=name
        )


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (5, 8)])
def test_the_origin_of_vim_is_the_pseudoinverse_of_the_head(shape: tuple[int, int]) -> None:
    draw = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(shape, generator=draw), torch.randn(shape[0], generator=draw)
    if shape == (5, 8):
        weight = weight - weight.mean(0)  # rows that sum to zero: rank 4
    expected = -torch.linalg.pinv(weight) @ bias
    assert torch.allclose(Head(weight, bias).origin, expected, atol=1e-5)
