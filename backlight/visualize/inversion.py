"""Feature inversion: the picture that a layer's output still tells."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import Adam, Fourier, Measure, View, Watched, total_variation
from backlight.pixels.features import check_layer
from backlight.visualize.pictures import Pictures, Term, Watch, climb

_EPSILON = 1e-12


def invert(
    classifier: Classifier,
    images: Tensor,
    layer: str,
    *,
    tv: float = 0.1,
    steps: int = 256,
    lr: float = 0.05,
    watch: Watch | None = None,
    seed: int = 0,
) -> Pictures:
    """Find pictures whose output at `layer` is that of `images` `[B,C,H,W]`, starting from gray noise.

    Minimizes the squared distance of the outputs over that of the start's, plus `tv` times the mean squared
    difference of neighboring pixels, over spectra by Adam (Mahendran and Vedaldi 2015, arXiv:1412.0035). `terms`
    hold the feature distance before and after. A rate `lr` that diverges ends with the best picture so far.

    Raises LayerError for an unknown layer, InputError for unusable images.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> made = invert(Classifier.from_module(net, size=16), torch.rand(1, 3, 16, 16), "0", steps=5)
    >>> bool(made.terms[0].after < made.terms[0].before)
    True
    """
    images = classifier.check(images)
    check_layer(classifier, layer)
    if tv < 0 or not 0 < lr < float("inf"):
        raise InputError(f"tv={tv}, lr={lr}", expected="tv of 0 or more, lr above 0")
    with torch.no_grad():
        target = classifier.features(images, [layer])[layer].detach()
        gray = classifier.features(torch.full_like(images, 0.5), [layer])[layer]
    scale = (gray - target).square().flatten(1).sum(1).clamp(min=_EPSILON)
    distance = _distance(layer, target) * (1 / scale)
    per_pixel = tv / images[0].numel()
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    spectra = Fourier(len(images), (images.shape[2], images.shape[3]), classifier.channels, dtype=dtype)
    made = climb(
        classifier,
        -distance - per_pixel * total_variation("l2"),
        spectra,
        Watched(Adam(lr)),
        steps=steps,
        names=tuple(f"{layer} of picture {row}" for row in range(len(images))),
        watch=watch,
        description="inversion",
        random=((seed, "invert"), None),
    )
    after = distance.evaluate(classifier, made.images)
    return dataclasses.replace(made, terms=(Term("feature distance", 0.0 - made.start, after),))


def _distance(layer: str, target: Tensor) -> Measure:
    def value(view: View) -> Tensor:
        return (view[layer] - view.pick(target)).square().flatten(1).sum(1)

    return Measure(value, f"distance({layer!r})", layers={layer})
