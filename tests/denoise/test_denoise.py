"""Each solver against formulas, explicit loops and the others."""

import itertools

import numpy as np
import pytest
import torch
from scipy import optimize as scipy_optimize

from backlight.core.errors import InputError, UsageError
from backlight.denoise import CLASSIC, automatic_alpha, denoise, estimate_sigma, loss, quality, sweep_sheet

NORMS = list(itertools.product(("l1", "l2"), repeat=2))


def noisy_steps(
    height: int = 12, width: int = 9, channels: int = 1, count: int = 1, noise: float = 0.1
) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    clean = torch.full((count, channels, height, width), 0.3, dtype=torch.float64)
    clean[..., width // 2 :] = 0.7
    return (clean + noise * torch.randn(clean.shape, generator=generator, dtype=torch.float64)).clamp(0, 1)


def test_loss_is_the_formula() -> None:
    images, noisy = noisy_steps(3, 4), noisy_steps(3, 4, noise=0.3)
    for data_norm, smooth_norm in NORMS:
        expected = 0.0
        size = {"l1": abs, "l2": lambda value: value * value}
        j, i = images[0, 0].tolist(), noisy[0, 0].tolist()
        for y, x in itertools.product(range(3), range(4)):
            expected += size[data_norm](j[y][x] - i[y][x])
            expected += 0.7 * size[smooth_norm](j[y + 1][x] - j[y][x]) if y < 2 else 0
            expected += 0.7 * size[smooth_norm](j[y][x + 1] - j[y][x]) if x < 3 else 0
        assert float(loss(images, noisy, 0.7, data_norm=data_norm, smooth_norm=smooth_norm)) == pytest.approx(expected)


def test_gradient_of_the_loss() -> None:
    noisy = noisy_steps(4, 5, noise=0.2)
    for data_norm, smooth_norm in NORMS:
        images = (noisy + 0.05).requires_grad_(True)

        def value(pixels: torch.Tensor, data: str = data_norm, smooth: str = smooth_norm) -> torch.Tensor:
            return loss(pixels, noisy, 0.7, data_norm=data, smooth_norm=smooth)

        assert torch.autograd.gradcheck(value, images, eps=1e-7)


def test_squares_are_solved_exactly() -> None:
    noisy = noisy_steps(5, 7)
    found = denoise(noisy, data_norm="l2", smooth_norm="l2", alpha=1.3)
    pixels = found.images.clone().requires_grad_(True)
    value = loss(pixels, noisy, 1.3, data_norm="l2", smooth_norm="l2").sum()
    assert torch.autograd.grad(value, pixels)[0].abs().max() < 1e-12
    assert found.stopped == ("exact",)


def test_the_other_solvers_reach_the_exact_minimum_of_squares() -> None:
    noisy = noisy_steps()
    exact = denoise(noisy, data_norm="l2", smooth_norm="l2", alpha=1.0)
    descent = denoise(noisy, data_norm="l2", smooth_norm="l2", alpha=1.0, solver="gradient", lr=0.08, steps=300)
    assert (descent.images - exact.images).abs().max() < 1e-6
    for width in (1, 2, 31):
        thin = noisy_steps(1, width)
        assert denoise(thin, data_norm="l2", smooth_norm="l2", alpha=1.0).images.shape == thin.shape


def linear_program(noisy: np.ndarray, alpha: float) -> float:
    """Minimize the l1/l1 loss as a linear program: the oracle of absolute values."""
    height, width = noisy.shape
    place = np.arange(height * width).reshape(height, width)
    pairs = [*zip(place[1:].ravel(), place[:-1].ravel(), strict=True)]
    pairs += [*zip(place[:, 1:].ravel(), place[:, :-1].ravel(), strict=True)]
    count, edges = height * width, len(pairs)
    differences = np.zeros((edges, count))
    for row, (a, b) in enumerate(pairs):
        differences[row, a], differences[row, b] = 1, -1
    matrix = np.vstack([np.eye(count), differences])
    target = np.concatenate([noisy.ravel(), np.zeros(edges)])
    bounds = np.vstack([np.hstack([matrix, -np.eye(len(matrix))]), np.hstack([-matrix, -np.eye(len(matrix))])])
    cost = np.concatenate([np.zeros(count), np.ones(count), np.full(edges, alpha)])
    limits = [(None, None)] * count + [(0, None)] * len(matrix)
    return scipy_optimize.linprog(cost, bounds, np.concatenate([target, -target]), bounds=limits).fun


def test_primal_dual_reaches_the_linear_program() -> None:
    noisy = noisy_steps(6, 7)
    found = denoise(noisy, alpha=0.6, steps=2000)
    best = linear_program(noisy[0, 0].numpy(), 0.6)
    assert best - 1e-9 <= float(found.loss) <= best * 1.002


@pytest.mark.parametrize(("data_norm", "smooth_norm"), NORMS)
def test_primal_dual_is_never_above_descent(data_norm: str, smooth_norm: str) -> None:
    noisy = noisy_steps(count=2, channels=3)
    norms = {"data_norm": data_norm, "smooth_norm": smooth_norm, "alpha": 0.5}
    best, descent = denoise(noisy, **norms), denoise(noisy, solver="gradient", **norms)
    assert bool((best.loss <= descent.loss * 1.001).all())
    assert bool((descent.loss <= descent.start).all())


def test_scikit_image_finds_the_same_picture() -> None:
    noisy = noisy_steps(24, 24)
    ours = denoise(noisy, data_norm="l2", smooth_norm="l1", alpha=0.2)
    theirs = denoise(noisy, data_norm="l2", smooth_norm="l1", alpha=0.2, solver="scikit-image")
    # Split Bregman stops near the minimum, ours at it: 1.6% apart here.
    assert float(ours.loss) <= float(theirs.loss) <= float(ours.loss) * 1.03
    assert (ours.images - theirs.images).abs().mean() < 0.02


def test_descent_is_the_plain_loop() -> None:
    noisy, (alpha, lr) = noisy_steps(), CLASSIC["slow"]
    found = denoise(noisy, alpha=alpha, solver="gradient", lr=lr, steps=12)
    current, best, lowest = noisy.clone(), noisy, float("inf")
    for turn in range(13):
        current = current.detach().requires_grad_(True)
        value = loss(current, noisy, alpha).sum()
        if value.item() < lowest:
            best, lowest = current.detach(), value.item()
        if turn < 12:
            current = current - lr * torch.autograd.grad(value, current)[0]
    assert torch.allclose(found.images, best.clamp(0, 1), atol=1e-12)


def test_a_rate_that_diverges_stops_and_gives_the_best() -> None:
    found = denoise(noisy_steps(), data_norm="l2", smooth_norm="l2", alpha=1.0, solver="gradient", lr=5.0)
    assert found.stopped == ("diverged",)
    assert int(found.steps) < 20
    assert float(found.loss) <= float(found.start)


@pytest.mark.parametrize(("data_norm", "smooth_norm"), NORMS)
def test_a_batch_is_its_pictures_one_by_one(data_norm: str, smooth_norm: str) -> None:
    noisy = noisy_steps(count=3, channels=3)
    for solver in ("auto", "gradient"):
        options = {"data_norm": data_norm, "smooth_norm": smooth_norm, "solver": solver, "steps": 30}
        together = denoise(noisy, **options).images
        alone = torch.cat([denoise(one[None], **options).images for one in noisy])
        assert torch.allclose(together, alone, atol=1e-12)


def test_no_smoothing_gives_the_picture_back() -> None:
    noisy = noisy_steps()
    for data_norm, smooth_norm in NORMS:
        found = denoise(noisy, data_norm=data_norm, smooth_norm=smooth_norm, alpha=0.0)
        assert torch.allclose(found.images, noisy, atol=1e-12)


def test_alpha_follows_the_noise() -> None:
    flat = torch.full((1, 1, 64, 64), 0.5)
    generator = torch.Generator().manual_seed(0)
    for sigma in (0.02, 0.1):
        noisy = flat + sigma * torch.randn(flat.shape, generator=generator)
        assert float(estimate_sigma(noisy)) == pytest.approx(sigma, rel=0.1)
    assert float(automatic_alpha(flat)) == 0
    little, much = (flat + sigma * torch.randn(flat.shape, generator=generator) for sigma in (0.03, 0.2))
    for data_norm, smooth_norm in NORMS:
        norms = {"data_norm": data_norm, "smooth_norm": smooth_norm}
        assert automatic_alpha(little, **norms) < automatic_alpha(much, **norms)


def test_automatic_alpha_makes_a_photograph_better_by_every_norm() -> None:
    from skimage import data

    clean = torch.from_numpy(data.camera()[:128, 150:278] / 255).float()[None, None]
    noisy = (clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    before = quality(noisy, clean)
    for data_norm, smooth_norm in NORMS:
        after = quality(denoise(noisy, data_norm=data_norm, smooth_norm=smooth_norm).images, clean)
        assert after.psnr[0] > before.psnr[0] + 3
        assert after.ssim[0] > before.ssim[0]


def test_deep_prior_learns_the_picture_before_its_noise() -> None:
    noisy = noisy_steps(32, 32, noise=0.15).float()
    clean = noisy_steps(32, 32, noise=0.0).float()
    state = torch.get_rng_state()
    found = denoise(noisy, data_norm="l2", solver="deep-prior", steps=30)
    assert quality(found.images, clean).psnr[0] > quality(noisy, clean).psnr[0] + 3
    assert torch.equal(state, torch.get_rng_state())
    again = denoise(noisy, data_norm="l2", solver="deep-prior", steps=30)
    assert torch.equal(found.images, again.images)


def test_wrong_use() -> None:
    noisy = noisy_steps()
    with pytest.raises(InputError, match="alpha"):
        denoise(noisy, alpha=-1.0)
    with pytest.raises(UsageError, match="data_norm"):
        denoise(noisy, data_norm="l3")
    with pytest.raises(UsageError, match="solver"):
        denoise(noisy, solver="magic")
    with pytest.raises(UsageError, match="lr"):
        denoise(noisy, lr=0.1)
    with pytest.raises(UsageError, match="scikit-image"):
        denoise(noisy, solver="scikit-image")
    with pytest.raises(InputError, match="0..255"):
        denoise(noisy * 255)
    with pytest.raises(InputError, match="shape"):
        denoise(noisy[0])


def test_a_sheet_has_a_cell_for_each_alpha_and_rate() -> None:
    sheet = sweep_sheet(noisy_steps(40, 40)[0].float(), alphas=(0.5, 1.0), rates=(0.002, 10.0), steps=3)
    assert sheet.width > 3 * 40
    assert sheet.height > 2 * 40
