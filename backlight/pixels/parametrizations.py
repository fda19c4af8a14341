"""What is moved, and how it becomes a picture: pixels themselves, or pixels on the 8-bit lattice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from backlight.core.errors import InputError
from backlight.core.random import Random
from backlight.pixels.describe import Brief
from backlight.pixels.starts import Start

LEVELS = 255


class Parametrization(Protocol):
    """Map parameters to pictures; what `rows` of the batch need is looked up inside.

    >>> moved: Parametrization = Pixels(torch.zeros(2, 3, 4, 4))
    >>> moved.images(moved.start(torch.tensor([1]), Random(0, [1])), torch.tensor([1])).shape
    torch.Size([1, 3, 4, 4])
    """

    @property
    def pixels(self) -> bool:
        """Whether parameters live in pixel space, so that boxes, balls and pixel rules are allowed."""
        ...

    def __len__(self) -> int:
        """Count the images of the batch."""
        ...

    def start(self, rows: Tensor, random: Random) -> Tensor:
        """Return the first parameters `[A,...]` of some rows of the batch."""
        ...

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Turn parameters into pictures `[A,C,H,W]`, differentiably, each from its own parameters only."""
        ...


@dataclass(frozen=True, repr=False, eq=False)
class Pixels(Brief):
    """Move the pixels of images `[B,C,H,W]` themselves, from the originals or from `start(...)` near them.

    Raises InputError unless the images are finite floats of four dimensions.

    >>> Pixels(torch.zeros(2, 3, 4, 4))
    Pixels(tensor[2, 3, 4, 4], None)
    """

    originals: Tensor
    begin: Start | None = None

    def __post_init__(self) -> None:
        images = self.originals
        if images.ndim != 4 or not images.is_floating_point():
            raise InputError(f"images are {images.dtype} {list(images.shape)}", expected="floats [B,C,H,W] in [0,1]")
        if not bool(images.isfinite().all()):
            raise InputError("images hold NaN or infinity", expected="finite values in [0,1]")
        object.__setattr__(self, "originals", images.detach())

    @property
    def pixels(self) -> bool:
        """State that parameters are pixels."""
        return True

    def __len__(self) -> int:
        return len(self.originals)

    def start(self, rows: Tensor, random: Random) -> Tensor:
        """Return the originals, or what `begin` makes of them."""
        images = self.originals[rows]
        return images if self.begin is None else self.begin(images, rows, random.to(images.device))

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Return the parameters: they are the pictures."""
        return params


@dataclass(frozen=True, repr=False, eq=False)
class Lattice(Pixels):
    """Update pixels, but look only at 8-bit pictures: rounded towards the originals, gradient straight through.

    The parameters stay continuous, so steps below 1/255 add up; rounding them instead loses such steps. Where
    the originals are 8-bit, rounding towards them keeps pictures in every ball and box. Elsewhere a value with
    no level between it and its original takes the level nearest to the original, at most 0.5/255 away from it.

    Raises InputError for other types than float32 and float64, which cannot hold the levels exactly enough.

    >>> lattice = Lattice(torch.full((1, 1, 1, 2), 100 / 255))
    >>> params = torch.tensor([[[[98.2, 101.9]]]]) / 255
    >>> lattice.images(params, torch.tensor([0])) * 255
    tensor([[[[ 99., 101.]]]])
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.originals.dtype not in (torch.float32, torch.float64):
            raise InputError(f"images are {self.originals.dtype}", expected="float32 or float64 for 8-bit pictures")

    def images(self, params: Tensor, rows: Tensor) -> Tensor:
        """Round to levels of 1/255 towards the originals."""
        return through_rounding(params, self.originals[rows])


def through_rounding(images: Tensor, originals: Tensor) -> Tensor:
    """Round pictures `[A,C,H,W]` to 8 bits towards their originals, while their gradient goes straight through.

    >>> image = torch.tensor([98.2, 101.9]).div(255).requires_grad_()
    >>> rounded = through_rounding(image, torch.full((2,), 100 / 255))
    >>> rounded * 255, torch.autograd.grad(rounded.sum(), image)
    (tensor([ 99., 101.], grad_fn=<MulBackward0>), (tensor([1., 1.]),))
    """
    return round_towards(images.detach(), originals) / LEVELS + (images - images.detach())


def round_towards(images: Tensor, originals: Tensor) -> Tensor:
    """Round pictures in [0,1] to whole levels 0..255, each value towards its original.

    >>> round_towards(torch.tensor([10.7, 12.3]) / 255, torch.tensor([12.0, 12.0]) / 255)
    tensor([11., 12.])
    """
    # A value meant to lie on a level may miss it by rounding; it must not lose a whole level for that.
    slack = LEVELS * 2 * torch.finfo(images.dtype).eps
    level, home = images * LEVELS, (originals * LEVELS).round()
    above = torch.maximum((level + slack).floor(), home)
    below = torch.minimum((level - slack).ceil(), home)
    return torch.where(level >= originals * LEVELS, above, below).clamp(0, LEVELS)
