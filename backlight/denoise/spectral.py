"""The exact minimum for squares, by the discrete cosine transform: the oracle of the other solvers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def solve_squares(images: Tensor, alpha: Tensor) -> Tensor:
    """Minimize sum (I - J)**2 + alpha (dJ/dx**2 + dJ/dy**2) exactly for pictures `[A,C,H,W]`, alpha `[A]`.

    The cosine transform diagonalizes second differences with free edges: their eigenvalues are 2 - 2 cos(pi k / n).

    >>> flat = torch.full((1, 1, 4, 4), 0.5)
    >>> bool((solve_squares(flat, torch.ones(1)) - flat).abs().max() < 1e-6)
    True
    """
    from scipy import fft

    height, width = images.shape[2:]
    down, across = (2 - 2 * np.cos(np.pi * np.arange(length) / length) for length in (height, width))
    spectrum = fft.dctn(images.detach().cpu().double().numpy(), axes=(2, 3), norm="ortho")
    weights = alpha.detach().cpu().double().numpy().reshape(-1, 1, 1, 1)
    smooth = fft.idctn(spectrum / (1 + weights * (down[:, None] + across[None])), axes=(2, 3), norm="ortho")
    return torch.from_numpy(np.ascontiguousarray(smooth)).to(images)
