"""The threat model: what an attacker may change, and by how much.

One projection per norm decides what "inside" means: that of `pixels.ascent.ball`; of what is no norm one distance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from backlight.attack.measures import MEASURES, OwnMeasure
from backlight.classifier import Classifier
from backlight.core.errors import UsageError
from backlight.core.grammar import parse_epsilon
from backlight.pixels import Box, Constraint, Lattice, Mask, Pixels
from backlight.pixels.ascent import ball
from backlight.pixels.color_map import largest_recoloring
from backlight.pixels.describe import Brief
from backlight.pixels.flow import least_flow
from backlight.pixels.geometry import ORDERS, check_norm, length
from backlight.pixels.own_features import OwnFeatures
from backlight.pixels.starts import Start

# Rounding of x + d and of long sums, in float32; everything beyond it is outside.
_RELATIVE, _ABSOLUTE = 1e-5, 1e-6
_LEVELS, _ON_LEVEL = 255, 1e-3


@dataclass(frozen=True, repr=False, eq=False)
class ThreatModel(Brief):
    """Describe what counts as a small change: a norm, a size, 8-bit pictures or not, and which pixels.

    In the norm's place may stand a measure of another kind, which bounds no norm of pixels: `flow`, `color`, or
    `features` (see `backlight.attack.measures`); the last is one of a model, and `seen_by` says of which.
    `eps` is in pixel units, where an image spans 0 to 1: a number or text such as "8/255"; None leaves only
    the box [0,1], as minimum-norm attacks want it; in l0 it is a number of values, three to a color pixel.
    `lattice` asks for pictures that an 8-bit file can hold.
    `mask` is boolean, true where pixels may change, and broadcasts to the images `[B,C,H,W]`.

    Raises UsageError for an unknown norm, a negative eps, or one on the scale 0..255.

    >>> ThreatModel("linf", "8/255").describe()
    'linf 8/255 = 0.03137 in [0,1] pixels'
    """

    norm: str = "linf"
    eps: float | str | None = 8 / 255
    lattice: bool = False
    mask: Tensor | None = None
    features: OwnFeatures | None = None

    def __post_init__(self) -> None:
        check_norm(self.norm, (*ORDERS, *MEASURES))
        if self.eps is not None:
            object.__setattr__(self, "eps", parse_epsilon(self.eps, self.norm))
            if self.own is not None:
                self.own.check(self.size)

    @property
    def own(self) -> OwnMeasure | None:
        """Return what stands in the place of a norm, None where it is one."""
        return MEASURES.get(self.norm)

    def seen_by(self, classifier: Classifier) -> ThreatModel:
        """Return the same threat model for a classifier, whose features measure distances where these are asked for."""
        return replace(self, features=OwnFeatures.of(classifier)) if self.norm == "features" else self

    @property
    def size(self) -> float:
        """Return eps as a number, infinity where there is no bound."""
        return torch.inf if self.eps is None else float(self.eps)

    def describe(self) -> str:
        """Write the threat model as text, with a warning where no one would call the change small."""
        words = f"{self.norm}, no bound"
        if self.own is not None:
            words = f"{self.norm} {self.text(self.size)}" if self.eps is not None else words
            words += ", by the model's own features" if self.norm == "features" else ""
            words += f" of {', '.join(self.features.layers)}" if self.features is not None else ""
        elif self.norm == "l0" and self.eps is not None:
            words = f"l0, at most {self.text(self.size)} values"
        elif self.eps is not None:
            text = self.text(self.size)
            fraction = f" {text} =" if "/" in text else ""
            words = f"{self.norm}{fraction} {self.size:.4g} in [0,1] pixels"
        if self.norm == "linf" and 0.5 < self.size < torch.inf:
            words += " (more than half of the range: any image can become grey)"
        parts = [
            words,
            "on the 8-bit lattice" if self.lattice else "",
            "inside a mask" if self.mask is not None else "",
        ]
        return ", ".join(part for part in parts if part)

    def text(self, size: float) -> str:
        """Write the size of a change: in linf as whole or half 8-bit levels where it is that many.

        >>> [ThreatModel().text(size) for size in (0.5 / 255, 8 / 255, 0.1, -0.0)]
        ['0.5/255', '8/255', '0.1', '0']
        """
        if self.norm == "l0" and size < torch.inf:
            return f"{size:.6g}"
        levels = 2 * size * _LEVELS
        short = f"{size + 0.0:.4g}"
        # A decimal number that somebody chose is written as it was chosen: 0.1 is 25.5/255, too.
        if (
            self.norm != "linf"
            or not size < torch.inf
            or float(short) == size
            or abs(levels - round(levels)) > _ON_LEVEL
        ):
            return short
        return f"{round(levels) / 2:g}/255"

    def measured(self, size: float) -> str:
        """Write a size that was measured: of a flow it is the least that it can have been.

        >>> ThreatModel("flow", 0.05).measured(0.02), ThreatModel().measured(1 / 255)
        ('at least 0.02', '1/255')
        """
        return f"at least {self.text(size)}" if self.own is not None and self.own.from_below else self.text(size)

    def lost_to_rounding(self, values: int) -> str:
        """Return in words why 8 bits may hold no change of this size over so many values; empty where they do.

        An even change in l2 or l1 of less than one level per value is rounded back to the original.

        >>> ThreatModel("l2", 0.5).lost_to_rounding(3 * 224 * 224)
        'l2 0.5 over 150,528 values is 0.33 of an 8-bit level for each, which rounding to a file takes away; ...'
        >>> ThreatModel("linf").lost_to_rounding(3 * 224 * 224), ThreatModel("l2", 0.5).lost_to_rounding(3 * 32 * 32)
        ('', '')
        """
        if self.norm == "l0" or self.own is not None:
            return ""
        even = {"linf": 1.0, "l2": values**0.5, "l1": float(values)}[self.norm]
        levels = self.size * _LEVELS / even
        if levels >= 1:
            return ""
        whole = even / _LEVELS
        return (
            f"{self.norm} {self.text(self.size)} over {values:,} values is {levels:.2g} of an 8-bit level for each, "
            f"which rounding to a file takes away; one level for each takes --eps {whole:.3g}"
        )

    def constraint(self, images: Tensor) -> Constraint:
        """Return the allowed pixels around images `[B,C,H,W]`; only the box for what is bounded by no norm."""
        if self.eps is None or self.own is not None:
            return self.limits(images)
        inside = ball(self.norm, images, self.size)
        return inside if self.mask is None else inside & Mask(self.mask, images)

    def limits(self, images: Tensor) -> Constraint:
        """Return the box and the mask without the ball, for attacks that look for the nearest answer."""
        return Box() if self.mask is None else Box() & Mask(self.mask, images)

    def pixels(self, images: Tensor, begin: Start | None = None) -> Pixels:
        """Return what is moved: pixels, or pixels on the 8-bit lattice."""
        return Lattice(images, begin) if self.lattice else Pixels(images, begin)

    def distance(self, images: Tensor, originals: Tensor) -> Tensor:
        """Measure perturbations `[A,C,H,W]` in the norm, summed in double precision: float64 `[A]`.

        In l0, of pictures that an 8-bit file holds, what rounding alone does to an original is no change. As a flow it
        is the least that explains every value; infinite where no flow, or no map of colors, makes the images.

        Raises UsageError for features of no model.

        >>> ThreatModel("l2").distance(torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2))
        tensor([1.], dtype=torch.float64)
        """
        if self.norm == "flow":
            return least_flow(images, originals)
        if self.norm == "color":
            return largest_recoloring(images, originals)
        if self.norm == "features":
            if self.features is None:
                raise UsageError("a distance by features of no model", expected="ThreatModel.seen_by(classifier)")
            return self.features.distance(images, originals)
        return length(images.double() - self.centers(originals).double(), self.norm)

    def centers(self, originals: Tensor) -> Tensor:
        """Return where distances are measured from: the originals `[A,C,H,W]`, in l0 as an 8-bit file holds them."""
        counted = self.norm == "l0" and self.lattice
        return (originals * _LEVELS).round() / _LEVELS if counted else originals

    def changed_pixels(self, images: Tensor, originals: Tensor) -> Tensor:
        """Count the pixels of `[A,C,H,W]` of which any channel changed, where l0 counts every channel: int64 `[A]`.

        >>> images = torch.eye(2).expand(1, 3, 2, 2)
        >>> few = ThreatModel("l0", 9)
        >>> few.changed_pixels(images, 0 * images), few.distance(images, 0 * images)
        (tensor([2]), tensor([6.], dtype=torch.float64))
        """
        return (images != self.centers(originals)).any(1).flatten(1).sum(1)

    def inside(
        self, images: Tensor, originals: Tensor, mask: Tensor | None = None, *, distance: Tensor | None = None
    ) -> Tensor:
        """Describe which images `[A,C,H,W]` are finite, in the box, in the ball, on the lattice, in the mask: `[A]`.

        `mask` is this threat model's mask for these A images, `distance` theirs where it is known already. The ball
        has a slack of 1e-5 of its size plus 1e-6 for float32 rounding; the box, and a count of values, have none.
        """
        flat = images.flatten(1)
        good = flat.isfinite().all(1) & ((flat >= 0) & (flat <= 1)).all(1)
        distance = self.distance(images, originals) if distance is None else distance
        slack = 0.0 if self.norm == "l0" else self.size * _RELATIVE + _ABSOLUTE
        good = good & (distance <= self.size + slack)
        if self.lattice:
            levels = flat * _LEVELS
            good = good & ((levels - levels.round()).abs() < _ON_LEVEL).all(1)
        if mask is not None:
            good = good & ((images == originals) | mask).flatten(1).all(1)
        return good

    def mask_of(self, images: Tensor) -> Tensor | None:
        """Expand the mask to images `[B,C,H,W]`; raises InputError where it does not fit."""
        if self.mask is None:
            return None
        return Mask(self.mask, images).mask
