"""`file.py:factory`: the one place where code from outside is run, because the user names it.

The factory takes no argument and returns an `nn.Module`, or a `Classifier` with its own normalization and labels.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from backlight.classifier import Classifier
from backlight.errors import FileError, ModelError, did_you_mean
from backlight.models.blueprint import Blueprint, ModelShape, seeded


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Run a user's file and give the blueprint of what its factory returns.

    Raises FileError for a missing file, ModelError for a missing factory, one that fails, and one that returns
    something else.

    >>> find_blueprint("missing.py:make", 0)
    Traceback (most recent call last):
    backlight.errors.FileError: missing.py: does not exist; expected file.py:factory
    """
    place, _, factory = text.rpartition(":")
    path = Path(place)
    if not path.is_file():
        raise FileError(place, "does not exist", expected="file.py:factory")
    with seeded(seed):
        first = _call(path, factory)

    def build(_shape: ModelShape) -> nn.Module:
        # Anew each time but the first: what was built is then loaded into, or trained.
        with seeded(seed):
            made = _call(path, factory)
        return made.module if isinstance(made, Classifier) else made

    no_random = f"{text} decides about its weights itself"
    if not isinstance(first, Classifier):
        return Blueprint(text, build, lambda shape: first, no_random=no_random)
    return Blueprint(
        text,
        build,
        lambda shape: first.module,
        mean=first.mean,
        std=first.std,
        resize=first.resize,
        labels=first.labels,
        outputs=first.outputs,
        no_random=no_random,
    )


def _call(path: Path, factory: str) -> nn.Module | Classifier:
    # The file's folder is importable while it runs, as with `python file.py`.
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        made = _find_factory(path, factory)()
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{path}:{factory} failed: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    if not isinstance(made, (nn.Module, Classifier)):
        found = f"{path}:{factory} returns {type(made).__name__}"
        raise ModelError(found, expected="an nn.Module, or a Classifier")
    return made


def _find_factory(path: Path, factory: str) -> Any:
    module = _run(path)
    found = getattr(module, factory, None)
    if not callable(found):
        own = [name for name, thing in vars(module).items() if inspect.isroutine(thing) or inspect.isclass(thing)]
        hint = did_you_mean(factory, own) if own else f"def {factory or 'make'}(): ..."
        raise ModelError(f"{path} has no function {factory!r}", expected="file.py:factory", hint=hint)
    return found


def _run(path: Path) -> ModuleType:
    # Registered under a name of its own: dataclasses and pickle look their module up.
    name = f"backlight_user_{hashlib.blake2b(str(path.resolve()).encode(), digest_size=6).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
