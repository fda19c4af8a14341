"""Feature images: what a channel of a layer responds to."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from backlight.classifier import Classifier
from backlight.core.errors import InputError
from backlight.pixels import activation, diversity
from backlight.pixels.features import channels_of
from backlight.visualize.pictures import Pictures, Size, Watch, climb, size_of
from backlight.visualize.presets import Preset, preset_of


def feature_image(
    classifier: Classifier,
    layer: str,
    channels: int | Sequence[int],
    *,
    copies: int = 1,
    variety: float = 1.0,
    preset: str | Preset = "lucid",
    steps: int | None = None,
    size: Size = None,
    watch: Watch | None = None,
    seed: int = 0,
) -> Pictures:
    """Make a picture for each channel of a layer that raises its mean activation.

    With `copies` above 1 each channel gets several pictures, and `variety` times the channel's scale is their
    reward for having unlike Gram matrices at the layer. Other arguments are those of `class_image`.

    Raises LayerError for an unknown layer, InputError for a channel that it does not have.

    >>> from torch import nn
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    >>> feature_image(Classifier.from_module(net, size=16), "1", [0, 2], steps=3).names
    ('1:0', '1:2')
    """
    wanted = [channels] if isinstance(channels, int) else list(channels)
    count = channels_of(classifier, layer)
    if not wanted or copies < 1 or any(not 0 <= channel < count for channel in wanted):
        raise InputError(f"{copies} of channels {wanted} of {layer!r}", expected=f"0 to {count - 1}, 1 or more of each")
    repeated = torch.tensor(wanted, device=classifier.device).repeat_interleave(copies)
    groups = torch.arange(len(wanted), device=classifier.device).repeat_interleave(copies)
    objective = activation(layer, repeated)
    if copies > 1:
        objective = objective + variety * diversity(layer, groups)
    constants = preset_of(preset)
    assembly = constants.assemble(classifier, objective, len(repeated), size_of(classifier, size))
    return climb(
        classifier,
        **assembly.parts(),
        steps=constants.steps if steps is None else steps,
        names=tuple(f"{layer}:{channel}" for channel in repeated.tolist()),
        watch=watch,
        description="feature images",
        keep="last",
        random=((seed, "feature image", layer), [f"{c}/{n}" for c in wanted for n in range(copies)]),
    )
