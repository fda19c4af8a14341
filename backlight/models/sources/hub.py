"""`hf-hub:ORG/NAME`: a timm model with its configuration on the Hugging Face hub, or in its local cache."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from backlight.classifier.naming import distinct
from backlight.core.errors import ModelError, UsageError
from backlight.models.blueprint import Blueprint, ModelShape
from backlight.models.checkpoint import read_checkpoint
from backlight.models.fetch import hub_file
from backlight.models.sidecar import read_object
from backlight.models.sources import timm_zoo

_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth")


def find_blueprint(repository: str, seed: int) -> Blueprint:
    """Return the blueprint that a repository's `config.json` describes; a revision may follow as `@REVISION`.

    Raises UsageError for what is no repository's name, ModelError where there is neither cache nor network,
    and where the model is not one of timm's.

    >>> find_blueprint("resnet50", 0)
    Traceback (most recent call last):
    backlight.core.errors.UsageError: 'hf-hub:resnet50' is no repository; expected hf-hub:ORG/NAME
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", repository):
        raise UsageError(f"'hf-hub:{repository}' is no repository", expected="hf-hub:ORG/NAME")
    described = _read_config(hub_file(repository, ["config.json"]), repository)
    name, config = described["architecture"], described["pretrained_cfg"]
    arguments = described.get("model_args") or {}

    def create(shape: ModelShape, **extra: Any) -> nn.Module:
        return timm_zoo.create(name, config, shape, seed, **arguments, **extra)

    def pretrained(shape: ModelShape) -> nn.Module:
        return create(shape, state=read_checkpoint(hub_file(repository, _WEIGHTS)).tensors)

    blueprint = timm_zoo.from_config(f"hf-hub:{repository}", config, create)
    labels = _labels(described) or blueprint.labels
    return replace(blueprint, pretrained=pretrained, labels=labels)


def _read_config(path: Path, repository: str) -> dict[str, Any]:
    import timm

    found = read_object(path)
    name = found.get("architecture")
    if not isinstance(name, str) or not timm.is_model(name):
        raise ModelError(f"hf-hub:{repository} is not one of timm's models", expected="a repository tagged timm")
    # Older repositories keep the weights' configuration at the top.
    config = dict(found.get("pretrained_cfg") or found)
    config["num_classes"] = found.get("num_classes", config.get("num_classes", 1000))
    return {**found, "architecture": name, "pretrained_cfg": config}


def _labels(described: dict[str, Any]) -> tuple[str, ...]:
    names = described.get("label_names") or described["pretrained_cfg"].get("label_names") or []
    words = described.get("label_descriptions") or described["pretrained_cfg"].get("label_descriptions") or {}
    if not isinstance(names, list) or len(names) != described["pretrained_cfg"]["num_classes"]:
        return ()
    return distinct([str(words.get(name, name) if isinstance(words, dict) else name) for name in names])
