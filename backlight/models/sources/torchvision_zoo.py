"""`torchvision:NAME`: any of torchvision's classifiers, with its recommended weights."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.images import Resize
from backlight.models.blueprint import IMAGENET_MEAN, IMAGENET_STD, Blueprint, ModelShape, from_one_source, seeded
from backlight.models.checkpoint import read_checkpoint
from backlight.models.fetch import cached_url_file, url_file
from backlight.models.labels import imagenet_labels
from backlight.models.weights import load_state

# Their published weights expect the auxiliary heads to be there and the input to be normalized differently
# inside; without init_weights the constructors warn.
_OLD_INCEPTION: dict[str, Any] = {"aux_logits": True, "transform_input": True, "init_weights": True}
_ARGUMENTS = {"googlenet": _OLD_INCEPTION, "inception_v3": _OLD_INCEPTION}


def names() -> list[str]:
    """List torchvision's classifiers.

    >>> "resnet50" in names()
    True
    """
    from torchvision import models

    return list(models.list_models(module=models))


def find_blueprint(name: str, seed: int) -> Blueprint:
    """Return the blueprint of a torchvision classifier.

    Raises UsageError with the nearest names for an unknown one.

    >>> find_blueprint("resnet50", 0).resize.shorter_side
    232
    """
    published = _published(name)
    rule = Resize(256, (224, 224), "bilinear")
    blueprint = Blueprint(
        f"torchvision:{name}",
        lambda shape: _create(name, shape, seed, rule.size),
        classes=1000,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize=rule,
        labels=imagenet_labels(),
    )
    if published is None:
        reason = f"torchvision publishes no weights for {name}"
        return replace(blueprint, no_pretrained=reason, sources=from_one_source("assumed"))
    preset = published.transforms()
    rule = Resize(preset.resize_size[0], (preset.crop_size[0],) * 2, preset.interpolation.value)

    def pretrained(shape: ModelShape) -> nn.Module:
        checkpoint = read_checkpoint(url_file(published.url))
        new_head = shape.classes if shape.classes not in (None, blueprint.classes) else None
        return load_state(_create(name, shape, seed, rule.size), checkpoint, new_head=new_head)

    return replace(blueprint, pretrained=pretrained, mean=tuple(preset.mean), std=tuple(preset.std), resize=rule)


def is_cached(name: str) -> bool:
    """Whether a model's recommended weights lie in the local cache.

    >>> is_cached("vgg11") in (True, False)
    True
    """
    published = _published(name)
    return published is not None and cached_url_file(published.url) is not None


def _published(name: str) -> Any:
    from torchvision import models

    if name not in names():
        raise UsageError(f"torchvision has no classifier {name!r}", hint=did_you_mean(name, names()))
    enumeration = models.get_model_weights(name)
    return enumeration.DEFAULT if len(enumeration) else None


def _create(name: str, shape: ModelShape, seed: int, size: tuple[int, int]) -> nn.Module:
    from torchvision import models

    if shape.channels != 3:
        raise ModelError(f"torchvision:{name} takes 3 channels", hint=f"timm's models take {shape.channels} as well")
    arguments = dict(_ARGUMENTS.get(name, {}))
    if name.startswith("vit_"):
        height, width = shape.size or size
        if height != width:
            raise ModelError(f"torchvision:{name} takes square images", expected=f"size {height} or {width}")
        arguments["image_size"] = height
    with seeded(seed):
        return models.get_model(name, weights=None, num_classes=shape.classes or 1000, **arguments)
