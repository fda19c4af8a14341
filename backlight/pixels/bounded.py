"""What is moved where no norm of pixels bounds the change: numbers whose tanh, times a bound, makes a new picture."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.core.random import Random
from backlight.pixels.describe import Brief
from backlight.pixels.measure import Measure
from backlight.pixels.parametrizations import through_rounding
from backlight.pixels.view import View


@dataclass(frozen=True, repr=False, eq=False)
class Bounded(Brief):
    """Change pictures `[B,C,H,W]` by fields that stay within `bound`; subclasses say what a field does to a picture.

    Parameters start at normal numbers of deviation `spread`: at 0 the first picture is the original, exactly. `lattice`
    rounds pictures to 8 bits towards the originals, the gradient going straight through; outside of `mask` `[B,C,H,W]`
    pictures stay the originals.

    >>> class Brighter(Bounded):
    ...     def shape(self): return (1, 1, 1)
    ...     def change(self, originals, field): return originals + field
    >>> moved = Brighter(torch.full((1, 3, 2, 2), 0.5), bound=0.1)
    >>> moved.images(torch.full((1, 1, 1, 1), 50.0), torch.tensor([0])).unique()
    tensor([0.6000])
    """

    originals: Tensor
    bound: float
    lattice: bool = False
    mask: Tensor | None = None
    spread: float = 0.0

    @property
    def pixels(self) -> bool:
        """State that parameters are no pixels."""
        return False

    def __len__(self) -> int:
        return len(self.originals)

    def shape(self) -> tuple[int, ...]:
        """Return the shape of one picture's field, vectors first: (components, ...)."""
        raise NotImplementedError

    def change(self, originals: Tensor, field: Tensor) -> Tensor:
        """Return what fields `[A,...]`, none of whose values exceeds the bound, make of originals `[A,C,H,W]`."""
        raise NotImplementedError

    def field(self, params: Tensor) -> Tensor:
        """Return fields as shares of the bound, -1 to 1."""
        return torch.tanh(params)

    def start(self, rows: Tensor, random: Random) -> Tensor:
        """Return parameters at zero, or near it."""
        like = self.originals
        if not self.spread:
            return like.new_zeros(len(rows), *self.shape())
        return self.spread * random.to(like.device).normal(*self.shape(), dtype=like.dtype)

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Turn parameters into pictures `[A,C,H,W]`."""
        originals = self.originals[rows]
        pictures = self.change(originals, self.bound * self.field(params))
        if self.lattice:
            pictures = through_rounding(pictures, originals)
        return pictures if self.mask is None else torch.where(self.mask[rows], pictures, originals)


def roughness(moved: Bounded) -> Measure:
    """Measure how much neighbors of a field differ: the mean length of their difference, in shares of the bound.

    The smoothness term of StAdv (Xiao et al. 2018, arXiv:1801.02612, equation 4) and of ReColorAdv (Laidlaw and Feizi
    2019, arXiv:1906.00001), as a mean, so that one weight fits pictures and grids of any size.

    >>> from backlight.pixels.flow import Flow
    >>> -0.5 * roughness(Flow(torch.zeros(1, 3, 4, 4), 0.05))
    -0.5 * roughness()
    """

    def mean(view: View) -> Tensor:
        field = moved.field(view.params)
        steps = [
            torch.linalg.vector_norm(field.diff(dim=axis), dim=1).flatten(1)
            for axis in range(2, field.ndim)
            if field.shape[axis] > 1
        ]
        return torch.cat(steps, 1).mean(1) if steps else field.flatten(1).sum(1) * 0

    return Measure(mean, "roughness()", layers=())
