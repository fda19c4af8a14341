"""Random changes of training pictures, drawn for a whole batch at once and keyed by (seed, epoch, id).

The same picture is changed in the same way in any batch, order or process and after a restart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backlight.core.errors import UsageError, did_you_mean
from backlight.core.grammar import parse_number, parse_spec
from backlight.core.random import Random
from backlight.corrupt.augmenting import read_augmenter
from backlight.train import transforms

FLIPS = ("none", "random", "alternating")
Range = tuple[float, float]
_SAME: Range = (1.0, 1.0)


@dataclass(frozen=True)
class Augmentation:
    """Describe how training pictures are changed; the default changes nothing.

    `flip`: `none`, `random`, or `alternating` (random in epoch 0, then the other way round every epoch, as airbench
    does). `crop`: pixels of reflected padding before a random cut. `degrees`: rotation up to so many, either way.
    `scale`: range of factors. `translate`: share of height and width, either way. `brightness`, `contrast`,
    `saturation`: ranges of factors, each drawn separately, in this order. `hue`: up to this share of the circle.
    `cutout`: side in pixels. `mixup`, `cutmix`: alpha of the Beta distribution; with both, each picture gets one of
    the two. `corruption`: what `corrupt.augmenting.read_augmenter` reads, as `augmix:severity=3`, applied after colors.
    `torchvision`: names of `torchvision.transforms.v2` with options (`RandAugment:num_ops=2`), applied
    first, one picture at a time: much slower.

    Raises UsageError for values that make no sense.

    >>> Augmentation(flip="random", degrees=5, scale=(0.8, 1.2)).mixes
    False
    """

    flip: str = "none"
    crop: int = 0
    degrees: float = 0.0
    scale: Range = _SAME
    translate: float = 0.0
    brightness: Range = _SAME
    contrast: Range = _SAME
    saturation: Range = _SAME
    hue: float = 0.0
    cutout: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0
    corruption: str = ""
    torchvision: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.flip not in FLIPS:
            raise UsageError(f"flip={self.flip}", hint=did_you_mean(self.flip, FLIPS))
        for name in ("scale", "brightness", "contrast", "saturation"):
            low, high = getattr(self, name)
            if not 0 <= low <= high or (name == "scale" and low == 0):
                raise UsageError(f"{name}={low},{high}", expected="a range of factors, lowest first")
        for name in ("crop", "degrees", "cutout", "mixup", "cutmix", "translate", "hue"):
            highest = {"translate": 1.0, "hue": 0.5}.get(name, np.inf)
            if not 0 <= getattr(self, name) <= highest:
                raise UsageError(f"{name}={getattr(self, name)}", expected=f"0 to {highest:g}")
        for spec in self.torchvision:
            _torchvision_transform(spec)
        if self.corruption:
            read_augmenter(self.corruption)

    @property
    def mixes(self) -> bool:
        """Whether pictures are mixed with others, so that their labels become shares."""
        return self.mixup > 0 or self.cutmix > 0

    def apply(self, images: Tensor, ids: Tensor, *, seed: int, epoch: int) -> Tensor:
        """Change pictures `[B,C,H,W]` in `[0,1]` with keys `ids` int64 `[B]`.

        >>> pictures, ids = torch.rand(4, 3, 8, 8), torch.arange(4)
        >>> whole = Augmentation(flip="random", crop=2).apply(pictures, ids, seed=0, epoch=1)
        >>> torch.equal(whole[2:], Augmentation(flip="random", crop=2).apply(pictures[2:], ids[2:], seed=0, epoch=1))
        True
        """
        random = _Draws(Random((seed, "augment"), ids, epoch), images.device)
        for number, spec in enumerate(self.torchvision):
            images = _one_by_one(images, random, spec, number)
        if self.flip != "none":
            images = transforms.flip(images, self._flipped(random, epoch).to(images.device))
        if self.crop:
            images = transforms.shift_crop(images, random.integer("crop", 2 * self.crop + 1, 2), self.crop)
        if self.degrees or self.translate or self.scale != _SAME:
            images = transforms.affine(images, *self._affine(random, images))
        for name in ("brightness", "contrast", "saturation"):
            low, high = getattr(self, name)
            if (low, high) != _SAME:
                images = getattr(transforms, name)(images, random.between(name, low, high))
        if self.hue:
            images = transforms.hue(images, random.between("hue", -self.hue, self.hue))
        if self.corruption:
            images = read_augmenter(self.corruption)(images.cpu(), random.random.fork("corruption")).to(images)
        if self.cutout:
            sides = torch.tensor(images.shape[2:], device=images.device)
            center = (random.between("cutout", 0, 1, 2) * sides).long()
            images = transforms.cutout(images, center, self.cutout)
        return images

    def mix(self, images: Tensor, others: Tensor, ids: Tensor, *, seed: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Mix pictures with others; returns the pictures and the share `[B]` of each that is still its own.

        >>> pictures = torch.rand(4, 3, 8, 8)
        >>> mixed, own = Augmentation(mixup=0.2).mix(pictures, pictures.flip(0), torch.arange(4), seed=0, epoch=0)
        >>> own.shape
        torch.Size([4])
        """
        random = _Draws(Random((seed, "mix"), ids, epoch), images.device)
        blended, own = images, torch.ones(len(images), device=images.device)
        if self.mixup:
            own = random.beta("mixup", self.mixup)
            blended = transforms.mix(images, others, own)
        if not self.cutmix:
            return blended, own
        sides = torch.tensor(images.shape[2:], device=images.device)
        half = (1 - random.beta("cutmix", self.cutmix)).sqrt()[:, None] * sides / 2
        center = random.between("center", 0, 1, 2) * sides
        pasted, left = transforms.paste(images, others, (center - half).round(), (center + half).round())
        chosen = random.between("which", 0, 1) < (0.5 if self.mixup else 1.0)
        return torch.where(chosen.view(-1, 1, 1, 1), pasted, blended), torch.where(chosen, left, own)

    def _flipped(self, draws: _Draws, epoch: int) -> Tensor:
        random = draws.random
        if self.flip == "alternating":
            return (Random(random.seed, random.ids).integer(2, stream="flip") + epoch) % 2 == 1
        return random.integer(2, stream="flip") == 1

    def _affine(self, random: _Draws, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        height, width = images.shape[2:]
        shift = torch.zeros(len(images), 2, device=images.device)
        if self.translate:
            reach = torch.tensor([width, height], device=images.device) * self.translate
            shift = (random.between("translate", -1, 1, 2) * reach).round()
        degrees = random.between("degrees", -self.degrees, self.degrees)
        return degrees, shift, random.between("scale", *self.scale)


class _Draws:
    """Draw parameters for a batch on the CPU, where the numbers are made, and hand them to its device."""

    def __init__(self, random: Random, device: torch.device) -> None:
        self.random, self.device = random, device

    def between(self, stream: str, low: float, high: float, *shape: int) -> Tensor:
        return (low + (high - low) * self.random.uniform(*shape, stream=stream)).to(self.device)

    def integer(self, stream: str, high: int, *shape: int) -> Tensor:
        return self.random.integer(high, *shape, stream=stream).to(self.device)

    def beta(self, stream: str, alpha: float) -> Tensor:
        from scipy.special import betaincinv

        uniform = self.random.uniform(stream=stream, dtype=torch.float64).numpy()
        return torch.from_numpy(np.asarray(betaincinv(alpha, alpha, uniform))).float().to(self.device)


def _one_by_one(images: Tensor, draws: _Draws, spec: str, number: int) -> Tensor:
    """Apply a torchvision transform, which draws from the global generator: seeded here and put back."""
    change = _torchvision_transform(spec)
    seeds = draws.random.integer(2**53, stream=("torchvision", number)).tolist()
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(images, seeds):
            torch.default_generator.manual_seed(seed)
            changed.append(change(image))
    return torch.stack(changed)


def _torchvision_transform(spec: str) -> Callable[[Tensor], Tensor]:
    from torchvision.transforms import v2

    parsed = parse_spec(spec)
    known = {name: kind for name, kind in vars(v2).items() if isinstance(kind, type) and issubclass(kind, v2.Transform)}
    if parsed.name not in known:
        raise UsageError(f"torchvision has no transform {parsed.name!r}", hint=did_you_mean(parsed.name, known))
    options = {}
    for key, value in parsed.options.items():
        number = parse_number(value)
        options[key] = int(number) if number == int(number) else number
    try:
        return known[parsed.name](**options)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec}: {error}", expected="the options of the torchvision transform") from None
