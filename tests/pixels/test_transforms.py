import pytest
import torch

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.pixels import Compose, Jitter
from tests.pixels.problems import pictures

ROWS = torch.arange(5)


def test_jitter_rolls_each_picture_by_its_own_offset() -> None:
    x, random = pictures(5), Random(3, ROWS, t=2)
    offsets = random.integer(7, 2, stream=("jitter", 1)) - 3
    rolled = Jitter(3)(x, random, 1)
    for row, (down, across) in enumerate(offsets.tolist()):
        assert torch.equal(rolled[row], x[row].roll((down, across), dims=(1, 2)))
    assert len({tuple(one) for one in offsets.tolist()}) > 1


def test_draws_and_parts_are_independent() -> None:
    x, random = pictures(5), Random(3, ROWS)
    assert not torch.equal(Jitter(3)(x, random, 0), Jitter(3)(x, random, 1))
    twice = Compose((Jitter(3), Jitter(3)))(x, random, 0)
    assert not torch.equal(twice, Jitter(3)(Jitter(3)(x, random, 0), random, 0))
    assert torch.equal(Compose(())(x, random, 0), x)


def test_no_reach_is_no_change() -> None:
    assert torch.equal(Jitter(0)(pictures(2), Random(0, [0, 1]), 0), pictures(2))


def test_the_gradient_rolls_back() -> None:
    x = pictures(5, torch.float64).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda images: Jitter(2)(images, Random(0, ROWS), 0), (x,), fast_mode=True)


@pytest.mark.parametrize(("reach", "samples"), [(-1, 1), (1, 0)])
def test_unusable_jitters_raise(reach: int, samples: int) -> None:
    with pytest.raises(InputError, match="Jitter"):
        Jitter(reach, samples)
