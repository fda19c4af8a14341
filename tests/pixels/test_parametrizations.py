import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backlight.core.errors import InputError, UsageError
from backlight.core.random import Random
from backlight.pixels import Ball, Box, Gaussian, Lattice, Pixels, Surface, Uniform
from backlight.pixels.geometry import length
from backlight.pixels.parametrizations import round_towards
from tests.pixels.problems import pictures

ROWS = torch.arange(6)
FLOATS = (torch.float32, torch.float64)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.integers(0, 40), st.sampled_from(FLOATS), st.floats(0.1, 5))
def test_lattice_pictures_are_8_bit_inside_ball_and_box(
    seed: int, levels: int, dtype: torch.dtype, scale: float
) -> None:
    x = pictures(6, dtype)
    params = x + scale * levels / 255 * (2 * Random(seed, ROWS).uniform(3, 8, 8, dtype=dtype) - 1)
    params = (Ball("linf", x, levels / 255) & Box()).project(params, ROWS, 0)
    images = Lattice(x).images(params, ROWS)
    steps = (images * 255).round()
    assert torch.equal(images, steps / 255)
    assert ((steps - (x * 255).round()).abs() <= levels).all()
    # Towards the original: never farther from it than the parameters (but for their rounding), less than a level off.
    slack = 4 * torch.finfo(dtype).eps
    assert ((images - x).abs() <= (params - x).abs() + slack).all()
    assert ((images - params).abs() < 1 / 255 + slack).all()


def test_whole_levels_are_kept_in_spite_of_rounding() -> None:
    x = (torch.arange(256, dtype=torch.float32) / 255).view(1, 1, 16, 16)
    for levels in range(1, 30):
        for sign in (-1, 1):
            params = x + sign * (levels / 255)
            expected = (torch.arange(256) + sign * levels).clamp(0, 255)
            assert torch.equal(round_towards(params, x).flatten().long(), expected)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1))
def test_rounding_off_the_lattice(original: float, value: float) -> None:
    x, p = torch.tensor([original], dtype=torch.float64), torch.tensor([value], dtype=torch.float64)
    level = round_towards(p, x).item()
    assert level == round(level)
    low, high = sorted((original * 255, value * 255))
    between = low - 1e-6 <= level <= high + 1e-6
    assert between or abs(level - original * 255) <= 0.5 + 1e-9


def test_the_gradient_goes_straight_through() -> None:
    x = pictures(2)
    params = (x + 0.013).requires_grad_(True)
    weights = torch.rand(2, 3, 8, 8)
    (gradient,) = torch.autograd.grad((Lattice(x).images(params, torch.arange(2)) * weights).sum(), params)
    assert torch.equal(gradient, weights)


@pytest.mark.parametrize(
    "images",
    [torch.zeros(3, 4, 4), torch.zeros(1, 3, 4, 4).long(), torch.full((1, 3, 2, 2), torch.nan), torch.zeros(2, 3)],
)
def test_unusable_images_raise(images: torch.Tensor) -> None:
    with pytest.raises(InputError, match="images"):
        Pixels(images)


def test_half_precision_cannot_hold_the_lattice() -> None:
    with pytest.raises(InputError, match="8-bit"):
        Lattice(torch.zeros(1, 3, 2, 2).half())


def test_caller_images_stay_apart() -> None:
    x = pictures(2).requires_grad_(True)
    start = Pixels(x).start(torch.tensor([1, 0]), Random(0, [1, 0]))
    assert not start.requires_grad
    start += 1
    assert x.max() <= 1


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_uniform_starts_fill_the_ball(norm: str, dtype: torch.dtype) -> None:
    x = torch.zeros(4000, 1, 1, 2, dtype=dtype)
    epsilons = torch.linspace(0.1, 0.9, 4000, dtype=dtype)
    start = Uniform(norm, epsilons)(x, torch.arange(4000), Random(0, torch.arange(4000)))
    share = length(start, norm) / epsilons
    assert share.max() <= 1 + 1e-6
    # In two dimensions a quarter of the ball's area lies within half of its radius.
    assert (share < 0.5).double().mean() == pytest.approx(0.25, abs=0.03)
    assert start.flatten(1).mean(0).abs().max() < 0.02


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_surface_starts_touch_the_surface(norm: str) -> None:
    x = pictures(6)
    start = Surface(norm, torch.linspace(0.1, 0.6, 6))(x, ROWS, Random(0, ROWS))
    assert torch.allclose(length(start - x, norm), torch.linspace(0.1, 0.6, 6), rtol=1e-4)


def test_starts_follow_their_image() -> None:
    x, epsilons, some = pictures(6), torch.linspace(0.1, 0.6, 6), torch.tensor([4, 1])
    for begin in (Uniform("linf", epsilons), Uniform("l2", epsilons), Surface("l2", epsilons), Gaussian(0.1)):
        whole = Pixels(x, begin).start(ROWS, Random(0, ROWS))
        assert torch.equal(Pixels(x, begin).start(some, Random(0, ROWS).take(some)), whole[some])


def test_gaussian_starts_have_their_deviation() -> None:
    start = Gaussian(0.25)(torch.zeros(300, 3, 8, 8), torch.arange(300), Random(0, torch.arange(300)))
    assert start.std().item() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize("kind", [Uniform, Surface])
def test_unusable_starts_raise(kind: type) -> None:
    with pytest.raises(UsageError, match="l1"):
        kind("l1", 0.5)
    with pytest.raises(UsageError, match="0..255"):
        kind("linf", 8)
