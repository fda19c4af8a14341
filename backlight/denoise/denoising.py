"""Denoise pictures in one call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from backlight.classifier.diagnosis import check_images
from backlight.core.display import Displayed
from backlight.core.errors import InputError, UsageError
from backlight.denoise.deep_prior import deep_prior
from backlight.denoise.gradient import descend
from backlight.denoise.loss import check_norms, loss
from backlight.denoise.noise import automatic_alpha
from backlight.denoise.primal_dual import solve
from backlight.denoise.spectral import solve_squares

STEPS = {"primal-dual": 500, "gradient": 500, "deep-prior": 400, "scikit-image": 200}
"""The steps of each solver where none are named."""

Watch = Callable[[int, int, Tensor], None] | None
"""What is shown the pictures on the way: the step, the most steps, and the pictures."""

_LR = {"l1": 0.9 / 255, "l2": 0.05}


@dataclass(frozen=True, eq=False)
class Denoised(Displayed):
    """Denoised pictures `[B,C,H,W]`, their losses and those of the noisy ones `[B]`, and how they came about.

    `stopped` says per picture why its solver ended: "converged", "exact", "steps" or "diverged".

    >>> denoise(torch.full((1, 1, 16, 16), 0.5), data_norm="l2", smooth_norm="l2", alpha=1.0)
    Denoised(1 pictures by cosine transform: exact)
    """

    images: Tensor
    loss: Tensor
    start: Tensor
    alpha: Tensor
    solver: str
    steps: Tensor
    stopped: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Denoised({len(self.images)} pictures by {self.solver}: {', '.join(self.stopped)})"


def denoise(
    images: Tensor,
    *,
    data_norm: str = "l1",
    smooth_norm: str = "l1",
    alpha: float | Literal["auto"] = "auto",
    solver: str = "auto",
    lr: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    watch: Watch = None,
) -> Denoised:
    """Minimize |I - J| + alpha (|dJ/dx| + |dJ/dy|) over J, from J = I, for pictures I `[B,C,H,W]` in [0, 1].

    Norms are "l1" (sums of absolute values) or "l2" (of squares). `solver`: "auto" takes a primal-dual method
    where there are absolute values and is exact for squares; "gradient" descends on pixels with rate `lr` (in
    [0, 1] units); "scikit-image" (for l2/l1) is its split Bregman method; "deep-prior" fits a random CNN for
    `steps` steps instead of smoothing. `alpha="auto"` follows the estimated noise; alpha 0 gives the picture back.
    `watch` is shown the step, the most steps and the pictures `[B,C,H,W]` as they are then, first the noisy ones; one
    picture after another is worked on by some solvers, and those that take no steps show only the end.

    Raises InputError for pictures and alphas that cannot be used, UsageError for unknown norms and solvers.

    >>> noisy = (torch.full((1, 1, 16, 16), 0.5) + 0.1 * torch.randn(1, 1, 16, 16)).clamp(0, 1)
    >>> result = denoise(noisy, alpha=1.0)
    >>> bool(result.loss < result.start), bool(result.images.std() < noisy.std())
    (True, True)
    """
    wanted = _Wanted(data_norm, smooth_norm, solver, lr, steps, seed, watch)
    noisy = check_images(images, images.shape[1] if images.ndim == 4 else 3).detach()
    with torch.inference_mode(False), torch.no_grad():
        noisy = noisy.clone()
        weights = _alphas(noisy, alpha, wanted)
        start = loss(noisy, noisy, weights, data_norm=data_norm, smooth_norm=smooth_norm)
        if watch is not None:
            watch(0, wanted.steps or STEPS.get(solver, 1), noisy)
        found = SOLVERS[solver](noisy, weights, wanted)
        # Clipping to the range of the noisy picture never raises the loss.
        pictures = found.images.clamp(0, 1)
        reached = loss(pictures, noisy, weights, data_norm=data_norm, smooth_norm=smooth_norm)
    return Denoised(pictures, reached, start, weights, found.name, found.steps, found.stopped)


@dataclass(frozen=True)
class _Wanted:
    """The options of one call, checked."""

    data_norm: str
    smooth_norm: str
    solver: str
    lr: float | None
    steps: int | None
    seed: int
    watch: Watch = None

    def __post_init__(self) -> None:
        norms = (self.data_norm, self.smooth_norm)
        check_norms(*norms)
        if self.solver not in SOLVERS:
            raise UsageError(f"solver={self.solver!r}", expected=" | ".join(SOLVERS))
        if self.solver == "scikit-image" and norms != ("l2", "l1"):
            raise UsageError(f"scikit-image for {'/'.join(norms)}", expected="data_norm=l2, smooth_norm=l1")
        if self.steps is not None and self.steps < 1:
            raise UsageError(f"{self.steps} steps", expected="1 or more")
        if self.lr is not None and (self.solver != "gradient" or not 0 < self.lr < float("inf")):
            raise UsageError(f"lr={self.lr} with solver={self.solver!r}", expected="above 0, with solver='gradient'")


class _Found(NamedTuple):
    """What a solver gives: its name, pictures, steps `[B]` and why each picture ended."""

    name: str
    images: Tensor
    steps: Tensor
    stopped: tuple[str, ...]


def _alphas(noisy: Tensor, alpha: float | str, wanted: _Wanted) -> Tensor:
    if alpha == "auto":
        return automatic_alpha(noisy, data_norm=wanted.data_norm, smooth_norm=wanted.smooth_norm)
    if isinstance(alpha, str) or not 0 <= alpha < float("inf"):
        raise InputError(f"alpha={alpha!r}", expected="0 or more, or 'auto'")
    return noisy.new_full((len(noisy),), float(alpha))


def _gradient(noisy: Tensor, alpha: Tensor, wanted: _Wanted) -> _Found:
    lr = _LR["l1" if "l1" in (wanted.data_norm, wanted.smooth_norm) else "l2"] if wanted.lr is None else wanted.lr
    steps = wanted.steps or STEPS["gradient"]
    result = descend(
        noisy, alpha, data_norm=wanted.data_norm, smooth_norm=wanted.smooth_norm, lr=lr, steps=steps, watch=wanted.watch
    )
    reasons = tuple("diverged" if one == "non-finite" else one for one in result.reasons())
    return _Found("gradient", result.images, result.steps, reasons)


def _auto(noisy: Tensor, alpha: Tensor, wanted: _Wanted) -> _Found:
    if wanted.data_norm == wanted.smooth_norm == "l2":
        once = torch.ones(len(noisy), dtype=torch.int64)
        return _shown_once("cosine transform", solve_squares(noisy, alpha), once, ("exact",) * len(noisy), wanted)
    steps = wanted.steps or STEPS["primal-dual"]
    solved = solve(
        noisy, alpha, data_norm=wanted.data_norm, smooth_norm=wanted.smooth_norm, steps=steps, watch=wanted.watch
    )
    reasons = tuple("converged" if one else "steps" for one in solved.converged.tolist())
    return _Found("primal-dual", solved.images, solved.steps, reasons)


def _deep_prior(noisy: Tensor, alpha: Tensor, wanted: _Wanted) -> _Found:
    steps = wanted.steps or STEPS["deep-prior"]
    found = deep_prior(noisy, data_norm=wanted.data_norm, steps=steps, seed=wanted.seed, watch=wanted.watch)
    return _Found("deep-prior", found, torch.full((len(noisy),), steps), ("steps",) * len(noisy))


def _bregman(noisy: Tensor, alpha: Tensor, wanted: _Wanted) -> _Found:
    """Minimize l2/l1 by scikit-image's split Bregman method, whose weight is 1 / alpha."""
    from skimage.restoration import denoise_tv_bregman

    steps, found = wanted.steps or STEPS["scikit-image"], noisy.clone()
    for row, weight in enumerate(alpha.tolist()):
        for channel, values in enumerate(noisy[row].cpu().double().numpy() if weight > 0 else ()):
            smooth = denoise_tv_bregman(values, weight=1 / weight, eps=1e-5, max_num_iter=steps, isotropic=False)
            found[row, channel] = torch.from_numpy(smooth).to(found)
    ends = torch.full((len(noisy),), steps)
    return _shown_once("scikit-image", found, ends, ("steps",) * len(noisy), wanted)


def _shown_once(name: str, images: Tensor, steps: Tensor, stopped: tuple[str, ...], wanted: _Wanted) -> _Found:
    if wanted.watch is not None:
        wanted.watch(1, 1, images)
    return _Found(name, images, steps, stopped)


SOLVERS = {"auto": _auto, "gradient": _gradient, "scikit-image": _bregman, "deep-prior": _deep_prior}
"""The solvers by name: (noisy, alpha, options) to what they found."""
