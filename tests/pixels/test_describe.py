import functools

import pytest
import torch
from torch import nn

from backlight.classifier import Classifier
from backlight.core.fingerprint import fingerprint
from backlight.pixels import (
    Adam,
    Ball,
    Box,
    Gaussian,
    Lattice,
    Mask,
    Measure,
    Pixels,
    Sign,
    Surface,
    Uniform,
    View,
    cross_entropy,
    distance,
    margin,
)
from tests.pixels.problems import pictures

X, Y = pictures(4), torch.arange(4)


PARTS = (
    Pixels(X),
    Lattice(X, Uniform("linf", torch.ones(4) / 9)),
    Ball("linf", X, torch.ones(4) / 9) & Box(),
    Mask(torch.ones(8, 8).bool(), X),
    Surface("l2", 0.5),
    Gaussian(0.1),
    Sign(0.1),
    Adam(lambda t: 0.1),
    cross_entropy(Y),
    distance(X),
)


@pytest.mark.parametrize("part", PARTS)
def test_no_part_prints_its_tensors(part: object) -> None:
    assert len(repr(part)) < 120
    assert "\n" not in repr(part)


def scaled(factor: float) -> object:
    return lambda t: factor * t


SAME = {
    "tensor": lambda: torch.arange(5.0),
    "pixels": lambda: Pixels(X.clone(), Uniform("linf", "8/255")),
    "measure": lambda: cross_entropy(Y.clone()) - 0.1 * distance(X.clone()),
    "schedule": lambda: Adam(scaled(2.0)),
    "partial": lambda: functools.partial(pow, 2),
    "set": lambda: {"a", "b", "c"},
    "method": lambda: Sign(0.1).wants_gradient,
    "net": lambda: Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Hardtanh()), mean=0.5),
}


@pytest.mark.parametrize("name", sorted(SAME))
def test_equal_contents_have_the_same_fingerprint(name: str) -> None:
    assert fingerprint(SAME[name]()) == fingerprint(SAME[name]())


def test_different_contents_have_different_fingerprints() -> None:
    changed = X.clone()
    changed[3, 2, 7, 7] += 1e-6
    net, other = nn.Linear(2, 2), nn.Linear(2, 2)
    things = [
        *(X, changed, X.double(), X.view(4, 3, 64), Pixels(X), Pixels(changed), Lattice(X)),
        *(Ball("linf", X, 0.1), Ball("linf", X, 0.2), Ball("l2", X, 0.1), Ball("l2", changed, 0.1)),
        *(cross_entropy(Y), cross_entropy(Y.flip(0)), margin(Y), -margin(Y)),
        *(margin(Y) > 0, margin(Y) > 1, margin(Y) >= 0),
        *(Adam(0.1), Adam(scaled(2.0)), Adam(scaled(3.0)), Adam(lambda t: 0.1), Adam(lambda t: 0.2), Sign(0.1)),
        *(net, other, Classifier.from_module(nn.Flatten(), mean=0.5), Classifier.from_module(nn.Flatten(), mean=0.4)),
        *(1, 1.0, "1", b"1", None, True, (1, 2), (2, 1), [1, 2], {"a": 1}, {"a": 2}, frozenset({1})),
    ]
    prints = [fingerprint(one) for one in things]
    assert len(set(prints)) == len(prints)


def test_using_a_classifier_does_not_change_its_fingerprint() -> None:
    classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(192, 3)), size=8)
    before = fingerprint(classifier)
    classifier.layers()
    with classifier.guard():
        assert fingerprint(classifier) == before


def test_objects_that_hold_themselves_end() -> None:
    loop: list[object] = [1]
    loop.append(loop)
    assert fingerprint(loop) == fingerprint(loop)


def test_brief_measures_of_any_kind() -> None:
    named = Measure(lambda view: view.images.flatten(1).sum(1), "ink", layers=())
    assert repr(named * torch.tensor(0.25)) == "ink * 0.25"
    assert named(View(None, X)).shape == (4,)
