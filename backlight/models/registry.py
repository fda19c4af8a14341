"""The whole `--model` grammar in one table: which form a specification has, and who reads it."""

from __future__ import annotations

import importlib
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backlight.errors import UsageError, did_you_mean
from backlight.models import networks
from backlight.models.blueprint import Blueprint
from backlight.models.sources.embedded import PACKAGES
from backlight.models.weights import SUFFIXES
from backlight.runs.folder import is_run

DEFAULT = "efficientnet_lite0"


@dataclass(frozen=True)
class Source:
    """One form of specification: how it is written, what it means, how it is recognized, and who reads it.

    `module` offers `find_blueprint(argument, seed) -> Blueprint`; the argument is the specification without `prefix`.

    >>> SOURCES[0].form
    'efficientnet_lite0'
    """

    form: str
    summary: str
    matches: Callable[[str], bool]
    module: str
    prefix: str = ""

    def find(self, spec: str, seed: int) -> Blueprint:
        """Return the blueprint of a specification of this form."""
        module = importlib.import_module(self.module)
        found: Blueprint = module.find_blueprint(spec.removeprefix(self.prefix), seed)
        return found


def _prefixed(form: str, summary: str, module: str) -> Source:
    prefix = form.partition(":")[0] + ":"
    return Source(form, summary, lambda spec: spec.startswith(prefix), module, prefix)


SOURCES = (
    Source(DEFAULT, "embedded ImageNet weights", PACKAGES.__contains__, "backlight.models.sources.embedded"),
    _prefixed("timm:NAME", "a timm model", "backlight.models.sources.timm_zoo"),
    _prefixed("torchvision:NAME", "a torchvision model", "backlight.models.sources.torchvision_zoo"),
    _prefixed("hf-hub:ORG/NAME", "a timm model on the Hugging Face hub", "backlight.models.sources.hub"),
    Source(
        "file.py:factory",
        "a function in a file of yours that returns a module or a Classifier; the file is run",
        lambda spec: spec.rpartition(":")[0].endswith(".py"),
        "backlight.models.sources.user_file",
    ),
    Source(
        "NAME",
        "one of our networks, options after a colon: vit:depth=2",
        lambda spec: spec.partition(":")[0] in networks.names(),
        "backlight.models.sources.own",
    ),
    Source("RUN", "a run folder of `train`, with its best weights", is_run, "backlight.models.sources.run"),
)


def find_blueprint(spec: str, seed: int = 0) -> Blueprint:
    """Return what a specification stands for, without building it.

    Raises UsageError with the nearest names for an unknown specification, and as the sources do.

    >>> find_blueprint("timm:resnet18").classes
    1000
    """
    for source in SOURCES:
        if source.matches(spec):
            return source.find(spec, seed)
    raise _unknown(spec)


def _unknown(spec: str) -> UsageError:
    if spec.endswith(SUFFIXES):
        return UsageError(f"{spec!r} is a file of weights", hint=f"--model ARCHITECTURE --weights {shlex.quote(spec)}")
    if spec.endswith(".py"):
        return UsageError(f"{spec!r} names no function", expected="file.py:factory")
    if Path(spec).is_dir():
        return UsageError(f"the folder {spec!r} is no model", expected=" | ".join(source.form for source in SOURCES))
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
    return UsageError(f"no model {spec!r}", expected=" | ".join(source.form for source in SOURCES), hint=hint)
