"""A folder with `model.json` and weights: the architecture that the passport names, with the weights beside it."""

from __future__ import annotations

import os
import shlex
from dataclasses import replace
from pathlib import Path

from backlight.core.errors import BacklightError, FileError
from backlight.core.files import inside
from backlight.models.allocation import beside_weights
from backlight.models.blueprint import Blueprint
from backlight.models.checkpoint import SUFFIXES
from backlight.models.sidecar import find_passport, read_object

ARCHITECTURES = ("efficientnet_lite0", "timm", "torchvision", "network")
"""The sources whose models are built without running code and without asking the network."""


def is_kept_folder(spec: str) -> bool:
    """Whether a path is a folder with a `model.json`.

    >>> is_kept_folder("no-such-folder")
    False
    """
    return os.path.isdir(spec) and find_passport(spec) is not None


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Return the blueprint of the architecture that the folder's passport names, to be filled with its weights.

    Raises FileError for a passport without a name, for one whose model is no architecture of the library, and where
    the folder holds no weights or several files of them.
    """
    # Imported here: the registry lists this module among its sources.
    from backlight.models.registry import MODEL_SOURCES

    folder = Path(text)
    passport = find_passport(folder)
    assert passport is not None  # or the folder would not have been recognized
    spec = read_object(passport).get("name")
    if not isinstance(spec, str) or not spec:
        raise FileError(
            passport,
            "names no model",
            expected='"name", as in "timm:resnet18"',
            hint=_hint("ARCHITECTURE", folder / "FILE"),
        )
    source = next((MODEL_SOURCES[name] for name in ARCHITECTURES if MODEL_SOURCES[name].matches(spec)), None)
    if source is None:
        forms = " | ".join(MODEL_SOURCES[name].form for name in ARCHITECTURES)
        raise FileError(
            passport, f"names the model {spec[:80]!r}", expected=forms, hint=_hint(spec[:80], folder / "FILE")
        )
    try:
        blueprint = source.find(spec.removeprefix(source.prefix), seed)
    except BacklightError as error:
        raise FileError(passport, f"names a model that cannot be built: {error}") from None
    weights = _weights_in(folder)
    return replace(blueprint, build=beside_weights(blueprint.build, weights), place=text, weights=str(weights))


def _weights_in(folder: Path) -> Path:
    found = sorted(path.name for path in folder.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())
    if len(found) != 1:
        held = f"holds {', '.join(found[:5])}" if found else f"holds no file of weights ({', '.join(SUFFIXES)})"
        hint = _hint("ARCHITECTURE", folder / found[0]) if found else ""
        raise FileError(folder, held, expected="one file of weights beside model.json", hint=hint)
    inside(folder, found[0])  # refuses a link that leads elsewhere
    return folder / found[0]


def _hint(spec: str, file: Path) -> str:
    return f"--model {shlex.quote(spec)} --weights {shlex.quote(str(file))}"
