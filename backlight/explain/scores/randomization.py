"""Does a map depend on the model? It should change when the weights are drawn anew."""

from __future__ import annotations

import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.wrapping import copy_of
from backlight.core.random import Random
from backlight.explain.scores.judge import Explainer, Judge, heat_of

STAGES = 3


def model_randomization(judge: Judge, maps: Tensor, again: Explainer) -> Tensor:
    """Return the map's rank correlation with maps of ever more randomized copies of the model, [B]; lower is better.

    Adebayo et al. (2018), section 3: layers are drawn anew from the top, in 3 stages down to the first layer;
    Spearman correlation of magnitudes, averaged over stages. 1 means that the map ignores the model.
    """
    own = heat_of(maps).abs()
    total = torch.zeros(len(own), dtype=torch.float64, device=own.device)
    for stage in range(1, STAGES + 1):
        randomized = randomize(judge.classifier, stage / STAGES)
        total = total + spearman(own, heat_of(again(randomized, judge.images, 0)).abs())
    return total / STAGES


def randomize(classifier: Classifier, share: float) -> Classifier:
    """Copy a classifier with the last `share` of its weight layers drawn anew, each at its own scale.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> other = randomize(Classifier.from_module(net, size=2), 1.0)
    >>> bool((other.module[1].weight == net[1].weight).any())
    False
    """
    module = copy_of(classifier.module)
    layers = [name for name, part in module.named_modules() if next(part.parameters(recurse=False), None) is not None]
    drawn = layers[len(layers) - round(share * len(layers)) :]
    with torch.no_grad():
        for name in drawn:
            for own, parameter in module.get_submodule(name).named_parameters(recurse=False):
                draw = Random(("model_randomization", name, own), [0]).normal(*parameter.shape, dtype=torch.float64)[0]
                spread = parameter.double().std(correction=0) if parameter.numel() > 1 else parameter.double().abs()
                parameter.copy_((parameter.double().mean() + spread * draw.to(parameter.device)).to(parameter.dtype))
    return classifier.replace(module=module, name=f"{classifier.name}, randomized")


def spearman(left: Tensor, right: Tensor) -> Tensor:
    """Correlate the ranks of two maps [B,H,W], ties sharing their mean rank: float64 [B]; NaN for a flat map.

    >>> round(spearman(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[[2.0, 4.0, 9.0]]])).item(), 6)
    1.0
    """
    from scipy.stats import rankdata

    ranked = [torch.from_numpy(rankdata(one.flatten(1).cpu().double().numpy(), axis=1)) for one in (left, right)]
    a, b = (one - one.mean(1, keepdim=True) for one in ranked)
    return ((a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))).to(left.device)
