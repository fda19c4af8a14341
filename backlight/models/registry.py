"""The whole `--model` grammar in one table: which form a specification has, and who reads it."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import nn

from backlight.classifier import Classifier
from backlight.core.errors import UsageError, did_you_mean
from backlight.core.plugins import Registry
from backlight.models import networks
from backlight.models.blueprint import Blueprint
from backlight.models.checkpoint import SUFFIXES
from backlight.models.sources.embedded import PACKAGES
from backlight.models.sources.kept_folder import is_kept_folder
from backlight.models.sources.user_file import made_blueprint
from backlight.runs.folder import is_run

DEFAULT = "efficientnet_lite0"


@dataclass(frozen=True)
class ModelSource:
    """One form of specification: how it is written, what it means, how it is recognized, and who reads it.

    `find(argument, seed)` returns the blueprint; the argument is the specification without `prefix`.

    >>> MODEL_SOURCES["timm"].form, MODEL_SOURCES["timm"].matches("timm:resnet18")
    ('timm:NAME', True)
    """

    name: str
    form: str
    summary: str
    find: Callable[[str, int], Blueprint]
    recognize: Callable[[str], bool] | None = None

    @property
    def prefix(self) -> str:
        """Return what every specification of this form begins with; empty where something else tells it."""
        return "" if self.recognize is not None else f"{self.name}:"

    def matches(self, spec: str) -> bool:
        """Whether a specification has this form."""
        return spec.startswith(self.prefix) if self.recognize is None else self.recognize(spec)


def _in_module(module: str) -> Callable[[str, int], Blueprint]:
    """Return a function that imports the module, and whatever that needs, only when it is called."""

    def find(argument: str, seed: int) -> Blueprint:
        found: Blueprint = importlib.import_module(f"backlight.models.sources.{module}").find_blueprint(argument, seed)
        return found

    return find


def _program(kind: str) -> Callable[[str, int], Blueprint]:
    def find(argument: str, seed: int) -> Blueprint:
        programs = importlib.import_module("backlight.models.sources.programs")
        found: Blueprint = getattr(programs, f"find_{kind}")(argument, seed)
        return found

    return find


def _made(name: str, function: Callable[[str], nn.Module | Classifier]) -> ModelSource:
    """Return the source of a function from what stands behind `NAME:` to a module or a classifier."""

    def find(argument: str, seed: int) -> Blueprint:
        return made_blueprint(f"{name}:{argument}", partial(function, argument), seed)

    return ModelSource(name, f"{name}:...", "models of a plug-in", find)


_SOURCES = (
    ModelSource(DEFAULT, DEFAULT, "embedded ImageNet weights", _in_module("embedded"), PACKAGES.__contains__),
    ModelSource("timm", "timm:NAME", "a timm model", _in_module("timm_zoo")),
    ModelSource("torchvision", "torchvision:NAME", "a torchvision model", _in_module("torchvision_zoo")),
    ModelSource("hf-hub", "hf-hub:ORG/NAME", "a timm model on the Hugging Face hub", _in_module("hub")),
    ModelSource("hf", "hf:NAME_OR_FOLDER", "an image classifier of transformers", _in_module("huggingface")),
    ModelSource("clip", "clip:ARCH/WEIGHTS", "open_clip's, on --classes FILE", _in_module("zero_shot")),
    ModelSource("onnx", "onnx:FILE", "a network for onnxruntime, without gradients", _program("onnx")),
    ModelSource("torchscript", "torchscript:FILE", "a TorchScript program, which is run", _program("torchscript")),
    ModelSource("exported", "exported:FILE", "a program of torch.export, which is run", _program("exported")),
    ModelSource(
        "file",
        "file.py:factory",
        "a function in a file of yours that returns a module or a Classifier; the file is run",
        _in_module("user_file"),
        lambda spec: spec.rpartition(":")[0].endswith(".py"),
    ),
    ModelSource(
        "network",
        "NAME",
        "one of our networks, options after a colon: vit:depth=2",
        _in_module("own"),
        lambda spec: spec.partition(":")[0] in networks.NETWORKS,
    ),
    ModelSource("run", "RUN", "a run folder of `train`, with its best weights", _in_module("run"), is_run),
    ModelSource("folder", "FOLDER", "a folder with model.json and weights", _in_module("kept_folder"), is_kept_folder),
)
MODEL_SOURCES = Registry("model_sources", "source of models", _SOURCES, ModelSource, wrap=_made)


def find_blueprint(spec: str, seed: int = 0) -> Blueprint:
    """Return what a specification stands for, without building it.

    Raises UsageError with the nearest names for an unknown specification, and as the sources do.

    >>> find_blueprint("timm:resnet18").classes
    1000
    """
    for source in MODEL_SOURCES.values():
        if source.matches(spec):
            return source.find(spec.removeprefix(source.prefix), seed)
    raise _unknown(spec)


def _unknown(spec: str) -> UsageError:
    forms = " | ".join(source.form for source in MODEL_SOURCES.values())
    if spec.endswith(SUFFIXES):
        return UsageError(f"{spec!r} is a file of weights", hint=f"--model ARCHITECTURE --weights {shlex.quote(spec)}")
    if spec.endswith(".py"):
        return UsageError(f"{spec!r} names no function", expected="file.py:factory")
    if os.path.isdir(spec):
        return UsageError(
            f"the folder {spec!r} is no model",
            expected=forms,
            hint="a model.json in it that names its architecture, or --model ARCHITECTURE --weights FILE",
        )
    if "/" in spec or os.path.exists(spec):
        found = "is a file, not a run folder" if os.path.exists(spec) else "does not exist"
        return UsageError(f"{spec!r} {found}", expected="the folder that `backlight train --out` wrote")
    import timm

    from backlight.models.sources.torchvision_zoo import names

    zoo = {"timm": timm.list_models(), "torchvision": names()}
    exact = [f"{place}:{spec}" for place, known in zoo.items() if spec in known]
    own = [*PACKAGES, *networks.names()]
    everything = [*own, *(f"{place}:{name}" for place, known in zoo.items() for name in known)]
    hint = " or ".join(exact) or did_you_mean(spec, everything)
    return UsageError(f"no model {spec!r}", expected=forms, hint=hint)
