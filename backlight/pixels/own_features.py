"""Distance by the model's own features: what LPIPS is without its learned weights and without a network of its own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.batches import fixed_batches
from backlight.core.errors import ModelError
from backlight.pixels.describe import Brief
from backlight.pixels.features import layers_by_resolution
from backlight.pixels.geometry import length
from backlight.pixels.measure import Measure
from backlight.pixels.view import View

_MOST = 5
_FLOOR = 1e-10  # of a position's length, as in LPIPS


@dataclass(frozen=True, repr=False, eq=False)
class OwnFeatures(Brief):
    """Compare pictures by what a classifier's own layers make of them.

    At every position of a layer the activations are scaled to length 1 over the channels, and divided by the root of
    the number of positions, so that each layer counts alike; the distance is the l2 length of the difference. As in
    LPIPS (Zhang et al. 2018, arXiv:1801.03924; Laidlaw et al. 2021, arXiv:2006.12655), but of the model that is
    attacked and without learned weights: its numbers compare with no other model's.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> features, images = OwnFeatures.of(Classifier.from_module(net, size=8)), torch.rand(2, 3, 8, 8)
    >>> features.layers, features.distance(images, images)
    (('1',), tensor([0., 0.], dtype=torch.float64))
    """

    classifier: Classifier
    layers: tuple[str, ...]

    @classmethod
    def of(cls, classifier: Classifier) -> OwnFeatures:
        """Choose the last layer of each of the five coarsest resolutions; without any, the five layers before the last.

        Raises ModelError for a classifier of which no layer can be seen.
        """
        stages = list(layers_by_resolution(classifier).values())
        layers = [names[-1] for names in stages[-_MOST:]]
        if not layers:
            once = [one.name for one in classifier.layers() if one.calls == 1 and len(one.shape) > 1]
            layers = once[-_MOST - 1 : -1] or once
        if not layers:
            raise ModelError(f"{classifier.name} has no layers that can be seen", expected="a network of modules")
        return cls(classifier, tuple(layers))

    def vectors(self, outputs: dict[str, Tensor]) -> Tensor:
        """Return the normalized activations of recorded layers, side by side: `[A,n]`."""
        return torch.cat([_normalized(outputs[layer]).flatten(1) for layer in self.layers], 1)

    def look(self, images: Tensor) -> Tensor:
        """Return the normalized activations of images `[B,C,H,W]`, in batches of one size: `[B,n]`."""
        found = [self._seen(batch)[:count] for batch, count in fixed_batches(images)]
        return torch.cat(found) if found else images.new_zeros(0, 0)

    def _seen(self, images: Tensor) -> Tensor:
        with torch.inference_mode(False), torch.no_grad(), self.classifier.guard():
            return self.vectors(self.classifier.record(images, self.layers))

    def distance(self, images: Tensor, originals: Tensor) -> Tensor:
        """Return how far images are from originals `[B,C,H,W]`: float64 `[B]`, at most twice the root of the layers."""
        # Batch by batch: a picture's features take several times its own memory.
        pairs = zip(fixed_batches(images), fixed_batches(originals), strict=True)
        found = [
            length(self._seen(batch).double() - self._seen(other).double(), "l2")[:count]
            for (batch, count), (other, _) in pairs
        ]
        return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64, device=images.device)

    def measure(self, originals: Tensor) -> Measure:
        """Return the distance from originals `[B,C,H,W]` as a measure to climb; their features are held."""
        known = self.look(originals)

        def far(view: View) -> Tensor:
            return length(self.vectors({name: view[name] for name in self.layers}) - view.pick(known), "l2")

        return Measure(far, "feature_distance()", layers=self.layers)


def _normalized(output: Tensor) -> Tensor:
    """Scale activations `[A,C,...]`, of tokens `[A,N,C]`, over channels and positions."""
    channels = 2 if output.ndim == 3 else 1
    size = torch.linalg.vector_norm(output, dim=channels, keepdim=True)
    positions = output[0].numel() / max(1, output.shape[channels])
    return output / ((size + _FLOOR) * positions**0.5)
