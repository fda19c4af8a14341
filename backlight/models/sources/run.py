"""Run folders as models: the network that `run.json` names, with the weights of the best epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from backlight.core.errors import BacklightError, FileError, InputError
from backlight.images import Resize
from backlight.models.allocation import beside_weights
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source
from backlight.models.checkpoint import read_checkpoint
from backlight.models.weights import load_state
from backlight.runs.folder import RunFolder, is_run


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Return the blueprint of a run folder; its published weights are those of the best epoch.

    Raises FileError for a run of another format, a broken one, and one whose model would have to be run as code.
    """
    folder = RunFolder(text)
    info = folder.info
    path = folder.path / "run.json"
    try:
        return _blueprint(info, text, seed)
    except (KeyError, TypeError, ValueError, AttributeError, InputError) as error:
        found = f"is not as a run has it ({type(error).__name__}: {error})"
        raise FileError(path, found, expected="what `backlight train` wrote") from None


def _blueprint(info: dict[str, Any], text: str, seed: int) -> Blueprint:
    # Imported here: the registry lists this module among its sources.
    from backlight.models.registry import find_blueprint

    spec = str(info["model"])
    if ".py:" in spec:
        raise FileError(
            Path(text) / "run.json",
            f"names the model {spec!r}, which is code that would be run",
            expected="a model by its name",
            hint=f"--model {spec} --weights {Path(text) / 'best.safetensors'}",
        )
    if is_run(spec):
        # A run that names itself would be looked up for ever; training writes down what a run was built from.
        raise FileError(Path(text) / "run.json", f"names another run, {spec!r}", expected="a model by its name")
    try:
        inner = find_blueprint(spec, seed)
    except BacklightError as error:
        raise FileError(Path(text) / "run.json", f"names a model that cannot be built: {error}") from None
    labels = tuple(str(label) for label in info["labels"])
    resize = Resize(**{**info["resize"], "size": tuple(info["resize"]["size"])})
    channels = len(info["mean"])

    limited = beside_weights(inner.build, Path(text) / "best.safetensors")

    def build(shape: ModelShape) -> nn.Module:
        return limited(ModelShape(shape.classes or len(labels), shape.size or resize.size, channels))

    def trained(shape: ModelShape) -> nn.Module:
        return load_state(build(shape), read_checkpoint(Path(text) / "best.safetensors"))

    return replace(
        inner,
        spec=spec,
        build=build,
        pretrained=trained,
        classes=len(labels),
        mean=tuple(map(float, info["mean"])),
        std=tuple(map(float, info["std"])),
        resize=resize,
        labels=labels,
        no_pretrained="",
        place="",
        sources=from_one_source("run"),
    )
