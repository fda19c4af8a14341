"""Views that a surrogate is shown: against brute force, torch and scipy, for any size, picture by picture."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from scipy import fft
from torch import Tensor

from backlight.attack.transfer.blocks import Shuffled
from backlight.attack.transfer.parts import TRANSFER_PARTS, Joined
from backlight.attack.transfer.pool import photographs
from backlight.attack.transfer.spectrum import Rescaled, cosine_waves
from backlight.attack.transfer.views import Dimmed, Mixed, Resized, SmoothedGradient
from backlight.core.random import Random

VIEWS = {name: card.part for name, card in TRANSFER_PARTS.built_in.items() if not card.is_rule}
SIZES = [(3, 32, 32), (3, 21, 30), (1, 16, 16), (3, 7, 5)]


def same_pictures(count: int, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(1, *shape, generator=draw, dtype=torch.float64).expand(count, *shape).contiguous()


@pytest.mark.promises
@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("shape", SIZES)
def test_each_picture_draws_its_own_view_at_any_size(name: str, shape: tuple[int, ...]) -> None:
    # One draw for the whole batch, sizes of 224 written into the code, and mixing with batch mates are known faults.
    view, pictures, state = VIEWS[name], same_pictures(12, shape), torch.get_rng_state()
    ids = torch.arange(100, 112)
    together = view(pictures, Random("seed", ids, 3), 2)
    assert together.shape == pictures.shape
    alone = torch.cat([view(pictures[row : row + 1], Random("seed", ids[row : row + 1], 3), 2) for row in range(12)])
    assert torch.equal(together, alone)
    backwards = view(pictures.flip(0), Random("seed", ids.flip(0), 3), 2).flip(0)
    assert torch.equal(together, backwards)
    distinct = len({tuple(one.flatten().tolist()) for one in together})
    assert distinct >= 3 if name not in ("si", "tim") else distinct == 1
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", sorted(set(VIEWS) - {"si", "tim"}))
def test_views_differ_by_turn_draw_and_seed(name: str) -> None:
    pictures, ids = same_pictures(6, (3, 20, 24)), torch.arange(6)
    drawn = [
        VIEWS[name](pictures, Random(seed, ids, turn), draw)
        for seed, turn, draw in ((0, 0, 0), (0, 1, 0), (1, 0, 0), (0, 0, 5))
    ]
    assert not any(torch.equal(one, drawn[0]) for one in drawn[1:])


def test_resized_is_a_resize_a_pad_and_a_resize() -> None:
    pictures, ids = same_pictures(5, (3, 30, 40)), torch.arange(5)
    random = Random(7, ids)
    found = Resized(chance=1.0)(pictures, random, 0)
    share = random.uniform(1, stream=("side", 0), dtype=torch.float64)[:, 0]
    corner = random.uniform(2, stream=("corner", 0), dtype=torch.float64)
    for row in range(5):
        high, wide = 30 + int(share[row] * 3), 40 + int(share[row] * 4)
        assert 30 <= high < 33
        assert 40 <= wide < 44
        top, left = int(corner[row, 0] * (33 - high + 1)), int(corner[row, 1] * (44 - wide + 1))
        larger = F.interpolate(pictures[row : row + 1], (high, wide), mode="bilinear", align_corners=False)
        padded = F.pad(larger, (left, 44 - wide - left, top, 33 - high - top))
        small = F.interpolate(padded, (30, 40), mode="bilinear", align_corners=False)
        assert torch.allclose(found[row], small[0], atol=1e-12)
    assert torch.equal(Resized(chance=0.0)(pictures, random, 0), pictures)
    many = Resized()(same_pictures(400, (1, 12, 12)), Random(0, torch.arange(400)), 0)
    kept = (many == same_pictures(400, (1, 12, 12))).flatten(1).all(1).double().mean()
    assert 0.4 < kept < 0.6


def test_smoothing_convolves_the_gradient_with_the_published_kernel() -> None:
    draw = torch.Generator().manual_seed(0)
    slope = torch.randn(2, 3, 20, 26, generator=draw, dtype=torch.float64)
    leaf = torch.zeros_like(slope).requires_grad_()
    shown = SmoothedGradient()(leaf, Random(0, [0, 1]), 0)
    (found,) = torch.autograd.grad((shown * slope).sum(), leaf)
    density = torch.exp(-(torch.linspace(-3, 3, 15, dtype=torch.float64) ** 2) / 2)
    kernel = torch.outer(density, density) / density.sum() ** 2
    expected = F.conv2d(slope, kernel.expand(3, 1, 15, 15), padding=7, groups=3)
    assert torch.allclose(found, expected, atol=1e-12)


def test_smoothing_comes_before_all_other_views_whatever_the_order() -> None:
    from backlight.attack.transfer.parts import transfer_card

    parts = [transfer_card(name).function.keywords["transforms"].parts for name in ("mi+dim+tim", "tim+dim")]
    assert [[type(one) for one in each] for each in parts] == [[SmoothedGradient, Resized]] * 2


def test_dimming_divides_by_powers_of_two() -> None:
    pictures = same_pictures(2, (3, 4, 4))
    seen = [Dimmed()(pictures, Random(0, [0, 1]), draw) for draw in range(5)]
    assert all(torch.equal(one, pictures / 2**power) for power, one in enumerate(seen))


def test_admix_adds_others_from_a_fixed_pool_and_dims() -> None:
    pictures, random = same_pictures(6, (3, 18, 25)), Random(0, torch.arange(6))
    pool = photographs((3, 18, 25)).double()
    assert pool.shape[0] == 16
    assert 0 <= pool.min() <= pool.max() <= 1
    for draw in range(15):
        found = Mixed()(pictures, random, draw) * 2 ** (draw % 5) - pictures
        gap = (found[:, None] / 0.2 - pool[None]).flatten(2).abs().amax(2).amin(1)
        assert bool((gap < 1e-9).all())
    # The same other is seen at all five brightnesses, and three of them in all.
    others = torch.stack([Mixed()(pictures, random, draw) * 2 ** (draw % 5) for draw in range(15)])
    assert all(torch.allclose(others[5 * one], others[5 * one + scale]) for one in range(3) for scale in range(5))
    own = torch.zeros(1, 3, 18, 25)
    assert torch.equal(Mixed(pool=own)(pictures, random, 0), pictures)


def test_shuffled_strips_without_turns_are_the_same_pixels_elsewhere() -> None:
    pictures = same_pictures(8, (3, 17, 23))
    found = Shuffled(degrees=0.0)(pictures, Random(0, torch.arange(8)), 0)
    assert torch.allclose(found.flatten(2).sort(2).values, pictures.flatten(2).sort(2).values, atol=1e-12)
    columns = torch.arange(23, dtype=torch.float64).expand(8, 1, 17, 23).contiguous()
    moved = Shuffled(degrees=0.0)(columns, Random(0, torch.arange(8)), 0)[:, 0, 0]
    steps = moved.diff(dim=1).round() == 1
    assert bool(((~steps).sum(1) <= 2).all())  # two cuts: all other neighbors stay neighbors
    assert len({tuple(row.tolist()) for row in moved.round()}) > 4
    down = torch.arange(17, dtype=torch.float64)[:, None].expand(8, 1, 17, 23).contiguous()
    assert not torch.equal(Shuffled(degrees=0.0)(down, Random(0, torch.arange(8)), 0), down)


def test_a_strip_turns_about_its_own_middle_with_black_around() -> None:
    pictures = torch.ones(1, 1, 21, 21, dtype=torch.float64)
    random = Random(0, [3])
    turned = Shuffled(strips=1, degrees=24.0)(pictures, random, 0)
    first, second = (
        (2 * random.uniform(1, stream=("turn", axis, 0), dtype=torch.float64) - 1) * 24 for axis in ("width", "height")
    )
    assert float(turned[0, 0, 10, 10]) == pytest.approx(1.0)
    assert float(turned.mean()) < 1.0
    # One turn alone, against the rotation of torch's own grid.
    wide = Shuffled(strips=1)._along(pictures * torch.rand(21, 21, dtype=torch.float64), random, ("width", 0))
    assert wide.shape == pictures.shape
    assert abs(float(first)) <= 24
    assert abs(float(second)) <= 24


def test_cosine_waves_are_those_of_scipy_and_come_back() -> None:
    values = same_pictures(1, (3, 19, 28))
    down, across = cosine_waves(19), cosine_waves(28)
    assert torch.allclose(
        down @ values @ across.T, torch.from_numpy(fft.dctn(values.numpy(), axes=(2, 3), norm="ortho"))
    )
    same = Rescaled(spread=0.0, deviation=0.0)(values, Random(0, [0]), 0)
    assert torch.allclose(same, values, atol=1e-12)
    noisy = Rescaled(spread=0.0)(same_pictures(64, (3, 19, 28)), Random(0, torch.arange(64)), 0) - values
    assert float(noisy.std()) == pytest.approx(16 / 255, rel=0.03)
    factor = Rescaled(deviation=0.0)(same_pictures(64, (3, 19, 28)), Random(0, torch.arange(64)), 0)
    ratio = (down @ factor @ across.T) / (down @ values @ across.T)
    assert 0.5 <= float(ratio.min()) < 0.51
    assert 1.49 < float(ratio.max()) <= 1.5


def test_joined_views_show_every_combination_once() -> None:
    joined = Joined((Dimmed(2), Resized(), Dimmed(3)))
    assert joined.samples == 6
    ones, random = torch.ones(1, 1, 30, 30), Random(0, [0])
    brightness = sorted(float(joined(ones, random, draw)[0, 0, 15, 15]) for draw in range(6))
    assert brightness == sorted(1 / 2**one / 2**other for one in range(2) for other in range(3))
    pictures = same_pictures(1, (3, 40, 40))
    frames = {tuple((Joined((Dimmed(1), Resized(1.0), Dimmed(4)))(pictures, random, draw) * 2**draw).flatten().tolist())
              for draw in range(4)}  # fmt: skip
    assert len(frames) == 4  # each of four brightnesses has a frame of its own
