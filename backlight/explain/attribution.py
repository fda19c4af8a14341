"""What an explanation is: a signed raw map per method, with everything needed to judge it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier.heads import Head
from backlight.core.errors import InputError, did_you_mean

FLAT = 1e-6
REDUCTIONS = ("magnitude", "sum", "relative", "positive")


@dataclass(frozen=True, eq=False)
class Attribution:
    """The raw map of one method for every image.

    `attributions` [B,C,h,w] is signed and unscaled, at the method's own resolution (a class activation map before its
    ReLU has C = 1). `reduction` says how it becomes one value per pixel: `magnitude` (largest |value| over
    channels), `sum` (signed, over channels), `relative` (the sum above the map's smallest, where only differences
    mean something) or `positive` (ReLU, then bilinear to the image). `gap` [B] is the completeness gap relative
    to the change of the score. `forwards` and `backwards` are passes per image, all
    shared ones included. `notes` say what a reader must know.

    >>> Attribution("gradcam", torch.ones(2, 1, 4, 4), "positive", image_size=(8, 8)).heatmap().shape
    torch.Size([2, 8, 8])
    """

    method: str
    attributions: Tensor = field(repr=False)
    reduction: str
    image_size: tuple[int, int]
    layer: str | None = None
    gap: Tensor | None = field(default=None, repr=False)
    forwards: float = 0
    backwards: float = 0
    notes: tuple[str, ...] = ()
    flat: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)
    finite: Tensor = field(default_factory=lambda: torch.empty(0), repr=False)

    def heatmap(self) -> Tensor:
        """Reduce the raw map to one value per pixel, float [B,H,W]; no scaling."""
        return reduce_map(self.attributions, self.reduction, self.image_size)

    def __len__(self) -> int:
        return len(self.attributions)


def reduce_map(raw: Tensor, reduction: str, image_size: tuple[int, int]) -> Tensor:
    """Reduce raw maps [B,C,h,w] to [B,H,W] (`Attribution` lists the reductions).

    >>> reduce_map(torch.tensor([[[[-3.0]], [[1.0]]]]), "magnitude", (1, 1))
    tensor([[[3.]]])
    """
    if reduction == "magnitude":
        return raw.abs().amax(1)
    if reduction == "sum":
        return raw.sum(1)
    if reduction == "relative":
        return raw.sum(1) - raw.sum(1).amin((1, 2), keepdim=True)
    if reduction != "positive":
        raise InputError(f"reduction {reduction!r}", hint=did_you_mean(reduction, REDUCTIONS))
    return upsample(raw.relu(), image_size)[:, 0]


def upsample(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps [B,C,h,w] bilinearly with half-pixel centers, which is what OpenCV's linear resize does.

    >>> upsample(torch.ones(1, 1, 2, 2), (4, 6)).shape
    torch.Size([1, 1, 4, 6])
    """
    return maps if tuple(maps.shape[-2:]) == size else F.interpolate(maps, size, mode="bilinear", align_corners=False)


def finish(attribution: Attribution) -> Attribution:
    """Detach, widen to float32 at least, and flag maps that are flat or not finite.

    >>> finish(Attribution("rise", torch.zeros(1, 1, 2, 2), "sum", (2, 2))).flat
    tensor([True])
    """
    raw = attribution.attributions.detach()
    raw = raw if raw.dtype == torch.float64 else raw.float()
    finite = torch.isfinite(raw).flatten(1).all(1)
    # A map of which only differences count is flat when these are small beside its level.
    level = "sum" if attribution.reduction == "relative" else attribution.reduction
    heat = reduce_map(raw, level, attribution.image_size).nan_to_num(0, 0, 0).flatten(1)
    low, high = heat.amin(1), heat.amax(1)
    flat = high - low <= FLAT * torch.maximum(low.abs(), high.abs())
    notes = list(attribution.notes)
    if attribution.reduction == "positive" and bool((flat & (raw.flatten(1).amax(1) <= 0)).any()):
        notes.append("some maps are nowhere positive before their ReLU: nothing in the layer speaks for the target")
    if bool((raw == 0).flatten(1).all(1).any()):
        notes.append(
            "some maps are zero everywhere: no gradient or change arrives, as in a model that rounds or is saturated"
        )
    if not bool(finite.all()):
        notes.append("some maps hold NaN or infinite values")
    return replace(attribution, attributions=raw, flat=flat, finite=finite, notes=tuple(notes))


@dataclass(frozen=True, eq=False)
class Explanations(Mapping[str, Attribution]):
    """The maps of several methods for the same images, by method.

    `images` [B,C,H,W] in [0,1], `logits` [B,classes], `score` [B] is what was explained, `target` [B] the
    class (None where a function was explained), `labels` its name. `forwards` and `backwards` count the passes
    per image of the whole call. Shows itself in a notebook; `.figure()` gives a matplotlib figure.

    >>> from torch import nn
    >>> from backlight import Classifier
    >>> from backlight.explain import explain
    >>> classifier = Classifier.from_module(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), size=2)
    >>> found = explain(classifier, torch.rand(4, 3, 2, 2), methods=["saliency", "gradient_x_input"])
    >>> list(found), found["saliency"].heatmap().shape
    (['saliency', 'gradient_x_input'], torch.Size([4, 2, 2]))
    """

    images: Tensor = field(repr=False)
    logits: Tensor = field(repr=False)
    score: Tensor
    target: Tensor | None
    labels: tuple[str, ...]
    quantity: str
    space: str
    forwards: float
    backwards: float
    maps: dict[str, Attribution] = field(repr=False)
    head: Head = field(default_factory=Head, repr=False)

    def __getitem__(self, method: str) -> Attribution:
        if method not in self.maps:
            raise InputError(f"no map of {method!r}", hint=did_you_mean(method, self.maps))
        return self.maps[method]

    def __iter__(self) -> Iterator[str]:
        return iter(self.maps)

    def __len__(self) -> int:
        return len(self.maps)

    @property
    def probabilities(self) -> Tensor:
        """Return the probabilities [B,classes], by softmax or a sigmoid per label."""
        return self.head.probabilities(self.logits)

    def _repr_html_(self) -> str:
        from backlight.explain.figures import to_html

        return to_html(self)

    def figure(self) -> object:
        """Draw images and overlays as a matplotlib figure: one row per image, one column per method."""
        from backlight.explain.figures import to_figure

        return to_figure(self)
