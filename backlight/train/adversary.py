"""Adversarial training (Madry et al. 2018): a short attack on every batch before the step that learns from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.targets import resolve_targets
from backlight.errors import UsageError
from backlight.grammar import parse_number, parse_spec
from backlight.pixels import Ball, Box, Pixels, Sign, Uniform, Unit, cross_entropy, optimize
from backlight.random import Random

_OPTIONS = ("eps", "steps", "step_size", "norm", "target", "share", "blend")
_TARGETS = ("none", "random", "least-likely")


@dataclass(frozen=True)
class Adversary:
    """Attack training pictures inside a ball of `norm` and `eps`, in `steps` steps of `step_size`.

    `target`: `none` leaves the label, `random` and `least-likely` go to that class. `share` of the pictures are
    attacked, drawn anew at each step; `blend` is the weight of the attacked picture in its average with the clean one.

    Read from text by `Adversary.read`; call it with a batch.

    >>> Adversary.read("pgd:eps=8/255,steps=3").step_size * 255
    6.666666666666667
    """

    eps: float
    steps: int
    step_size: float
    norm: str = "linf"
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
        spec = parse_spec(text).only(*_OPTIONS)
        if spec.name not in ("pgd", "fgsm"):
            raise UsageError(f"adversary {spec.name!r}", expected="pgd or fgsm", hint="pgd:eps=8/255,steps=3")
        norm = spec.text("norm", "linf", ("linf", "l2"))
        eps = spec.epsilon("eps", 8 / 255 if norm == "linf" else 0.5, norm)
        steps = spec.integer("steps", 1 if spec.name == "fgsm" else 10, low=1, high=1 if spec.name == "fgsm" else None)
        given = spec.options.get("step_size")
        size = min(2.5 / steps, 1.0) * eps if given is None else parse_number(given)
        share, blend = (spec.number(name, 1.0, low=0, high=1) for name in ("share", "blend"))
        return Adversary(
            eps, steps, size, norm, spec.text("target", "none", _TARGETS), share, blend, spec.name == "pgd"
        )

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
        start = Uniform(self.norm, self.eps) if self.random_start else None
        found = optimize(
            classifier,
            objective,
            Pixels(clean, start),
            {"linf": Sign, "l2": Unit}[self.norm](self.step_size),
            steps=self.steps,
            constraint=Ball(self.norm, clean, self.eps) & Box(),
            keep="last",
            random=((random.seed, "start", random.t), picks.ids),
        )
        return images.index_copy(0, chosen.to(images.device), torch.lerp(clean, found.images, self.blend))
