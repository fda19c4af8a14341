"""Corruptions as augmentation: what training may do to its pictures, by name and options, batched and keyed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from backlight.core.errors import UsageError, did_you_mean
from backlight.core.grammar import parse_number, parse_spec
from backlight.core.random import Random
from backlight.corrupt.augmix import augmix
from backlight.corrupt.corrupting import corrupt
from backlight.corrupt.registry import CORRUPTIONS, corruption_of
from backlight.corrupt.severities import check_severity

Augmenter = Callable[[Tensor, Random], Tensor]
"""From pictures `[A,C,H,W]` in [0,1] and keyed random numbers to pictures."""


def read_augmenter(spec: str) -> Augmenter:
    """Read `augmix:severity=3`, `corruptions:kinds=noise+fog,severity=3,share=0.5` or `gaussian:sigma=0.25`.

    Raises UsageError for other names, options and values.

    >>> read_augmenter("gaussian:sigma=0.25")(torch.zeros(1, 3, 8, 8), Random(0, [1])).shape
    torch.Size([1, 3, 8, 8])
    """
    parsed = parse_spec(spec)
    if parsed.name not in AUGMENTERS:
        raise UsageError(f"no augmentation {parsed.name!r}", hint=did_you_mean(parsed.name, AUGMENTERS))
    make, known = AUGMENTERS[parsed.name]
    for name in parsed.options:
        if name not in known:
            raise UsageError(f"{parsed.name} has no option {name!r}", hint=did_you_mean(name, known))
    return make(dict(parsed.options))


def _augmix(options: Mapping[str, str]) -> Augmenter:
    severity = parse_number(options.get("severity", "3"))
    if not 0.1 <= severity <= 10:
        raise UsageError(f"augmix:severity={severity:g}", expected="0.1 to 10")
    return lambda images, random: augmix(images, random, severity=severity)


def _gaussian(options: Mapping[str, str]) -> Augmenter:
    sigma = parse_number(options.get("sigma", "0.25"))
    if not sigma > 0:
        raise UsageError(f"gaussian:sigma={sigma:g}", expected="a standard deviation above 0, in pixel units")
    # Not cut to [0,1]: certificates by smoothing need the noise as it is.
    return lambda images, random: images + sigma * random.normal(*images.shape[1:]).to(images)


def _corruptions(options: Mapping[str, str]) -> Augmenter:
    named = options.get("kinds", "noise+blur+digital").split("+")
    kinds = tuple(dict.fromkeys(kind for name in named for kind in _kinds(name)))
    severity, share = int(parse_number(options.get("severity", "3"))), parse_number(options.get("share", "0.5"))
    check_severity(severity)
    if not 0 < share <= 1:
        raise UsageError(f"corruptions:share={share:g}", expected="above 0, at most 1")
    return lambda images, random: corrupt_some(images, random, kinds, severity, share)


def _kinds(name: str) -> list[str]:
    group = [card.name for card in CORRUPTIONS.values() if card.group == name]
    return group or [corruption_of(name).name]


AUGMENTERS: Mapping[str, tuple[Callable[[Mapping[str, str]], Augmenter], tuple[str, ...]]] = {
    "augmix": (_augmix, ("severity",)),
    "corruptions": (_corruptions, ("kinds", "severity", "share")),
    "gaussian": (_gaussian, ("sigma",)),
}
"""By name: what makes an augmenter of options, and the names of the options."""


def corrupt_some(images: Tensor, random: Random, kinds: tuple[str, ...], severity: int, share: float) -> Tensor:
    """Corrupt a share of pictures, each by a kind of its own at a severity of its own up to `severity`.

    >>> corrupt_some(torch.rand(4, 3, 8, 8), Random(0, [1, 2, 3, 4]), ("fog", "jpeg"), 3, 0.5).shape
    torch.Size([4, 3, 8, 8])
    """
    chosen = random.integer(len(kinds), stream="kind")
    strength = random.integer(severity, stream="severity") + 1
    wanted = random.uniform(stream="corrupted") < share
    changed = images.clone()
    for number, kind in enumerate(kinds):
        for level in range(1, severity + 1):
            rows = (wanted & (chosen == number) & (strength == level)).nonzero()[:, 0]
            if len(rows):
                changed[rows] = corrupt(images[rows], kind, level, random=random.take(rows))
    return changed


class RandomCorruption(nn.Module):
    """Corrupt pictures as a transform of other libraries' pipelines: float `[C,H,W]` or `[B,C,H,W]` in [0,1].

    The kind is drawn among `kinds` and the severity up to `severity`, keyed by `seed` and by how many pictures came
    before, so that the same pipeline sees the same pictures.

    >>> RandomCorruption(("fog",), severity=2)(torch.rand(3, 8, 8)).shape
    torch.Size([3, 8, 8])
    """

    def __init__(self, kinds: tuple[str, ...], severity: int = 3, share: float = 1.0, seed: int = 0) -> None:
        super().__init__()
        self.kinds = tuple(corruption_of(kind).name for kind in kinds)
        self.severity, self.share, self.seed, self.seen = check_severity(severity), share, seed, 0

    def forward(self, images: Tensor) -> Tensor:
        """Corrupt one picture or a batch."""
        batch = images if images.ndim == 4 else images[None]
        random = Random((self.seed, "transform"), torch.arange(self.seen, self.seen + len(batch)))
        self.seen += len(batch)
        changed = corrupt_some(batch, random, self.kinds, self.severity, self.share)
        return changed if images.ndim == 4 else changed[0]
