"""What is learned: a perturbation that is added to every picture, or a patch that is laid somewhere on each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Protocol, Self

import torch
from torch import Tensor

from backlight.attack.universal.placing import Places, draw_places, lay, outline
from backlight.core.errors import InputError
from backlight.core.random import Random, Seed
from backlight.images import round_to_8bit, to_floats
from backlight.pixels import Ball
from backlight.pixels.describe import Brief
from backlight.pixels.geometry import length

GREY = 0.5
_NOISE = 1e-4  # of a level: k / 255 * 255 differs from k by less


class Change(Protocol):
    """One change for many pictures, float `values` `[C,...]`; `show` takes a copy of its values for each picture.

    >>> change: Change = Perturbation(torch.zeros(3, 4, 4), "linf", 8 / 255)
    >>> change.kind
    'perturbation'
    """

    kind: ClassVar[str]

    @property
    def values(self) -> Tensor:
        """Return what was learned."""
        ...

    def show(self, images: Tensor, values: Tensor, random: Random) -> Tensor:
        """Change pictures `[A,C,H,W]`, each by its own copy of the values `[A,C,...]`, differentiably."""
        ...

    def allowed(self, values: Tensor) -> Tensor:
        """Return the nearest values `[1,C,...]` that are allowed."""
        ...

    def settled(self, values: Tensor) -> Self:
        """Return the change with other values `[C,...]`, rounded to what 8-bit files hold."""
        ...

    def control(self, seed: Seed) -> Self:
        """Return what has nothing learned and otherwise is the same: random noise, or a plain grey patch."""
        ...

    def applied(self, images: Tensor, ids: Tensor | list[str], seed: Seed = 0) -> Tensor:
        """Return pictures `[A,C,H,W]` in [0,1] as 8-bit files hold them changed; `ids` and `seed` key random places."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Perturbation(Brief):
    """Values `[C,H,W]` that are added to every picture, at most `eps` large in a norm (`linf` or `l2`).

    >>> change = Perturbation(torch.full((3, 4, 4), 2 / 255), "linf", 2 / 255)
    >>> (change.applied(torch.zeros(1, 3, 4, 4), ["cat.png"]) * 255).unique()
    tensor([2.])
    """

    kind: ClassVar[str] = "perturbation"

    values: Tensor
    norm: str
    eps: float

    def show(self, images: Tensor, values: Tensor, random: Random) -> Tensor:
        """Add and cut to [0,1]; gradients pass the cut."""
        # A cut of its own has none at 0 and 1 themselves, so that black pixels would never begin to move.
        return (images + values.detach()).clamp(0, 1) + (values - values.detach())

    def allowed(self, values: Tensor) -> Tensor:
        """Return the nearest values of at most that size."""
        zeros, rows = torch.zeros_like(values), torch.zeros(1, dtype=torch.int64, device=values.device)
        return Ball(self.norm, zeros, self.eps).project(values, rows, 0)

    def settled(self, values: Tensor) -> Perturbation:
        """Round to whole levels, towards zero, so that it stays inside of the ball."""
        levels = values.double() * 255
        whole = levels.round()
        whole = torch.where((levels - whole).abs() < _NOISE, whole, levels.trunc())
        return replace(self, values=to_floats(whole.float()))

    def control(self, seed: Seed) -> Perturbation:
        """Return noise of the full size: random signs in linf, normal numbers in l2."""
        random, shape = Random((seed, "control"), [0]), self.values.shape
        if self.norm == "linf":
            return self.settled(self.eps * random.sign(*shape)[0])
        noise = random.normal(*shape)
        return self.settled((noise * (self.eps / length(noise, self.norm)))[0])

    def applied(self, images: Tensor, ids: Tensor | list[str], seed: Seed = 0) -> Tensor:
        """Add it to every picture; ids and seed have no part in it. Raises InputError for pictures of another size."""
        if images.shape[1:] != self.values.shape:
            found = f"pictures {list(images.shape[1:])} for a perturbation {list(self.values.shape)}"
            raise InputError(found, expected="pictures of its size")
        values = self.values.to(images)
        return round_to_8bit((images + values).clamp(0, 1), images)


@dataclass(frozen=True, eq=False, repr=False)
class Patch(Brief):
    """Pixels `[C,S,S]` in [0,1] that are laid on each picture: at a place, in a size and in a turn of its own.

    `size` is the range of its side as a share of a picture's shorter side, `degrees` how far it is turned at most
    either way. The corners around a `circle` are white, as paper is.

    >>> patch = Patch(torch.zeros(3, 4, 4), "square", (0.5, 0.5), 0.0)
    >>> patch.applied(torch.ones(1, 3, 8, 8), ["cat.png"]).sum()
    tensor(144.)
    """

    kind: ClassVar[str] = "patch"

    values: Tensor
    shape: str
    size: tuple[float, float]
    degrees: float

    def show(self, images: Tensor, values: Tensor, random: Random) -> Tensor:
        """Lay it at places that `random` draws."""
        places = draw_places(random, (images.shape[2], images.shape[3]), self.size, self.degrees, self.shape)
        return lay(values, images, places, self.shape)

    def allowed(self, values: Tensor) -> Tensor:
        """Cut to [0,1], with white corners."""
        mask = outline(values.shape[-1], self.shape).to(values.device)
        return torch.where(mask, values.clamp(0, 1), 1.0)

    def settled(self, values: Tensor) -> Patch:
        """Round to the nearest levels."""
        return replace(self, values=round_to_8bit(self.allowed(values.float()[None])[0]))

    def control(self, seed: Seed) -> Patch:
        """Return a grey one: it hides as much."""
        return self.settled(torch.full_like(self.values, GREY))

    def applied(self, images: Tensor, ids: Tensor | list[str], seed: Seed = 0) -> Tensor:
        """Lay it on each picture at places keyed by (seed, id); all around it is untouched."""
        copies = self.values.to(images).expand(len(images), -1, -1, -1)
        laid = lay(copies, images, self.places((images.shape[2], images.shape[3]), ids, seed), self.shape)
        return torch.where(laid == images, images, round_to_8bit(laid))

    def places(self, frame: tuple[int, int], ids: Tensor | list[str], seed: Seed = 0) -> Places:
        """Return where it is laid on pictures of a size (height, width)."""
        return draw_places(Random((seed, "laid"), ids), frame, self.size, self.degrees, self.shape)
