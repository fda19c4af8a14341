"""Deep dreams: pictures that show more of what a layer already sees in them."""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import Box, Jitter, Pixels, Unit, read_objective
from backlight.visualize.pictures import Frame, Pictures, Term, Watch, climb

_SMALLEST = 32


def dream(
    classifier: Classifier,
    images: Tensor,
    layer: str,
    *,
    octaves: int = 4,
    ratio: float = 1.4,
    steps: int = 15,
    step: float = 0.012,
    jitter: int = 16,
    watch: Watch | None = None,
    seed: int = 0,
) -> Pictures:
    """Amplify what `layer` sees in `images` `[B,C,H,W]`, from small sizes to the full one.

    Each octave is `ratio` times the size before; what was added is enlarged and put on the picture at the new
    size (Mordvintsev, Olah and Tyka 2015). A step changes a picture by `step` in root mean square along the
    gradient. `layer` may name one channel, as "layer3:7". `terms` hold the layer's mean square before and after
    each octave.

    Raises LayerError for an unknown layer, InputError for constants that cannot be used.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> made = dream(Classifier.from_module(net, size=48), torch.rand(1, 3, 48, 48), "1", octaves=2, steps=2)
    >>> [bool(term.after > term.before) for term in made.terms]
    [True, True]
    """
    images = classifier.check(images)
    _check_constants(octaves, ratio, steps, step)
    objective = read_objective(classifier, layer)
    sizes = octave_sizes((images.shape[2], images.shape[3]), octaves, ratio)
    base = dreamt = resized(images, sizes[0])
    terms: list[Term] = []
    frames: list[Frame] = []
    for number, size in enumerate(sizes):
        added, base = dreamt - base, resized(images, size)
        current = (base + resized(added, size)).clamp(0, 1)
        before = objective.evaluate(classifier, current)
        made = climb(
            classifier,
            objective,
            Pixels(current),
            Unit(step * base[0].numel() ** 0.5),
            steps=steps,
            names=tuple(f"{layer} in picture {row}" for row in range(len(images))),
            watch=watch,
            description=f"octave {number + 1} of {len(sizes)}",
            constraint=Box(),
            transforms=Jitter(min(jitter, min(size) - 1)),
            keep="last",
            random=((seed, "dream", number), None),
        )
        dreamt, frames = made.images, [*frames, *made.frames]
        terms.append(Term(f"octave {size[0]}x{size[1]}", before, objective.evaluate(classifier, made.images)))
    taken = torch.full_like(made.steps, steps * len(sizes))
    return dataclasses.replace(
        made, start=terms[0].before, objective=terms[-1].after, steps=taken, terms=tuple(terms), frames=tuple(frames)
    )


def _check_constants(octaves: int, ratio: float, steps: int, step: float) -> None:
    if octaves < 1 or ratio <= 1 or steps < 1 or not 0 < step < float("inf"):
        found = f"octaves={octaves}, ratio={ratio}, steps={steps}, step={step}"
        raise InputError(found, expected="octaves and steps of 1 or more, ratio above 1, step above 0")


def octave_sizes(size: tuple[int, int], octaves: int, ratio: float) -> list[tuple[int, int]]:
    """List (height, width) from the smallest octave to the full size; none is below 32 pixels unless the full one is.

    >>> octave_sizes((224, 112), 4, 1.4)
    [(82, 41), (114, 57), (160, 80), (224, 112)]
    """
    scales = [ratio**-number for number in range(octaves)]
    sizes = [(round(size[0] * scale), round(size[1] * scale)) for scale in scales]
    return [sizes[0], *(one for one in sizes[1:] if min(one) >= _SMALLEST)][::-1]


def resized(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pictures or differences of them `[B,C,H,W]`, averaging where they shrink."""
    if tuple(images.shape[2:]) == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
