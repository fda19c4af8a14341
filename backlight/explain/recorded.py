"""One forward pass from which every gradient method takes what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.errors import ModelError
from backlight.explain.rectifiers import Rectifiers, Switch
from backlight.recording import LOGITS


class Recorded:
    """Keep one differentiable forward pass and answer backward passes through it, each asked for only once.

    `images` [B,C,H,W] are pixels, `outputs` the recorded layers and `logits`. `rectify` routes the rectifiers
    through a switch, so that guided and deconvnet gradients come from the same forward pass.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> recorded = Recorded(classifier, torch.rand(2, 3, 2, 2), ["0"])
    >>> recorded.gradients(recorded.logits.sum(1))["0"].shape
    torch.Size([2, 12])
    """

    def __init__(
        self, classifier: Classifier, images: Tensor, layers: Sequence[str] = (), *, rectify: bool = False
    ) -> None:
        self.switch = Switch()
        self.layers = tuple(layers)
        self.backwards = 0
        self._gradients: dict[str, dict[str, Tensor]] = {}
        # Also under a caller's no_grad or inference_mode, and on frozen models: the image requires the gradient.
        with torch.inference_mode(False), torch.enable_grad():
            self.images = images.detach().clone().requires_grad_(True)
            with Rectifiers(self.switch) if rectify else nullcontext():
                self.outputs = classifier.record(self.images, (*layers, LOGITS))

    @property
    def logits(self) -> Tensor:
        """Give the logits [B,classes], part of the graph."""
        return self.outputs[LOGITS]

    def gradients(self, score: Tensor, rule: str = "plain") -> dict[str, Tensor]:
        """Compute the gradient of the summed score with respect to `images` and every layer, by one backward.

        `rule` is plain, guided or deconvnet. Raises ModelError where the score does not depend on an output.
        """
        if rule not in self._gradients:
            names = ("images", *self.layers) if rule == "plain" else ("images",)
            tensors = [self.images if name == "images" else self.outputs[name] for name in names]
            if not score.requires_grad:
                raise ModelError("the model is not differentiable", hint="occlusion or rise, which need no gradient")
            self.switch.rule = rule
            # Retained: another rule may ask for a second backward through the same graph.
            with torch.enable_grad():
                found = torch.autograd.grad(score.sum(), tensors, retain_graph=True, allow_unused=True)
            self.backwards += 1
            self._gradients[rule] = {name: _connected(name, one) for name, one in zip(names, found, strict=True)}
        return self._gradients[rule]


def _connected(name: str, gradient: Tensor | None) -> Tensor:
    if gradient is None:
        raise ModelError(f"the score does not depend on {name!r}", expected="a layer on the way to the logits")
    return gradient
