"""Denoising with absolute values by the primal-dual method, which needs no derivative at zero."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from backlight.denoise.loss import loss

_LIPSCHITZ = 8.0  # the squared norm of the difference operator
_CHECK = 10
_PRIMAL_STEP = {"l1": 0.02, "l2": 0.15}  # by data norm, for pictures in [0, 1]; found by trying on photographs


class Solved(NamedTuple):
    """The pictures, their losses `[A]` and the steps that each took `[A]`."""

    images: Tensor
    loss: Tensor
    steps: Tensor
    converged: Tensor


def solve(
    images: Tensor,
    alpha: Tensor,
    *,
    data_norm: str,
    smooth_norm: str,
    steps: int,
    tolerance: float = 1e-5,
    watch: Callable[[int, int, Tensor], None] | None = None,
) -> Solved:
    """Minimize the loss by Chambolle and Pock's algorithm (2011, doi:10.1007/s10851-010-0251-1).

    With squares as data term, steps shrink as in their algorithm 2. Every 10 steps each picture's loss is
    compared with the best before: a gain below `tolerance` of it ends that picture. `watch` is shown the step, `steps`
    and the best pictures so far at every check.

    >>> noisy = torch.rand(1, 1, 8, 8)
    >>> solved = solve(noisy, torch.ones(1), data_norm="l1", smooth_norm="l1", steps=50)
    >>> bool(solved.loss < loss(noisy, noisy, 1.0))
    True
    """
    best = Solved(
        images.clone(),
        loss(images, images, alpha, data_norm=data_norm, smooth_norm=smooth_norm),
        torch.zeros(len(images), dtype=torch.int64, device=images.device),
        torch.zeros(len(images), dtype=torch.bool, device=images.device),
    )
    for row in range(len(images)):  # one by one: each stops by itself, and a picture fits the cache
        part = slice(row, row + 1)
        walk = _Walk(images[part], float(alpha[row]), data_norm, smooth_norm)
        _walk_to_the_end(walk, best, row, steps, tolerance, watch)
    return best


def _walk_to_the_end(
    walk: _Walk,
    best: Solved,
    row: int,
    steps: int,
    tolerance: float,
    watch: Callable[[int, int, Tensor], None] | None,
) -> None:
    for step in range(1, steps + 1):
        walk.step()
        if step % _CHECK and step != steps:
            continue
        value, before = walk.loss(), float(best.loss[row])
        best.steps[row] = step
        if value < before:
            best.loss[row], best.images[row] = value, walk.primal[0]
        if watch is not None:
            watch(step, steps, best.images)
        if 0 <= before - value <= tolerance * before:
            best.converged[row] = True
            return


class _Walk:
    """One picture's primal and dual variables."""

    def __init__(self, noisy: Tensor, alpha: float, data_norm: str, smooth_norm: str) -> None:
        self.noisy, self.alpha, self.norms = noisy, alpha, (data_norm, smooth_norm)
        self.primal = noisy.clone()
        self.ahead = noisy.clone()
        self.down = torch.zeros_like(noisy[:, :, 1:])
        self.across = torch.zeros_like(noisy[..., 1:])
        self.tau = _PRIMAL_STEP[data_norm]
        self.sigma = 1 / (_LIPSCHITZ * self.tau)

    def loss(self) -> float:
        """Return the loss of the primal picture."""
        data_norm, smooth_norm = self.norms
        return float(loss(self.primal, self.noisy, self.alpha, data_norm=data_norm, smooth_norm=smooth_norm))

    def step(self) -> None:
        """Move the dual up, the primal down, and look ahead."""
        self._raise(self.down, self.ahead.diff(dim=2))
        self._raise(self.across, self.ahead.diff(dim=3))
        before, moved = self.primal, self.primal.clone()
        moved[:, :, :-1] += self.tau * self.down
        moved[:, :, 1:] -= self.tau * self.down
        moved[..., :-1] += self.tau * self.across
        moved[..., 1:] -= self.tau * self.across
        self.primal = self._towards_noisy(moved)
        theta = 1.0
        if self.norms[0] == "l2":  # the data term is strongly convex, with modulus 2
            theta = 1 / math.sqrt(1 + 4 * self.tau)
            self.tau, self.sigma = self.tau * theta, self.sigma / theta
        self.ahead = torch.lerp(before, self.primal, 1 + theta)

    def _raise(self, dual: Tensor, slope: Tensor) -> None:
        dual.add_(slope, alpha=self.sigma)
        if self.norms[1] == "l1":
            dual.clamp_(-self.alpha, self.alpha)
        elif self.alpha:
            dual.div_(1 + self.sigma / (2 * self.alpha))
        else:
            dual.zero_()

    def _towards_noisy(self, moved: Tensor) -> Tensor:
        if self.norms[0] == "l2":
            return torch.lerp(moved, self.noisy, 2 * self.tau / (1 + 2 * self.tau))
        gap = moved.sub_(self.noisy)
        return gap.sub_(gap.clamp(-self.tau, self.tau)).add_(self.noisy)
