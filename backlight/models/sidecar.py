"""A model's passport as JSON: in `model.json` beside its weights, written when asked, or inside of an ONNX file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.classifier.passport import FIELDS
from backlight.core.escaping import json_text
from backlight.core.files import require_new, write_text
from backlight.core.reading import read_json
from backlight.core.schema import Schema, array, either, nullable, number, record, require, text, whole
from backlight.models.stated import Stated

NAME = "model.json"
ONNX_KEY = "backlight.model"  # of an ONNX file's metadata
_LARGEST = 16 * 2**20
_OBJECT = record({})


def write_passport(classifier: Classifier, folder: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write a classifier's passport as `model.json` into a folder, where `load` finds it beside the weights.

    Raises UsageError where there is one and `force` does not replace it, FileError where it cannot be written.

    >>> import tempfile
    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Flatten(), mean=(0.5,) * 3, std=0.25, labels=["a", "b"])
    >>> read_passport(write_passport(classifier, tempfile.mkdtemp())).std
    (0.25, 0.25, 0.25)
    """
    target = require_new(Path(folder) / NAME, force)
    write_text(target, json_text(classifier.passport.to_json()) + "\n")
    return target


def folder_of(spec: str, weights: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder in which a model's passport belongs: that of its weights, else its own, else this one.

    >>> folder_of("timm:resnet18", "runs/net.pth")
    PosixPath('runs')
    """
    place = Path(weights) if weights is not None else Path(spec)
    if weights is None and ".py:" in spec:
        place = Path(spec.rpartition(":")[0])
    if weights is None and not os.path.exists(place):
        return Path()
    return place if os.path.isdir(place) else place.parent


def find_passport(place: str | os.PathLike[str]) -> Path | None:
    """Find the `model.json` in a folder, or beside a file; None where there is none.

    >>> find_passport("no-such-folder/net.pth") is None
    True
    """
    path = Path(place)
    candidate = (path if os.path.isdir(path) else path.parent) / NAME
    return candidate if os.path.isfile(candidate) else None


def read_passport(path: str | os.PathLike[str]) -> Stated:
    """Read what a `model.json` states; names that it lacks, or gives as null, are not stated.

    Raises FileError for what is no JSON object of at most 16 MiB, and for values of another kind.
    """
    return parse_passport(read_object(path), path)


def read_object(path: str | os.PathLike[str], schema: Schema = _OBJECT) -> dict[str, Any]:
    """Read a JSON object from a file of at most 16 MiB; raises FileError for one that does not fit the schema."""
    found: dict[str, Any] = read_json(path, schema, limit=_LARGEST, expected="a JSON object")
    return found


def parse_passport(found: Any, path: str | os.PathLike[str]) -> Stated:
    """Return what a passport that stood in the file `path` states; raises FileError for values of another kind.

    >>> parse_passport({"mean": [0.5], "std": None}, "net.onnx").names
    ('mean',)
    """
    require(path, found, _PASSPORT)
    given = {name: _tupled(found.get(name)) for name in FIELDS}
    sides = given["size"]
    return Stated(**{**given, "size": (sides, sides) if isinstance(sides, int) else sides})


def _tupled(value: Any) -> Any:
    """Make lists tuples; an empty one states nothing."""
    return (tuple(value) or None) if isinstance(value, list) else value


_MEANS = either(number(), array(number()))
_SIDE = whole(1, 2**16)
_PASSPORT = record(
    {},
    {
        "mean": nullable(_MEANS),
        "std": nullable(_MEANS),
        "size": nullable(either(_SIDE, array(_SIDE, lowest=2, highest=2))),
        "resize": nullable(_SIDE),
        "crop": nullable(either(text(), number())),
        "interpolation": nullable(text()),
        "labels": nullable(array(text())),
        "outputs": nullable(text()),
    },
)
