"""Concepts: planted parts are found again, and their importance is what switching them on and off shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from backlight.audit import CHECKS, Examined, look_once, run_checks
from backlight.audit.class_concepts import crops_of
from backlight.audit.concepts import factor, find_concepts
from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.data import Dataset


def planted(count: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return features that are sums of three parts, the parts, and how much of each is in each row."""
    rng = np.random.default_rng(seed)
    parts = np.zeros((3, 24))
    for one in range(3):
        parts[one, 8 * one : 8 * one + 8] = rng.random(8) + 0.2
    amounts = rng.random((count, 3)) * (rng.random((count, 3)) < 0.5)
    return amounts @ parts, parts, amounts


def test_planted_parts_are_found_again() -> None:
    features, parts, amounts = planted()
    weight = np.concatenate([np.full(8, 2.0), np.full(8, -0.5), np.zeros(8)])
    found = find_concepts(features, weight, count=3)
    assert found.error < 1e-3
    units = parts / np.linalg.norm(parts, axis=1, keepdims=True)
    likeness = found.parts @ units.T
    assert likeness.argmax(1).tolist() == [0, 1, 2]  # by importance: the weight makes this order
    assert likeness.max(1) == pytest.approx(1, abs=0.01)
    assert np.corrcoef(found.amounts[:, 0], amounts[:, 0])[0, 1] > 0.99
    assert found.toward[0] > 0 > found.toward[1]
    assert found.importance[2] == pytest.approx(0, abs=1e-3)


def test_importance_is_sobols_total_index() -> None:
    features, _, _ = planted(40)
    weight = np.random.default_rng(1).normal(size=24)
    found = find_concepts(features, weight, count=3)
    added = found.amounts.astype(np.float64) * (found.parts @ weight)
    rng = np.random.default_rng(2)
    masks, others = rng.random((2, 20000, 3))
    shares = []
    for row in added[np.abs(added).sum(1) > 0.1]:
        logit = masks @ row
        total = []
        for one in range(3):  # Jansen's estimator
            mixed = masks.copy()
            mixed[:, one] = others[:, one]
            total.append(((logit - mixed @ row) ** 2).mean() / 2)
        shares.append(total)
    expected = np.sum(shares, 0) / np.sum(shares)
    assert found.importance == pytest.approx(expected, abs=0.02)


def test_factors_are_from_zero_and_never_get_worse() -> None:
    matrix = torch.rand(60, 20, generator=torch.Generator().manual_seed(0))
    errors = []
    for count in (1, 4, 8, 16):
        amounts, parts = factor(matrix, count)
        assert amounts.min() >= 0
        assert parts.min() >= 0
        assert torch.allclose(parts.norm(dim=1), torch.ones(count), atol=1e-4)
        errors.append(float((matrix - amounts @ parts).norm()))
    assert errors == sorted(errors, reverse=True)
    peer = pytest.importorskip("sklearn.decomposition")
    theirs = peer.NMF(8, init="nndsvda", max_iter=500, tol=0).fit(matrix.numpy()).reconstruction_err_
    assert errors[2] < 1.03 * theirs
    again = factor(matrix, 4)
    assert torch.equal(again[0], factor(matrix, 4)[0])


def test_features_that_are_no_sums_are_refused() -> None:
    with pytest.raises(InputError, match="lies below 0"):
        find_concepts(np.random.default_rng(0).normal(size=(9, 4)), np.ones(4))
    with pytest.raises(InputError, match=r"shape \[3\]"):
        find_concepts(np.ones((9, 4)), np.ones(3))
    assert find_concepts(np.zeros((5, 4)), np.ones(4), count=2).error == 0


def colored(side: int = 28) -> tuple[Classifier, Dataset]:
    """Return pictures with a red or a green corner, and a model that looks at redness and greenness alone."""
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 60, (40, 3, side, side), dtype=torch.uint8, generator=generator)
    labels = torch.arange(40) % 2
    for row, label in enumerate(labels.tolist()):
        pictures[row, label, :9, :9] = 250
    net = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.eye(3)[:, :, None, None])  # type: ignore[operator,union-attr]
        net[0].bias.fill_(-0.3)  # type: ignore[operator,union-attr]
        net[4].weight.copy_(torch.tensor([[9.0, -9.0, 0.0], [-9.0, 9.0, 0.0]]))  # type: ignore[operator,union-attr]
        net[4].bias.zero_()  # type: ignore[operator,union-attr]
    classifier = Classifier.from_module(net, size=side, mean=(0, 0, 0), std=(1, 1, 1), labels=("red", "green"))
    return classifier, Dataset.of(pictures, labels, ("red", "green"))


def test_a_class_that_hangs_on_one_patch_is_named_with_its_crops() -> None:
    classifier, data = colored()
    examined = replace(Examined(look_once(classifier, data), classifier), depth="deep")
    assert examined.kept.right.all()
    (found,) = run_checks(examined, [CHECKS["concepts"]]).findings
    assert found.judgement == "look"
    assert found.value is not None
    assert found.value > 0.9
    caption, strip = next(iter(found.images.items()))
    assert strip.shape == (3, 8, 48)
    channel = 0 if caption.startswith("red") else 1
    assert strip[channel].mean() > 0.8 > 0.5 > strip[1 - channel].mean()
    assert found.tables["Concepts"]["class"].count("red") == found.tables["Concepts"]["class"].count("green") > 1


def test_concepts_wait_for_a_deep_audit_and_for_a_linear_head() -> None:
    classifier, data = colored()
    part = look_once(classifier, data)
    told = run_checks(Examined(part, classifier), [CHECKS["concepts"]]).not_checked
    assert told[0].why == "needs --depth deep"
    headless = replace(part, kept=replace(part.kept, head=None))
    told = run_checks(Examined(headless, classifier, depth="deep"), [CHECKS["concepts"]]).not_checked
    assert "linear" in told[0].why


def test_crops_cover_the_picture_in_order() -> None:
    images = torch.arange(2 * 28 * 28).view(2, 1, 28, 28).float()
    crops = crops_of(images)
    assert crops.shape == (32, 1, 8, 8)
    assert crops[0, 0, 0, 0] == images[0, 0, 0, 0]
    assert crops[1, 0, 0, 0] == images[0, 0, 0, 6]
    assert crops[16, 0, 0, 0] == images[1, 0, 0, 0]
