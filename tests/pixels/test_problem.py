"""What does not go together raises before any work."""

import pytest
import torch
from torch import Tensor

from backlight.core.errors import InputError, LayerError, UsageError
from backlight.core.random import Random
from backlight.pixels import (
    Adam,
    Ball,
    Box,
    Measure,
    Observation,
    Pixels,
    Rule,
    Sign,
    Unit,
    Update,
    activation,
    distance,
    logit,
    optimize,
    turns,
)
from backlight.pixels.rule import State
from tests.pixels.problems import classifier_of, pictures

X = pictures(2)


class Squashed:
    """Pictures by tanh: parameters that are not pixels."""

    pixels = False

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return "Squashed"

    def start(self, rows: Tensor, random: Random) -> Tensor:
        return torch.zeros(len(rows), 3, 8, 8)

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        return (params.tanh() + 1) / 2


class Searching(Rule):
    rejects = True

    def wants_gradient(self, t: int) -> bool:
        return False

    def step(self, state: State, seen: Observation) -> Update:
        assert seen.grad is None
        return Update(seen.params, state)


@pytest.mark.parametrize("constraint", [Box(), Ball("linf", X, 0.1)])
def test_constraints_need_pixels(constraint: object) -> None:
    with pytest.raises(UsageError, match=r"needs pixels, Squashed moves something else"):
        turns(classifier_of(), logit(0), Squashed(), Adam(0.1), steps=1, constraint=constraint)


@pytest.mark.parametrize("rule", [Sign(0.1), Unit(0.1)])
def test_pixel_rules_need_pixels(rule: Rule) -> None:
    with pytest.raises(UsageError, match="needs pixels"):
        turns(classifier_of(), logit(0), Squashed(), rule, steps=1)


def test_other_parametrizations_climb_without_them() -> None:
    classifier = classifier_of()
    result = optimize(classifier, logit(0), Squashed(), Adam(0.1), steps=5)
    grey = logit(0).evaluate(classifier, torch.full((2, 3, 8, 8), 0.5))
    assert (result.value > grey).all()
    assert 0 <= result.images.min() <= result.images.max() <= 1


def test_a_rejecting_rule_keeps_the_best() -> None:
    with pytest.raises(UsageError, match="may reject the point it looked at last"):
        turns(classifier_of(), logit(0), Pixels(X), Searching(), steps=1, keep="last")
    result = optimize(classifier_of(), logit(0), Pixels(X), Searching(), steps=3)
    assert result.forwards.tolist() == [4, 4]
    assert result.backwards.tolist() == [0, 0]


def test_unknown_keep_raises() -> None:
    with pytest.raises(UsageError, match="keep='first'"):
        turns(classifier_of(), logit(0), Pixels(X), Adam(0.1), steps=1, keep="first")


def test_undeclared_layers_raise() -> None:
    sly = Measure(lambda view: view["4"].flatten(1).sum(1), "sly")
    with pytest.raises(LayerError, match="'4' was not declared"):
        optimize(classifier_of(), sly, Pixels(X), Adam(0.1), steps=1)


def test_unknown_layers_raise_with_near_names() -> None:
    with pytest.raises(LayerError, match="no layer '44'"):
        optimize(classifier_of(), activation("44", 0), Pixels(X), Adam(0.1), steps=1)


def test_layers_need_a_classifier() -> None:
    with pytest.raises(InputError, match=r"reads \['logits'\]; expected a classifier"):
        turns(None, logit(0), Pixels(X), Adam(0.1), steps=1)
    with pytest.raises(InputError, match="expected a classifier"):
        turns(None, distance(X), Pixels(X), Adam(0.1), steps=1, stop=logit(0) > 3)


@pytest.mark.parametrize(
    "options", [{"steps": -1}, {"steps": 1, "random": (0, [1, 2, 3])}, {"steps": 1, "chunk": 0}], ids=str
)
def test_unusable_values_raise(options: dict) -> None:
    with pytest.raises(InputError):
        turns(None, distance(X), Pixels(X), Adam(0.1), **options)
