"""`timm:NAME` and `timm:NAME.TAG`: any of timm's classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape, seeded
from backlight.models.checkpoint import SUFFIXES, read_checkpoint
from backlight.models.fetch import cached_hub_file, cached_url_file, hub_file, url_file
from backlight.models.labels import imagenet_labels

_HUB_NAMES = ("model.safetensors", "pytorch_model.bin")


def find_blueprint(name: str, seed: int) -> Blueprint:
    """Return the blueprint of a timm model.

    Raises UsageError with the nearest names for an unknown one.

    >>> find_blueprint("resnet18", 0).resize.size
    (224, 224)
    """
    config = configuration(name)
    published = config.get("hf_hub_id") or config.get("url")

    def pretrained(shape: ModelShape) -> nn.Module:
        return create(name, config, shape, seed, state=read_checkpoint(_weights_file(config)).tensors)

    blueprint = from_config(f"timm:{name}", config, lambda shape: create(name, config, shape, seed))
    if not published:
        return replace(blueprint, no_pretrained=f"timm publishes no weights for {name}")
    if not config["num_classes"]:
        return replace(blueprint, no_pretrained=f"timm's weights for {name} are features without a head of classes")
    return replace(blueprint, pretrained=pretrained)


def configuration(name: str) -> dict[str, Any]:
    """Return timm's configuration of a model; raise UsageError with the nearest names for an unknown one.

    >>> configuration("resnet18")["num_classes"]
    1000
    """
    import timm

    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        raise UsageError(f"timm has no model {architecture!r}", hint=did_you_mean(architecture, timm.list_models()))
    tags = timm.list_pretrained(f"{architecture}.*")
    if tag and name not in tags:
        raise UsageError(f"timm has no weights {name!r}", hint=did_you_mean(name, tags) if tags else architecture)
    config = timm.get_pretrained_cfg(name)
    return dict(config.to_dict()) if config else {"num_classes": 1000}


def from_config(spec: str, config: Mapping[str, Any], build: Any) -> Blueprint:
    """Return a blueprint with the normalization, resize rule and labels of a timm configuration.

    >>> from_config("timm:resnet18", {"num_classes": 1000, "mean": (0.5,) * 3}, None).mean
    (0.5, 0.5, 0.5)
    """
    from timm.data import resolve_data_config

    data = resolve_data_config({}, pretrained_cfg=dict(config), verbose=False)
    classes = config.get("num_classes") or 1000
    return Blueprint(
        spec,
        build,
        classes=classes,
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
        resize=Resize.from_timm(data),
        labels=imagenet_labels(classes),
    )


def create(
    name: str,
    config: Mapping[str, Any],
    shape: ModelShape,
    seed: int,
    *,
    state: Mapping[str, Tensor] | None = None,
    **arguments: Any,
) -> nn.Module:
    """Build a timm model with random weights, or with `state` under timm's or the publisher's names.

    With another number of classes than `state` has, the head is new. Raises ModelError where it does not fit.

    >>> create("test_resnet", configuration("test_resnet"), ModelShape(classes=3), 0).num_classes
    3
    """
    import timm

    config = dict(config)
    arguments["num_classes"] = shape.classes or config.get("num_classes") or 1000
    if shape.channels != 3:
        arguments["in_chans"] = shape.channels
    if shape.size and config.get("fixed_input_size"):
        arguments["img_size"] = shape.size
    if state is not None:
        config |= {"state_dict": dict(state), "custom_load": False, "source": ""}
    try:
        with seeded(seed):
            module = timm.create_model(name, pretrained=state is not None, pretrained_cfg=config, **arguments)
    # timm checks little by itself: what does not fit ends as whatever the architecture's code raises.
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"timm cannot build {name} for {shape}: {reason}") from error
    # Or the tensors would stay in memory and in every copy of the module.
    vars(module)["pretrained_cfg"].pop("state_dict", None)
    return module


def is_cached(name: str) -> bool:
    """Whether the weights of a timm model lie in a local cache.

    >>> is_cached("resnet10t") in (True, False)
    True
    """
    config = configuration(name)
    if config.get("hf_hub_id"):
        return cached_hub_file(config["hf_hub_id"], _hub_names(config)) is not None
    return bool(config.get("url")) and cached_url_file(config["url"]) is not None


def _weights_file(config: Mapping[str, Any]) -> Path:
    if config.get("hf_hub_id"):
        return hub_file(config["hf_hub_id"], _hub_names(config))
    if not config["url"].endswith(SUFFIXES):
        raise ModelError(f"{config['url']} is in a format that is not read", expected=" or ".join(SUFFIXES))
    return url_file(config["url"])


def _hub_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    named = config.get("hf_hub_filename")
    if not named:
        return _HUB_NAMES
    return (str(Path(named).with_suffix(".safetensors")).replace("pytorch_model", "model"), named)
