import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.pixels import SGD, Adam, Observation, Rule, Sign, Unit
from backlight.pixels.geometry import length, unit

ROWS = torch.arange(4)


def gradients(turn: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return Random("gradients", ROWS, turn).normal(3, 5, 5, dtype=dtype)


def walk(rule: Rule, steps: int, gradient: Callable[[int], Tensor] = gradients, start: Tensor | None = None) -> Tensor:
    """Let a rule move under given gradients, without any model."""
    params = torch.zeros_like(gradient(0)) if start is None else start
    state = rule.init(params, ROWS)
    for t in range(steps):
        zeros = torch.zeros(4, dtype=params.dtype)
        seen = Observation(t, steps, params, zeros, gradient(t), zeros.bool(), Random(0, ROWS, t), lambda point: point)
        params, state, *_ = rule.step(state, seen)
        assert all(len(one) == 4 for one in state.values())
    return params


@pytest.mark.parametrize(
    ("rule", "reference"),
    [
        (SGD(0.3), lambda p: torch.optim.SGD(p, lr=0.3, maximize=True)),
        (SGD(0.3, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.3, momentum=0.9, maximize=True)),
        (Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05, maximize=True)),
        (Adam(0.05, (0.5, 0.9), 1e-3), lambda p: torch.optim.Adam(p, 0.05, (0.5, 0.9), 1e-3, maximize=True)),
    ],
)
def test_torch_optimizers_take_the_same_steps(rule: Rule, reference: Callable) -> None:
    point = torch.zeros(4, 3, 5, 5, dtype=torch.float64, requires_grad=True)
    optimizer = reference([point])
    for t in range(12):
        point.grad = gradients(t)
        optimizer.step()
    assert torch.allclose(walk(rule, 12), point.detach(), rtol=1e-10, atol=1e-13)


def test_sign_with_momentum_written_out() -> None:
    point, momentum = torch.zeros_like(gradients(0)), torch.zeros_like(gradients(0))
    for t in range(5):
        gradient = gradients(t)
        for row in range(4):
            momentum[row] = 0.7 * momentum[row] + gradient[row] / gradient[row].abs().mean()
        point = point + 0.1 * momentum.sign()
    assert torch.equal(walk(Sign(0.1, momentum=0.7), 5), point)


def test_momentum_survives_tiny_and_zero_gradients() -> None:
    def fading(turn: int) -> Tensor:
        gradient = gradients(turn, torch.float32) * 1e-40
        gradient[1] = 0
        return gradient

    point = walk(Sign(0.1, momentum=1.0), 3, fading)
    assert point.isfinite().all()
    assert (point[1] == 0).all()
    assert (point[[0, 2, 3]] != 0).any(1).any()


@pytest.mark.parametrize("scale", [1e-38, 1e-12, 1.0, 1e30])
def test_unit_steps_do_not_depend_on_the_gradients_scale(scale: float) -> None:
    steps = walk(Unit(0.5), 1, lambda t: gradients(t, torch.float32) * scale)
    assert torch.allclose(steps, walk(Unit(0.5), 1, lambda t: gradients(t, torch.float32)), rtol=1e-4, atol=1e-6)
    assert torch.allclose(length(steps, "l2"), torch.full((4,), 0.5))


def test_a_zero_gradient_goes_somewhere_random_and_keyed() -> None:
    gradient = gradients(0)
    gradient[2] = 0
    random = Random(0, ROWS)
    direction = unit(gradient, random)
    assert torch.allclose(length(direction, "l2"), torch.ones(4, dtype=torch.float64))
    alone = unit(gradient[2:3], random.take(torch.tensor([2])))
    assert torch.equal(alone[0], direction[2])
    assert not torch.equal(unit(gradient, Random(0, ROWS, t=1))[2], direction[2])


@pytest.mark.parametrize("kind", [Sign, Unit, SGD, Adam])
def test_sizes_may_follow_the_turn(kind: Callable[..., Rule]) -> None:
    def halving(t: int) -> float:
        return 0.4 / 2**t

    first, second = walk(kind(0.4), 1), walk(kind(halving), 2)
    fixed = walk(kind(0.4), 2)
    assert torch.allclose(second - first, (fixed - first) / 2)


def test_adam_first_step_is_the_learning_rate() -> None:
    assert torch.allclose(walk(Adam(0.01), 1).abs(), torch.full((4, 3, 5, 5), 0.01, dtype=torch.float64), rtol=1e-5)


def test_rules_say_what_they_need() -> None:
    assert [rule.pixels for rule in (Sign(1), Unit(1), SGD(1), Adam(1))] == [True, True, False, False]
    assert not any(rule.rejects for rule in (Sign(1), Unit(1), SGD(1), Adam(1)))
    assert Sign(1).wants_gradient(0)
    assert math.isclose(Adam(0.1).betas[1], 0.999)
