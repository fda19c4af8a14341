"""`hf:NAME_OR_FOLDER`: an image classifier of the transformers library, in a folder or on the Hugging Face hub.

Built from its configuration by the library's own classes; no code of a repository is run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import nn

from backlight.classifier.naming import distinct
from backlight.core.errors import ModelError, UsageError, did_you_mean
from backlight.core.schema import array, either, leaf, nullable, number, record, whole
from backlight.images import Resize
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source, seeded
from backlight.models.extras import require_package
from backlight.models.fetch import cached_hub_file, hub_file
from backlight.models.sidecar import read_object

_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_SIDE, _POSITIVE = (
    whole(1, 2**16),
    leaf("a number above 0", lambda value: type(value) in (int, float) and 1e-6 < value < 1e6),
)
_SIDES = either(_SIDE, either(array(_SIDE), record({}, dict.fromkeys(("height", "width", "shortest_edge"), _SIDE))))
_CONFIG = record(
    {},
    {
        "image_size": nullable(either(_SIDE, either(array(_SIDE, lowest=2, highest=2), record({})))),
        "id2label": nullable(record({})),
        "num_labels": nullable(whole(1, 2**20)),
    },
)
_PROCESSOR = record(
    {},
    {
        **dict.fromkeys(("image_mean", "image_std"), nullable(array(number(), highest=2**10))),
        **dict.fromkeys(("size", "crop_size"), nullable(_SIDES)),
        **dict.fromkeys(("rescale_factor", "crop_pct"), nullable(_POSITIVE)),
        "resample": nullable(whole()),
    },
)
_SQUASHED_FROM = 384  # ConvNeXt's processor crops below and squashes from this size on


def find_blueprint(name: str, seed: int) -> Blueprint:
    """Return the blueprint of a folder that `save_pretrained` wrote, or of a repository in the cache or on the hub.

    Labels come from its `config.json`, normalization and geometry from `preprocessor_config.json`, and are assumed
    where there is none. Raises UsageError for what is neither, ModelError for what is no image classifier.
    """
    require_package("transformers", "hf")
    spec, folder = f"hf:{name}", _folder(name)
    described = read_object(folder / "config.json", _CONFIG)
    _model_type(spec, described)

    def build(shape: ModelShape) -> nn.Module:
        return _build(spec, described, shape, seed)

    def pretrained(shape: ModelShape) -> nn.Module:
        if not folder.joinpath(_WEIGHTS[0]).is_file() and not os.path.isdir(name):
            hub_file(name, _WEIGHTS)
        return _pretrained(spec, folder, described, shape, seed)

    processor = _processor(name, folder)
    size = described.get("image_size")
    sides = tuple(size) if isinstance(size, list) else (size, size) if isinstance(size, int) else None
    mean, std = _normalization(processor)
    labels = _labels(described)
    return Blueprint(
        spec,
        build,
        pretrained,
        classes=len(described.get("id2label") or ()) or int(described.get("num_labels") or 2),
        mean=mean,
        std=std,
        resize=_geometry(processor, sides),
        labels=labels,
        place=name if os.path.isdir(name) else "",
        sources={**from_one_source("library" if processor else "assumed"), "labels": "library", "outputs": "library"},
    )


def _folder(name: str) -> Path:
    path = Path(name)
    if os.path.isdir(path):
        if not (path / "config.json").is_file():
            raise UsageError(f"the folder {name!r} has no config.json", expected="what save_pretrained wrote")
        return path
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?", name):
        raise UsageError(f"'hf:{name}' is no folder and no repository", expected="hf:FOLDER or hf:ORG/NAME")
    return hub_file(name, ["config.json"]).parent


def _processor(name: str, folder: Path) -> Mapping[str, Any]:
    path = folder / "preprocessor_config.json"
    if not path.is_file() and not os.path.isdir(name):
        found = cached_hub_file(name, [path.name])
        return read_object(found, _PROCESSOR) if found else {}
    return read_object(path, _PROCESSOR) if path.is_file() else {}


def _model_type(spec: str, described: Mapping[str, Any]) -> str:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES as KNOWN

    kind = described.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING or kind not in KNOWN:
        hint = did_you_mean(str(kind), KNOWN)
        raise ModelError(f"{spec} is of type {kind!r}", expected="an image classifier of transformers", hint=hint)
    return kind


def _configuration(spec: str, described: Mapping[str, Any], shape: ModelShape) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    changed = {key: value for key, value in described.items() if key != "auto_map"}
    if shape.classes is not None and shape.classes != len(described.get("id2label") or ()):
        changed.pop("id2label", None)
        changed.pop("label2id", None)
        changed["num_labels"] = shape.classes
    if shape.size is not None and "image_size" in described:
        changed["image_size"] = shape.size[0] if shape.size[0] == shape.size[1] else list(shape.size)
    if shape.channels != 3:
        changed["num_channels"] = shape.channels
    try:
        return CONFIG_MAPPING[_model_type(spec, described)].from_dict(changed)
    except ModelError:
        raise
    except Exception as error:  # what a value of another kind ends with is up to the architecture's own checks
        raise ModelError(f"{spec} has an unusable config.json: {_reason(error)}") from error


def _network(configuration: Any) -> Any:
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING

    found = MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING[type(configuration)]
    known: tuple[Any, ...] = found if isinstance(found, tuple) else (found,)
    named = [one for one in known if one.__name__ in (configuration.architectures or ())]
    return (named or known)[0]


def _build(spec: str, described: Mapping[str, Any], shape: ModelShape, seed: int) -> nn.Module:
    configuration = _configuration(spec, described, shape)
    try:
        with seeded(seed):
            module: nn.Module = _network(configuration)(configuration)
    # What does not fit ends as whatever the architecture's code raises.
    except Exception as error:
        raise ModelError(f"{spec} cannot be built for {shape}: {_reason(error)}") from error
    return module


def _pretrained(spec: str, folder: Path, described: Mapping[str, Any], shape: ModelShape, seed: int) -> nn.Module:
    configuration = _configuration(spec, described, shape)
    try:
        with seeded(seed), _quiet():
            module, found = _network(configuration).from_pretrained(
                folder,
                config=configuration,
                local_files_only=True,
                weights_only=True,
                output_loading_info=True,
                ignore_mismatched_sizes=shape.classes is not None,
            )
    except Exception as error:  # a broken file decides which one it is
        raise ModelError(f"the weights of {spec} cannot be read: {_reason(error)}") from error
    if found["missing_keys"]:
        missing = ", ".join(sorted(found["missing_keys"])[:6])
        raise ModelError(f"the weights of {spec} lack {missing}", expected="the weights of an image classifier")
    network: nn.Module = module
    return network


def _reason(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bar and advice off the terminal, and leave its settings as they were."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _labels(described: Mapping[str, Any]) -> tuple[str, ...]:
    given = described.get("id2label")
    if not isinstance(given, dict) or set(given) != {str(index) for index in range(len(given))}:
        return ()
    names = [str(given[str(index)]) for index in range(len(given))]
    # What the library calls classes that nobody named.
    return () if all(re.fullmatch(r"LABEL_\d+", name) for name in names) else distinct(names)


def _normalization(processor: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    plain = not processor.get("do_normalize", True)
    mean = [0.0] * 3 if plain else processor.get("image_mean") or [0.5] * 3
    std = [1.0] * 3 if plain else processor.get("image_std") or [0.5] * 3
    # Values are first made 0 to 255, times the factor; a processor that does not rescale leaves them there.
    scale = 255 * float(processor.get("rescale_factor") or 1 / 255) if processor.get("do_rescale", True) else 255.0
    return tuple(float(one) / scale for one in mean), tuple(float(one) / scale for one in std)


def _geometry(processor: Mapping[str, Any], own: tuple[int, int] | None) -> Resize | None:
    filter_name = _FILTERS.get(processor.get("resample", 2), "bilinear")
    size, crop = _sides(processor.get("size")), _sides(processor.get("crop_size"))
    if size is None:
        return Resize(min(own), own, filter_name) if own else None
    shorter = min(size)
    if processor.get("crop_pct") and isinstance(processor.get("size"), dict) and "shortest_edge" in processor["size"]:
        if shorter >= _SQUASHED_FROM:
            return Resize(shorter, size, filter_name, squash=True)
        return Resize(int(shorter / processor["crop_pct"]), size, filter_name)
    cropped = bool(processor.get("do_center_crop")) and crop is not None
    squash = "shortest_edge" not in processor["size"] if isinstance(processor["size"], dict) else not cropped
    return Resize(shorter, crop if cropped and crop is not None else size, filter_name, squash)


def _sides(value: Any) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, dict) and {"height", "width"} <= set(value):
        return int(value["height"]), int(value["width"])
    if isinstance(value, dict) and "shortest_edge" in value:
        return int(value["shortest_edge"]), int(value["shortest_edge"])
    return None
