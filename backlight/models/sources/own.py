"""Our networks by name, options after a colon: `classic_cnn`, `vit:depth=2,window_blocks=all`."""

from __future__ import annotations

from torch import nn

from backlight.core.grammar import parse_spec
from backlight.images import Resize
from backlight.models import networks
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source

_MIDDLE = (0.5, 0.5, 0.5)


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Return the blueprint of one of our networks, as its registry describes it.

    Raises UsageError for unknown options.

    >>> find_blueprint("classic_cnn", 0).resize.size
    (32, 32)
    """
    spec = parse_spec(text)
    network = networks.describe(spec.name)
    # Before they stand beside the names of `build` itself: a size is no option.
    options = networks.read_settings(spec.name, spec.options)

    def build(shape: ModelShape) -> nn.Module:
        return networks.build(spec.name, shape.classes, shape.size, shape.channels, seed=seed, **options)

    return Blueprint(
        text,
        build,
        classes=network.classes,
        mean=_MIDDLE,
        std=_MIDDLE,
        resize=Resize(min(network.size), network.size, "bilinear"),
        no_pretrained=f"{spec.name} has no weights until it is trained",
        sources=from_one_source("assumed"),
    )
