"""Ensembles: mean logits of models with sizes, normalizations and numberings of their own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from backlight.attack import attack, ensemble
from backlight.attack.transfer.ensemble import seen_by
from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.testing import unchanged


def linear(side: int, classes: int = 3, **more: object) -> Classifier:
    with torch.random.fork_rng():
        torch.manual_seed(side)
        module = nn.Sequential(nn.Flatten(), nn.Linear(3 * side * side, classes)).double()
    return Classifier.from_module(module, size=side, **more)


def gray(side: int) -> Classifier:
    return Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(side * side, 3)), size=side, mean=0.5, std=0.5)


def pictures(side: int, count: int = 4) -> torch.Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_logits_are_the_mean_of_the_members_each_at_its_size_and_normalization() -> None:
    small, large = linear(6, mean=(0.2, 0.3, 0.4), std=(0.5, 0.6, 0.7)), linear(9, mean=(0.5,) * 3, std=(0.25,) * 3)
    both, images = ensemble([small, large]), pictures(9)
    assert both.size == (9, 9)
    shrunk = F.interpolate(images, (6, 6), mode="bilinear", antialias=True)
    assert torch.allclose(both.logits(images), (small.logits(shrunk) + large.logits(images)) / 2)


def test_gradients_are_those_of_the_mean() -> None:
    small, large = linear(6), linear(9)
    leaf = pictures(9).requires_grad_()
    mean = (small.record(seen_by(small, leaf), ("logits",))["logits"] + large.record(leaf, ("logits",))["logits"]) / 2
    (expected,) = torch.autograd.grad(mean[:, 0].sum(), leaf)
    (found,) = torch.autograd.grad(ensemble([small, large]).record(leaf, ("logits",))["logits"][:, 0].sum(), leaf)
    assert torch.allclose(found, expected)


def test_classes_are_matched_by_name() -> None:
    first, second = linear(6, labels=("cat", "dog", "owl")), linear(7, labels=("owl", "cat", "dog"))
    both, images = ensemble([first, second]), pictures(7)
    assert both.labels == ("cat", "dog", "owl")
    expected = (first.logits(seen_by(first, images)) + second.logits(images)[:, [1, 2, 0]]) / 2
    assert torch.allclose(both.logits(images), expected)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (lambda: [], "no models"),
        (lambda: [linear(6), linear(6, classes=4)], "4 classes"),
        (lambda: [linear(6, labels=("a", "b", "c")), linear(6, labels=("a", "b", "d"))], "no class 'c'"),
        (lambda: [linear(6), linear(6, outputs="multilabel")], "several labels"),
        (lambda: [linear(6), gray(6)], "1 channels"),
    ],
)
def test_what_cannot_be_joined_is_told(members: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        ensemble(members())


def test_an_ensemble_is_attacked_as_any_model_and_leaves_its_members_alone() -> None:
    small, large = linear(6), linear(9)
    large.module.train()
    with unchanged(small.module), unchanged(large.module):
        found = attack(ensemble([small, large]), pictures(9), method="mi+dim", eps=0.2, steps=12)
    assert found.success.all()
    said = ensemble([small, large]).logits(found.images)
    assert torch.equal(said.argmax(1), found.label_after)
    assert (found.margin < 0).all()
