"""Class images: what a classifier imagines when it hears a label."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import logit
from backlight.visualize.pictures import Pictures, Size, Watch, climb, size_of
from backlight.visualize.presets import Preset, preset_of


def class_image(
    classifier: Classifier,
    labels: int | str | Sequence[int | str],
    *,
    preset: str | Preset = "lucid",
    steps: int | None = None,
    size: Size = None,
    watch: Watch | None = None,
    seed: int = 0,
) -> Pictures:
    """Make a picture for each label that raises its logit, all in one batch.

    `labels` are class numbers or names. `preset` is "lucid", "cs231n" or one of `backlight.visualize.presets`
    with your constants; `steps` replaces its number. A class's picture depends on the class and the seed alone,
    not on the others. `watch` keeps or hands over pictures on the way.

    Raises InputError for unknown labels, UsageError for an unknown preset.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> made = class_image(Classifier.from_module(net, size=16), [0, 2], steps=3)
    >>> made.images.shape, made.names
    (torch.Size([2, 3, 16, 16]), ('0', '2'))
    """
    wanted = [labels] if isinstance(labels, int | str) else list(labels)
    indices = [classifier.class_index(label) for label in wanted]
    if not indices:
        raise InputError("no labels", expected="at least one class")
    constants = preset_of(preset)
    targets = torch.tensor(indices, device=classifier.device)
    assembly = constants.assemble(classifier, logit(targets), len(indices), size_of(classifier, size))
    return climb(
        classifier,
        **assembly.parts(),
        steps=constants.steps if steps is None else steps,
        names=tuple(classifier.label(index) for index in indices),
        watch=watch,
        description="class images",
        keep="last",
        random=((seed, "class image"), _distinct(indices)),
    )


def _distinct(indices: list[int]) -> list[str]:
    """Key each picture by its class, and a class asked for twice by its turn too: it gives two pictures."""
    return [f"{index}/{indices[:place].count(index)}" for place, index in enumerate(indices)]
