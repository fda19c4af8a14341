"""Pictures bent by a flow: every pixel takes the color of a place nearby (StAdv), and how far that place must be."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.pixels.bounded import Bounded
from backlight.pixels.geometry import per_image

_HALF_A_LEVEL = 0.5 / 255 + 1e-6  # rounding to 8 bits is no flow, nor is that of float32
_BISECTIONS = 6  # of a pixel


@dataclass(frozen=True, repr=False, eq=False)
class Flow(Bounded):
    """Bend pictures `[B,C,H,W]` by flows at half their resolution (Xiao et al. 2018, arXiv:1801.02612).

    `bound` limits the displacement of every pixel, across and down, in units in which the picture's width spans 2, as
    in torch's `grid_sample`: 0.05 are 5.6 pixels of 224.

    >>> from backlight.core.random import Random
    >>> moved, row = Flow(torch.rand(1, 3, 5, 8), bound=0.5), torch.tensor([0])
    >>> params = moved.start(row, Random(0, [0]))
    >>> params.shape, torch.equal(moved.images(params, row), moved.originals)
    (torch.Size([1, 2, 3, 4]), True)
    """

    def shape(self) -> tuple[int, ...]:
        """Return (2, H/2, W/2), rounded up: across and down."""
        height, width = self.originals.shape[2:]
        return 2, (height + 1) // 2, (width + 1) // 2

    def change(self, originals: Tensor, field: Tensor) -> Tensor:
        """Bend originals `[A,C,H,W]` by coarse flows `[A,2,h,w]`, linearly enlarged."""
        return bend(originals, F.interpolate(field, originals.shape[2:], mode="bilinear", align_corners=False))


def bend(images: Tensor, flow: Tensor) -> Tensor:
    """Let every pixel of images `[A,C,H,W]` take the color at its place plus flow `[A,2,H,W]`, across and down.

    Displacements are in units in which the width spans 2. Colors between pixels are bilinear, beyond the edge those of
    the edge. Differentiable in the flow; displacements by whole pixels, none above all, are exact.

    >>> shifted = bend(torch.arange(4.0).view(1, 1, 1, 4), torch.tensor([0.5, 0]).view(1, 2, 1, 1).expand(1, 2, 1, 4))
    >>> shifted.flatten()
    tensor([1., 2., 3., 3.])
    """
    height, width = images.shape[2:]
    # Not by grid_sample: its own coordinates round, so that no flow would still change last bits.
    moved = flow * (width / 2)
    whole = moved.detach().floor()
    share = moved - whole
    column = torch.arange(width, device=images.device) + whole[:, 0].long()
    row = torch.arange(height, device=images.device)[:, None] + whole[:, 1].long()
    flat = images.flatten(2)

    def at(down: int, across: int) -> Tensor:
        place = (row + down).clamp(0, height - 1) * width + (column + across).clamp(0, width - 1)
        return flat.gather(2, place.flatten(1)[:, None].expand(-1, flat.shape[1], -1)).view_as(images)

    across, down = share[:, :1], share[:, 1:]
    above = at(0, 0) + across * (at(0, 1) - at(0, 0))
    below = at(1, 0) + across * (at(1, 1) - at(1, 0))
    return above + down * (below - above)


def least_flow(images: Tensor, originals: Tensor) -> Tensor:
    """Bound from below how far a flow must reach to make originals `[A,C,H,W]` into images: float64 `[A]`.

    The smallest displacement, across and down, within which every single value finds its like, to half an 8-bit level:
    no flow that made the picture is smaller. In the units of `Flow`, to 1/64 of a pixel below; infinite where a value
    is found nowhere.

    >>> ramp = torch.linspace(0, 1, 16).expand(1, 1, 16, 16)
    >>> least_flow(bend(ramp, torch.full((1, 2, 16, 16), 0.25)), ramp)
    tensor([0.2...], dtype=torch.float64)
    """
    images, originals = images.double(), originals.double()
    found = torch.full((len(images),), torch.inf, dtype=torch.float64, device=images.device)
    left = _within(images, originals.amin((2, 3), keepdim=True), originals.amax((2, 3), keepdim=True)).nonzero()[:, 0]
    low, high, width = originals[left], originals[left], images.shape[3]
    here = _within(images[left], low, high)
    found[left[here]] = 0.0
    left, low, high = left[~here], low[~here], high[~here]
    for whole in range(max(images.shape[2:])):
        if not len(left):
            break
        wider = -F.max_pool2d(-low, 3, 1, 1), F.max_pool2d(high, 3, 1, 1)
        here = _within(images[left], *wider)
        rows = left[here]
        beyond = _beyond(images[rows], originals[rows], low[here], high[here], whole)
        found[rows] = (whole + beyond) * (2 / width)
        left, low, high = left[~here], wider[0][~here], wider[1][~here]
    return found


def _within(images: Tensor, low: Tensor, high: Tensor) -> Tensor:
    inside = (images >= low - _HALF_A_LEVEL) & (images <= high + _HALF_A_LEVEL)
    return inside.flatten(1).all(1)


def _beyond(images: Tensor, originals: Tensor, low: Tensor, high: Tensor, whole: int) -> Tensor:
    """Bisect what is needed beyond `whole` pixels, within which values range from `low` to `high`: `[A]` below 1."""
    least, most = torch.zeros_like(images[:, 0, 0, 0]), torch.ones_like(images[:, 0, 0, 0])
    for _ in range(_BISECTIONS):
        middle = (least + most) / 2
        share = per_image(middle, images)
        top = torch.maximum(high, _around(originals, share, whole))
        bottom = torch.minimum(low, -_around(-originals, share, whole))
        enough = _within(images, bottom, top)
        least, most = torch.where(enough, least, middle), torch.where(enough, middle, most)
    return least


def _around(values: Tensor, share: Tensor, whole: int) -> Tensor:
    """Return the largest value on the edge of the square that reaches `whole + share` pixels to all sides.

    Between pixels values are linear along every line, so that the largest lies on a line of pixels or in a corner.
    """
    found = None
    for axis, kernel, pad in ((2, (1, 2 * whole + 1), (0, whole)), (3, (2 * whole + 1, 1), (whole, 0))):
        for side in (-1, 1):
            edge = _shifted(values, share, whole, axis, side)
            corners = [_shifted(edge, share, whole, 5 - axis, other) for other in (-1, 1)] if axis == 2 else []
            for one in (F.max_pool2d(edge, kernel, 1, pad), *corners):
                found = one if found is None else torch.maximum(found, one)
    assert found is not None
    return found


def _shifted(values: Tensor, share: Tensor, whole: int, axis: int, side: int) -> Tensor:
    count = values.shape[axis]
    place = torch.arange(count, device=values.device)
    near, far = (values.index_select(axis, (place + side * step).clamp(0, count - 1)) for step in (whole, whole + 1))
    return near + share * (far - near)
