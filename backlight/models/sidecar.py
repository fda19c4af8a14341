"""A model's passport as JSON: in `model.json` beside its weights, written when asked, or inside of an ONNX file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from backlight.classifier import Classifier
from backlight.classifier.passport import FIELDS
from backlight.core.errors import FileError
from backlight.core.escaping import json_text
from backlight.core.files import require_new, write_text
from backlight.models.stated import Stated

NAME = "model.json"
ONNX_KEY = "backlight.model"  # of an ONNX file's metadata
_LARGEST = 16 * 2**20


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
    if weights is None and not place.exists():
        return Path()
    return place if place.is_dir() else place.parent


def find_passport(place: str | os.PathLike[str]) -> Path | None:
    """Find the `model.json` in a folder, or beside a file; None where there is none.

    >>> find_passport("no-such-folder/net.pth") is None
    True
    """
    path = Path(place)
    try:
        candidate = (path if path.is_dir() else path.parent) / NAME
        return candidate if candidate.is_file() else None
    except (OSError, ValueError):  # a name that no file can have
        return None


def read_passport(path: str | os.PathLike[str]) -> Stated:
    """Read what a `model.json` states; names that it lacks, or gives as null, are not stated.

    Raises FileError for what is no JSON object, and for values of another kind.
    """
    return parse_passport(read_json(path), path)


def parse_passport(found: dict[str, Any], path: str | os.PathLike[str]) -> Stated:
    """Return what a passport that stood in the file `path` states; raises FileError for values of another kind.

    >>> parse_passport({"mean": [0.5], "std": None}, "net.onnx").names
    ('mean',)
    """
    try:
        return _stated(found)
    except (TypeError, ValueError) as error:
        raise FileError(path, f"is no passport of a model ({error})", expected=f"{', '.join(FIELDS)}") from None


def read_json(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON object from a file of at most 16 MiB.

    Raises FileError for anything else.
    """
    source = Path(path)
    if not source.is_file():
        raise FileError(path, "is no file", expected="a JSON object")
    try:
        with source.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise FileError(path, f"cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST:
        raise FileError(path, "is larger than 16 MiB", expected="a JSON object")
    return parse_json(data, path)


def parse_json(data: str | bytes, path: str | os.PathLike[str]) -> dict[str, Any]:
    """Parse a JSON object that stood in the file `path`; raises FileError for anything else.

    >>> parse_json('{"std": 1}', "net.onnx")
    {'std': 1}
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise FileError(path, f"is not valid JSON ({error})") from None
    if not isinstance(found, dict):
        raise FileError(path, f"holds a {type(found).__name__}", expected="a JSON object")
    return found


def _stated(found: dict[str, Any]) -> Stated:
    size = found.get("size")
    return Stated(
        mean=_numbers("mean", found.get("mean")),
        std=_numbers("std", found.get("std")),
        size=_size(size) if size is not None else None,
        resize=_of("resize", found.get("resize"), int),
        crop=_of("crop", found.get("crop"), str, int, float),
        interpolation=_of("interpolation", found.get("interpolation"), str),
        labels=_labels(found.get("labels")),
        outputs=_of("outputs", found.get("outputs"), str),
    )


def _numbers(name: str, value: Any) -> float | tuple[float, ...] | None:
    if isinstance(value, list):
        return tuple(float(_of(name, one, int, float)) for one in value) or None
    number = _of(name, value, int, float)
    return None if number is None else float(number)


def _size(value: Any) -> tuple[int, int]:
    sides = value if isinstance(value, list) else [value, value]
    if len(sides) != 2:
        raise ValueError(f"size {value}")
    return _of("size", sides[0], int), _of("size", sides[1], int)


def _labels(value: Any) -> tuple[str, ...] | None:
    if value is not None and not isinstance(value, list):
        raise ValueError(f"labels {value!r}"[:80])
    return tuple(_of("labels", one, str) for one in value or ()) or None


def _of(name: str, value: Any, *kinds: type) -> Any:
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        raise ValueError(f"{name} {value!r}"[:80])
    return value
