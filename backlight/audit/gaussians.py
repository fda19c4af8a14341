"""Class means with one shared covariance, and one Gaussian for everything: distances from both in one product."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.audit.activations import ROWS, Activations
from backlight.audit.arrays import add_products
from backlight.core.errors import InputError

RIDGE = 1e-6


@dataclass(frozen=True, eq=False, repr=False)
class Gaussians:
    """Squared Mahalanobis distances of features to class means and to the mean of all.

    The covariance of all is the shared one plus that of the means, which have rank K at most. So in the space where
    the shared covariance is the identity, both distances come from one product with the whitened means, and their
    difference is free of the large term that they share.

    >>> features = torch.tensor([[0.0, 0.0], [2.0, 0.0], [10.0, 1.0], [10.0, -1.0]], dtype=torch.float64)
    >>> found = Gaussians.fit(Activations(torch.eye(4), features, torch.tensor([0, 0, 1, 1])))
    >>> nearest, overall = found.distances(torch.tensor([[1.0, 0.0]]))
    >>> round(float(nearest), 3)
    0.0
    """

    center: Tensor
    factor: Tensor  # lower Cholesky factor of the shared covariance
    means: Tensor  # [K,D], whitened
    weights: Tensor  # [K], shares of the classes
    inner: Tensor  # lower Cholesky factor of I + M^T M, M the weighted whitened means

    @classmethod
    def fit(cls, seen: Activations, *, unit: bool = False) -> Gaussians:
        """Fit both; `unit` brings features to length 1 first. Classes without a picture have no mean.

        The ridge on the shared covariance is 1e-6 of its mean variance, so that singular ones can be used too.

        Raises InputError for fewer than two pictures, and features that are all alike.
        """
        if len(seen) < 2:
            raise InputError(f"{len(seen)} pictures for a covariance", expected="two at least")
        _, groups, counts = seen.classes.unique(return_inverse=True, return_counts=True)
        center = _features(seen, slice(None, ROWS), unit).mean(0)  # about the middle: keeps the sums small
        sums = torch.zeros(len(counts), len(center), dtype=torch.float64)
        squares = torch.zeros(len(center), len(center), dtype=torch.float64)
        for start in range(0, len(seen), ROWS):
            rows = slice(start, start + ROWS)
            offset = _features(seen, rows, unit) - center
            sums.index_add_(0, groups[rows], offset)
            add_products(squares, offset)  # of what is symmetric the lower half is read
        means, shift = sums / counts[:, None], sums.sum(0) / len(seen)
        shared = (squares - means.T @ (means * counts[:, None])) / len(seen)
        ridge = RIDGE * float(shared.diagonal().mean())
        if not ridge > 0:
            raise InputError("features of each class are all alike", expected="features that differ")
        factor, flaw = torch.linalg.cholesky_ex(shared + ridge * torch.eye(len(center), dtype=torch.float64))
        if int(flaw):
            raise InputError("features of each class are all but alike", expected="features that differ")
        white = torch.linalg.solve_triangular(factor, (means - shift).T, upper=False).T
        weights = counts.double() / len(seen)
        spread = white * weights[:, None].sqrt()
        inner = torch.linalg.cholesky(torch.eye(len(counts), dtype=torch.float64) + spread @ spread.T)
        return cls(center + shift, factor, white, weights, inner)

    def distances(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the squared distances to the nearest class mean and to the mean of all, float64 `[N]` each."""
        white = torch.linalg.solve_triangular(self.factor, (features.double() - self.center).T, upper=False).T
        products = (white.float() @ self.means.T.float()).double()  # of numbers near 1, unlike features
        length = white.square().sum(1)
        nearest = (self.means.square().sum(1) - 2 * products).min(1).values + length
        along = torch.linalg.solve_triangular(self.inner, (products * self.weights.sqrt()).T, upper=False)
        return nearest, length - along.square().sum(0)


def _features(seen: Activations, rows: slice, unit: bool) -> Tensor:
    features = seen.rows_of_features(rows).double()
    return features / features.norm(dim=1, keepdim=True).clamp(min=1e-12) if unit else features
