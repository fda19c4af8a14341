"""Style transfer: the things of one picture in the strokes of others."""

from __future__ import annotations

import dataclasses
import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.core.random import Seed
from backlight.pixels import Mask, Measure, Pixels, Uniform, total_variation
from backlight.visualize.dreams import resized
from backlight.visualize.pictures import Frame, Pictures, Term, Watch, climb
from backlight.visualize.style_losses import STATISTICS, content_term, style_term
from backlight.visualize.style_presets import StylePreset, choose_layers, preset_of

_LUMA = (0.299, 0.587, 0.114)


def style_transfer(
    classifier: Classifier,
    content: Tensor,
    styles: Tensor | Sequence[Tensor],
    *,
    preset: str | StylePreset = "default",
    blend: Sequence[float] | Tensor | None = None,
    keep_colors: bool = False,
    mask: Tensor | None = None,
    watch: Watch | None = None,
    seed: int = 0,
) -> Pictures:
    """Paint pictures `[B,C,H,W]` in the style of others, by the classifier's features.

    `styles` are pictures `[C,h,w]` of any size, blended by weights `[S]`, or `[B,S]` for each content its own.
    `preset` is "default", "gatys", "cs231n" or a `StylePreset`; `dataclasses.replace` changes its constants, such
    as layers. `keep_colors` takes only the luminance of the painting. Where `mask` (bool `[H,W]`) is false the
    content stays. `terms` hold each part of the loss before and after. A rate that diverges ends with the best
    picture so far.

    Raises InputError for unusable pictures, LayerError for unknown layers, UsageError for an unknown preset.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> classifier = Classifier.from_module(net, size=16)
    >>> quick = StylePreset(steps=5, lr=0.005, relative=True)
    >>> made = style_transfer(classifier, torch.rand(1, 3, 16, 16), [torch.rand(3, 12, 20)], preset=quick)
    >>> bool(made.objective > made.start)
    True
    """
    content = classifier.check(content).detach()
    constants = preset_of(preset)
    scene = _Scene(classifier, constants, *choose_layers(classifier, constants), _fitting(mask, content))
    targets = scene.targets(list(styles), _weights(blend, len(styles), len(content)))
    full = (content.shape[2], content.shape[3])
    start, frames = content, list[Frame]()
    for number, scale in enumerate(constants.scales):
        size = (max(1, round(full[0] * scale)), max(1, round(full[1] * scale)))
        made = scene.paint(resized(content, size), resized(start, size), targets, watch, (seed, "style", number))
        start, frames = made.images.clamp(0, 1), [*frames, *made.frames]
    images = resized(start, full)
    images = _original_colors(images, content) if keep_colors else images
    return dataclasses.replace(made, images=images.clamp(0, 1), frames=tuple(frames))


@dataclass(frozen=True, eq=False)
class _Scene:
    """What stays the same at all scales."""

    classifier: Classifier
    constants: StylePreset
    content_layer: str
    style_layers: tuple[str, ...]
    mask: Tensor | None

    def targets(self, styles: list[Tensor], blend: Tensor) -> dict[str, Tensor]:
        """Blend the styles' statistics by weights `[B or 1,S]`: for each layer `[B or 1,C,...]`."""
        statistic, blended = STATISTICS[self.constants.statistic], dict[str, Tensor]()
        for place, picture in enumerate(styles):
            with torch.no_grad():
                found = self.classifier.features(picture[None], self.style_layers)
            for layer, features in found.items():
                one = statistic(features.detach())
                share = blend[:, place].to(one).view(-1, *[1] * (one.ndim - 1)) * one
                blended[layer] = blended[layer] + share if layer in blended else share
        return blended

    def paint(
        self, content: Tensor, start: Tensor, targets: dict[str, Tensor], watch: Watch | None, seed: Seed
    ) -> Pictures:
        """Paint at one size, from `start`."""
        constants = self.constants
        terms = self._terms(content, targets)
        loss = functools.reduce(operator.add, (weight * measure for weight, measure in terms))
        constraint = constants.constraint(self.classifier)
        if self.mask is not None:
            constraint = constraint & Mask(_scaled(self.mask, content), content)
        begin = Uniform("linf", 0.5) if constants.start == "noise" and start is content else None
        made = climb(
            self.classifier,
            -loss,
            Pixels(torch.full_like(start, 0.5) if begin else start, begin),
            constants.make_rule(self.classifier),
            steps=constants.steps,
            names=tuple(f"painting {row}" for row in range(len(content))),
            watch=watch,
            description=f"style {content.shape[2]}x{content.shape[3]}",
            average=constants.average,
            constraint=constraint,
            random=(seed, None),
        )
        before, after = (
            [measure.evaluate(self.classifier, pictures) for _, measure in terms] for pictures in (start, made.images)
        )
        named = [Term(repr(measure), *pair) for (_, measure), pair in zip(terms, zip(before, after, strict=True))]
        return dataclasses.replace(made, terms=tuple(named))

    def _terms(self, content: Tensor, targets: dict[str, Tensor]) -> list[tuple[float, Measure]]:
        """Return each part of the loss with its weight; parts of weight 0 are left out."""
        constants = self.constants
        with torch.no_grad():
            features = self.classifier.features(content, [self.content_layer])[self.content_layer].detach()
        terms = [(constants.content_weight, content_term(self.content_layer, features, constants.relative))]
        for place, layer in enumerate(self.style_layers):
            weight = constants.style_weights[min(place, len(constants.style_weights) - 1)]
            terms.append((weight, style_term(layer, targets[layer], constants.statistic, constants.relative)))
        values = content[0].numel() if constants.relative else 1
        terms.append((constants.tv_weight / values, total_variation(constants.tv_norm)))
        return [one for one in terms if one[0]]


def _weights(blend: Sequence[float] | Tensor | None, styles: int, count: int) -> Tensor:
    """Return weights `[B or 1,S]` that sum to 1."""
    if styles == 0:
        raise InputError("no styles", expected="at least one picture [C,h,w]")
    weights = torch.ones(styles) if blend is None else torch.as_tensor(blend, dtype=torch.float64)
    weights = weights[None] if weights.ndim == 1 else weights
    good = weights.ndim == 2 and weights.shape[1] == styles and len(weights) in (1, count)
    if not good or not bool((weights >= 0).all()) or not bool((weights.sum(1) > 0).all()):
        raise InputError(f"blend {list(weights.shape)}", expected=f"[{styles}] or [{count},{styles}], 0 or more each")
    return weights / weights.sum(1, keepdim=True)


def _fitting(mask: Tensor | None, content: Tensor) -> Tensor | None:
    if mask is not None and (mask.dtype != torch.bool or mask.shape != content.shape[2:]):
        found = f"a mask of {mask.dtype} {list(mask.shape)}"
        raise InputError(found, expected=f"bool {list(content.shape[2:])}, true where the style goes")
    return mask


def _scaled(mask: Tensor, content: Tensor) -> Tensor:
    size = (content.shape[2], content.shape[3])
    small = F.interpolate(mask[None, None].to(content), size=size, mode="nearest-exact") > 0.5
    return small.expand(content.shape)


def _original_colors(painted: Tensor, content: Tensor) -> Tensor:
    """Take the painting's luminance (ITU-R 601) and the content's color differences."""
    if content.shape[1] != 3:
        raise InputError(f"colors of {content.shape[1]} channels", expected="3 (RGB) for keep_colors")
    luma = content.new_tensor(_LUMA).view(1, 3, 1, 1)
    return content + ((painted - content) * luma).sum(1, keepdim=True)
