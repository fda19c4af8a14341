"""Adversarial training (Madry et al. 2018): a short attack on every batch before the step that learns from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.core.errors import UsageError
from backlight.core.grammar import parse_epsilon, parse_spec
from backlight.core.options import options_of, read_options
from backlight.core.random import Random
from backlight.pixels import Pixels, cross_entropy, optimize
from backlight.pixels.ascent import DEFAULT_EPS, Ascent
from backlight.pixels.geometry import check_norm

_TARGETS = ("none", "random", "least-likely")


@dataclass(frozen=True)
class Adversary:
    """Attack training pictures by `ascent`, PGD in a ball, from a random start or from the picture itself.

    `target`: `none` leaves the label, `random` and `least-likely` go to that class. `share` of the pictures are
    attacked, drawn anew at each step; `blend` is the weight of the attacked picture in its average with the clean one.

    Read from text by `Adversary.read`; call it with a batch.

    >>> Adversary.read("pgd:eps=8/255,steps=3").ascent.step_size * 255
    6.666666666666667
    """

    ascent: Ascent
    target: str = "none"
    share: float = 1.0
    blend: float = 1.0
    random_start: bool = True

    @staticmethod
    def read(text: str) -> Adversary:
        """Read `pgd:eps=8/255,steps=3,target=none,share=1.0,blend=1.0` or `fgsm:eps=8/255`.

        PGD starts at random in the ball and steps by 2.5 eps / steps, at most eps; FGSM is one step of eps from
        the picture itself. Raises UsageError for other names, options and values.
        """
        spec = parse_spec(text)
        if spec.name not in _MAKERS:
            raise UsageError(f"adversary {spec.name!r}", expected="pgd or fgsm", hint="pgd:eps=8/255,steps=3")
        make = _MAKERS[spec.name]
        return make(**read_options(spec.name, spec.options, {}, options_of(make)))

    def attack(self, classifier: Classifier, images: Tensor, labels: Tensor, random: Random) -> Tensor:
        """Return pictures `[B,C,H,W]` to train on in place of `images`; `random` holds the pictures' keys.

        The model is attacked in evaluation mode and left as it was: its normalization statistics too.

        >>> from torch import nn
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
        >>> images, labels = torch.rand(4, 3, 2, 2), torch.tensor([0, 1, 0, 1])
        >>> adversary = Adversary.read("pgd:eps=0.1,steps=2")
        >>> found = adversary.attack(Classifier.from_module(net, size=2), images, labels, Random(0, labels))
        >>> bool((found - images).abs().max() <= 0.1 + 1e-6)
        True
        """
        chosen = (random.uniform(stream="share") < self.share).nonzero()[:, 0]
        if not len(chosen):
            return images
        clean, picks = images[chosen], random.take(chosen)
        objective = cross_entropy(labels[chosen])
        if self.target != "none":
            with torch.no_grad(), classifier.guard():
                logits = classifier.record(clean, ("logits",))["logits"]
            targets = resolve_targets(classifier, logits, self.target, random=picks, avoid=labels[chosen])
            objective = -cross_entropy(targets)
        found = optimize(
            classifier,
            objective,
            Pixels(clean, self.ascent.start if self.random_start else None),
            self.ascent.rule,
            steps=self.ascent.steps,
            constraint=self.ascent.inside(clean),
            keep="last",
            random=((random.seed, "start", random.t), picks.ids),
        )
        return images.index_copy(0, chosen.to(images.device), torch.lerp(clean, found.images, self.blend))


def _pgd(
    *,
    eps: str = "",
    steps: int = 10,
    step_size: float | None = None,
    momentum: float = 0.0,
    norm: str = "linf",
    target: str = "none",
    share: float = 1.0,
    blend: float = 1.0,
    random_start: bool = True,
) -> Adversary:
    check_norm(norm)
    size = parse_epsilon(eps, norm) if eps else DEFAULT_EPS[norm]
    if steps < 1:
        raise UsageError(f"{steps} steps", expected="1 or more")
    for name, value in (("share", share), ("blend", blend)):
        if not 0 <= value <= 1:
            raise UsageError(f"{name}={value}", expected="0 to 1")
    if target not in _TARGETS:
        raise UsageError(f"target={target}", expected=" or ".join(_TARGETS))
    length = min(2.5 / steps, 1.0) * size if step_size is None else step_size
    return Adversary(Ascent(norm, size, steps, length, momentum), target, share, blend, random_start)


_MAKERS: dict[str, Callable[..., Adversary]] = {"pgd": _pgd, "fgsm": partial(_pgd, steps=1, random_start=False)}
