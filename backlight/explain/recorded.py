"""One forward pass from which every gradient method takes what it needs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.gradients import differentiate
from backlight.classifier.recording import LOGITS
from backlight.classifier.rectifiers import Rectifiers, Switch
from backlight.core.errors import ModelError
from backlight.explain.attention import Attentions
from backlight.explain.offsets import Offsets


class Recorded:
    """Keep one differentiable forward pass and answer backward passes through it, each asked for only once.

    `images` [B,C,H,W] are pixels, `outputs` the recorded layers and `logits`. `rectify` routes the rectifiers
    through a switch, so that guided and deconvnet gradients come from the same forward pass; `attend` computes
    attention in the open and keeps its weights, as `attention 0` and so on; `offset` notes what every call adds
    besides what is linear in its input, and keeps its output, as `offset 0` and so on. Without `pixels` the plain
    backward pass ends at the earliest recorded layer.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 3)), size=2)
    >>> recorded = Recorded(classifier, torch.rand(2, 3, 2, 2), ["0"])
    >>> recorded.gradients(recorded.logits.sum(1))["0"].shape
    torch.Size([2, 12])
    """

    def __init__(
        self,
        classifier: Classifier,
        images: Tensor,
        layers: Sequence[str] = (),
        *,
        rectify: bool = False,
        attend: bool = False,
        offset: bool = False,
        pixels: bool = True,
    ) -> None:
        self.switch = Switch()
        self.attentions: list[Tensor] = []
        self.offsets = Offsets()
        self.backwards = 0
        self._pixels = pixels
        self._gradients: dict[str, dict[str, Tensor]] = {}
        # Also under a caller's no_grad or inference_mode, and on frozen models: the image requires the gradient.
        with torch.inference_mode(False), torch.enable_grad():
            self.images = images.detach().clone().requires_grad_(True)
            with ExitStack() as modes:
                if rectify:
                    modes.enter_context(Rectifiers(self.switch))
                if attend:
                    modes.enter_context(Attentions(self.attentions))
                if offset:
                    modes.enter_context(self.offsets.within(classifier.module))
                self.outputs = classifier.record(self.images, (*layers, LOGITS))
        self._inner = {name: self.outputs[name] for name in layers}
        self._inner |= {f"attention {place}": one for place, one in enumerate(self.attentions)}
        self._inner |= {f"offset {place}": one.output for place, one in enumerate(self.offsets.found)}

    @property
    def logits(self) -> Tensor:
        """Return the logits [B,classes], part of the graph."""
        return self.outputs[LOGITS]

    def gradients(self, score: Tensor, rule: str = "plain") -> dict[str, Tensor]:
        """Compute the gradient of the summed score at `images` and every layer, by one backward.

        `rule` is plain, guided or deconvnet. Raises ModelError where the score does not depend on an output.
        """
        if rule not in self._gradients:
            tensors = dict(self._inner) if rule == "plain" else {}
            if self._pixels or rule != "plain":
                tensors["images"] = self.images
            self.switch.rule = rule
            # Retained: another rule may ask for a second backward through the same graph.
            found = differentiate(score, list(tensors.values()), retain_graph=True)
            self.backwards += 1
            self._gradients[rule] = {
                name: _connected(name, tensor, one) for (name, tensor), one in zip(tensors.items(), found, strict=True)
            }
        return self._gradients[rule]


def _connected(name: str, tensor: Tensor, gradient: Tensor | None) -> Tensor:
    if gradient is not None:
        return gradient
    if name.startswith(("attention ", "offset ")):
        # A block that was left out has attention and biases too, which then say nothing.
        return torch.zeros_like(tensor)
    raise ModelError(f"the score does not depend on {name!r}", expected="a layer on the way to the logits")
