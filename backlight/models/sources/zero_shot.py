"""`clip:ARCH/WEIGHTS` with names of classes: open_clip's image network, and one text vector per class.

The text side is computed once, when the model is built; what remains is an image network with a linear head, through
which gradients flow as through any other. Source: Radford et al. (2021), "Learning Transferable Visual Models From
Natural Language Supervision".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source, seeded
from backlight.models.checkpoint import read_checkpoint
from backlight.models.extras import require_package
from backlight.models.fetch import hub_file, url_file
from backlight.models.sidecar import read_object
from backlight.models.weights import fitted, load_state

_HUB_NAMES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin")
_TEXTS = 256
# Attention over texts takes memory by the square of their length. Every architecture of open_clip 3 is far below these.
_MOST = {
    "embed_dim": 2**13,
    "width": 2**13,
    "layers": 256,
    "image_size": 2048,
    "context_length": 1024,
    "vocab_size": 2**20,
}


class ZeroShot(nn.Module):
    """Compare an image network's normalized features with one vector per class: logits are scaled cosines `[B,K]`.

    >>> net = ZeroShot(nn.Flatten(), torch.eye(3), torch.tensor(100.0))
    >>> net(torch.tensor([[[[2.0]], [[0.0]], [[0.0]]]]))
    tensor([[100.,   0.,   0.]])
    """

    vectors: Tensor
    scale: Tensor

    def __init__(self, visual: nn.Module, vectors: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.visual = visual
        self.register_buffer("vectors", vectors)
        self.register_buffer("scale", scale)

    def forward(self, images: Tensor) -> Tensor:
        """Compute the scaled cosine of each image with each class."""
        return self.scale * F.normalize(self.visual(images), dim=-1) @ self.vectors.T


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Return the blueprint of an open_clip model, which `load(..., classes=...)` gives its classes.

    ARCH is one of open_clip's names or a JSON file of its form; WEIGHTS a tag of open_clip or a file, left out with
    random weights. Raises UsageError with the nearest names for unknown ones.
    """
    require_package("open_clip", "clip")
    architecture, weights = _split(text)
    config = _configuration(architecture)
    mean, std, known = _preprocessing(architecture, weights)
    size = config["vision_cfg"].get("image_size", 224)
    sides = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    def refuse(shape: ModelShape) -> nn.Module:
        raise UsageError(f"clip:{text} without names of classes", hint="--classes FILE, or classes=[...]")

    blank = Blueprint(
        f"clip:{text}",
        refuse,
        refuse,
        mean=mean,
        std=std,
        resize=Resize(min(sides), sides, "bicubic"),
        sources={**from_one_source("library"), **({} if known else {"mean": "assumed", "std": "assumed"})},
    )

    def with_classes(names: Sequence[str], templates: Sequence[str]) -> Blueprint:
        def build(shape: ModelShape) -> nn.Module:
            return _zero_shot(_network(config, seed), architecture, names, templates)

        def pretrained(shape: ModelShape) -> nn.Module:
            network = _network(config, seed)
            checkpoint = read_checkpoint(_weights_file(architecture, weights))
            load_state(network, fitted(checkpoint, network))
            return _zero_shot(network, architecture, names, templates)

        reason = f"clip:{text} names no weights"
        return replace(
            blank,
            build=build,
            pretrained=pretrained if weights else None,
            no_pretrained="" if weights else reason,
            classes=len(names),
            labels=tuple(names),
            sources={**blank.sources, "labels": "given"},
        )

    return replace(blank, with_classes=with_classes)


def _split(text: str) -> tuple[str, str]:
    # The architecture may be a file with slashes in its path; it ends in .json.
    if ".json" in text:
        file, _, weights = text.partition(".json")
        return f"{file}.json", weights.removeprefix("/")
    architecture, _, weights = text.partition("/")
    return architecture, weights


