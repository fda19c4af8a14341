"""ROAD: remove pixels by filling them in from their neighbors, so that the hole itself gives nothing away."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.explain.scores.judge import Judge, ranks

PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)
NOISE = 0.01
DIRECT, DIAGONAL = 1 / 6, 1 / 12
TOLERANCE, MOST_STEPS = 1e-4, 400


def road(judge: Judge, maps: Tensor) -> Tensor:
    """Return half the probability kept without the least important pixels minus that without the most, [B].

    Rong et al. (2022), "A consistent and efficient evaluation strategy for attribution methods", averaged over
    10 to 90% of the pixels; higher is better. Filled pixels get noise of deviation 0.01, keyed by image.
    """
    place = ranks(judge, maps)
    count, variants = place.shape[1], len(PERCENTILES)
    noise = judge.random.fork("road").normal(*judge.images.shape[1:], dtype=judge.images.dtype).to(judge.images)

    def change(rows: Tensor, variant: Tensor) -> Tensor:
        share = torch.tensor(PERCENTILES, device=place.device)[variant % variants][:, None] * count / 100
        gone = torch.where((variant < variants)[:, None], place[rows] < share, place[rows] >= count - share)
        hole = gone.view(-1, 1, *judge.size)
        return torch.where(hole, impute(judge.images[rows], hole) + NOISE * noise[rows], judge.images[rows])

    kept = judge.outputs(change, 2 * variants)
    return (kept[:, variants:].mean(1) - kept[:, :variants].mean(1)) / 2


def impute(images: Tensor, hole: Tensor) -> Tensor:
    """Fill the hole [A,1,H,W] so that each pixel is the weighted mean of its neighbors: 1/6 beside, 1/12 across.

    The linear system is symmetric and is solved by conjugate gradients, all images at once, from a coarse guess.

    >>> image = torch.arange(5.0).expand(1, 1, 5, 5)
    >>> hole = torch.zeros(1, 1, 5, 5, dtype=torch.bool)
    >>> hole[..., 2, 2] = True
    >>> round(impute(image, hole)[0, 0, 2, 2].item(), 4)
    2.0
    """
    inside = hole.to(images.dtype)
    known = images * (1 - inside)
    degree = _spread(torch.ones_like(inside))
    # A hole without any border has no solution; the diagonal's tiny share leaves the guess there.
    diagonal = degree * (1 + 1e-6)
    guess = _coarse_guess(known, 1 - inside) * inside
    residual = (_spread(known) - (diagonal * guess - _spread(guess))) * inside
    solution, direction = guess, residual
    energy = _dot(residual, residual)
    enough = TOLERANCE**2 * energy.clamp(min=1e-12)
    for _ in range(MOST_STEPS):
        unsolved = energy > enough
        if not bool(unsolved.any()):
            break
        image = (diagonal * direction - _spread(direction)) * inside
        # An image that is done stays as it is, so that it does not depend on the others.
        step = torch.where(unsolved, energy / _dot(direction, image).clamp(min=1e-30), 0.0)
        solution = solution + step * direction
        residual = residual - step * image
        before, energy = energy, _dot(residual, residual)
        direction = residual + energy / before.clamp(min=1e-30) * direction
    return known + solution * inside


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum((1, 2, 3), keepdim=True)


def _spread(values: Tensor) -> Tensor:
    kernel = values.new_tensor([[DIAGONAL, DIRECT, DIAGONAL], [DIRECT, 0, DIRECT], [DIAGONAL, DIRECT, DIAGONAL]])
    channels = values.shape[1]
    return F.conv2d(values, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


def _coarse_guess(known: Tensor, weight: Tensor) -> Tensor:
    """Average what is known over ever larger squares until every pixel has a value."""
    guess, missing = known, weight == 0
    values, weights = known, weight
    while bool(missing.any()) and min(values.shape[2:]) > 1:
        values, weights = (F.avg_pool2d(one, 2, ceil_mode=True) for one in (values, weights))
        mean = torch.where(weights > 0, values / weights.clamp(min=1e-12), 0.0)
        wide = F.interpolate(mean, known.shape[2:], mode="bilinear", align_corners=False)
        seen = (
            F.interpolate((weights > 0).to(known.dtype), known.shape[2:], mode="bilinear", align_corners=False) > 0.999
        )
        guess = torch.where(missing & seen, wide, guess)
        missing = missing & ~seen
    return guess