def _configuration(architecture: str) -> dict[str, Any]:
    import open_clip

    if architecture.endswith(".json"):
        found = read_object(architecture)
    else:
        found = open_clip.get_model_config(architecture) or {}
    if not {"embed_dim", "vision_cfg", "text_cfg"} <= set(found):
        hint = did_you_mean(architecture, open_clip.list_models())
        raise UsageError(f"open_clip has no architecture {architecture!r}", hint=hint)
    sides = found["vision_cfg"].get("image_size", 224) if isinstance(found["vision_cfg"], dict) else None
    pair = sides if isinstance(sides, list) and len(sides) == 2 else [sides]
    if not isinstance(found["text_cfg"], dict) or not all(type(side) is int and side > 0 for side in pair):
        expected = '"vision_cfg" with a whole "image_size", and "text_cfg"'
        raise ModelError(f"{architecture} describes no network of open_clip", expected=expected)
    for part in (found, found["vision_cfg"], found["text_cfg"]):
        for name, most in _MOST.items():
            sizes = part.get(name)
            if any(isinstance(size, int) and size > most for size in (sizes if isinstance(sizes, list) else [sizes])):
                raise ModelError(f"{architecture} asks for a {name} of {sizes}", expected=f"at most {most}")
    return found


def _preprocessing(architecture: str, weights: str) -> tuple[tuple[float, ...], tuple[float, ...], bool]:
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD
    from open_clip.pretrained import get_pretrained_cfg

    tag = get_pretrained_cfg(architecture, weights) if weights and not os.path.isfile(weights) else {}
    mean, std = tag.get("mean") or OPENAI_DATASET_MEAN, tag.get("std") or OPENAI_DATASET_STD
    return tuple(map(float, mean)), tuple(map(float, std)), bool(tag) or not weights


def _network(config: Mapping[str, Any], seed: int) -> Any:
    from open_clip import CLIP, CustomTextCLIP

    plain = json.loads(json.dumps(config))
    custom = plain.pop("custom_text", False)
    # Their own weights of these come from elsewhere, and nothing is downloaded here unasked.
    plain["vision_cfg"]["timm_model_pretrained"] = False
    plain["text_cfg"]["hf_model_pretrained"] = False
    known = ("embed_dim", "vision_cfg", "text_cfg", "quick_gelu")
    try:
        with seeded(seed):
            return (CustomTextCLIP if custom else CLIP)(**{key: plain[key] for key in known if key in plain}).eval()
    except Exception as error:  # what does not fit ends as whatever the architecture's code raises
        raise _unusable("build this architecture", error) from error


def _unusable(what: str, error: Exception) -> ModelError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ModelError(f"open_clip cannot {what}: {reason}")


def _weights_file(architecture: str, weights: str) -> Path | str:
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    if os.path.exists(weights) or "/" in weights:
        return weights
    tag = get_pretrained_cfg(architecture, weights)
    if not tag:
        known = list_pretrained_tags_by_model(architecture)
        raise UsageError(f"open_clip has no weights {weights!r} of {architecture}", hint=did_you_mean(weights, known))
    if tag.get("hf_hub"):
        repository, _, name = str(tag["hf_hub"]).rpartition("/")
        return hub_file(repository or name, (name,) if repository and "." in name else _HUB_NAMES)
    return url_file(str(tag["url"]))


def _zero_shot(network: Any, architecture: str, names: Sequence[str], templates: Sequence[str]) -> nn.Module:
    if "text" in dict(network.named_children()) and "token_embedding" not in dict(network.text.named_children()):
        raise ModelError(f"{architecture} has a tokenizer of another library", expected="one of open_clip's own")
    try:
        with torch.no_grad():
            means = _means(network, names, templates)
            return ZeroShot(
                network.visual, F.normalize(means, dim=-1), network.logit_scale.exp().detach().clone()
            ).eval()
    except Exception as error:  # sizes that do not fit end as whatever the architecture's code raises
        raise _unusable("read texts with this architecture", error) from error


def _means(network: Any, names: Sequence[str], templates: Sequence[str]) -> Tensor:
    from open_clip.tokenizer import SimpleTokenizer

    tokenize, vectors = SimpleTokenizer(context_length=int(network.context_length)), []
    texts = [template.replace("{}", name) for name in names for template in templates]
    for start in range(0, len(texts), _TEXTS):
        vectors.append(F.normalize(network.encode_text(tokenize(texts[start : start + _TEXTS])), dim=-1))
    return torch.cat(vectors).view(len(names), len(templates), -1).mean(1)
