"""`file.py:factory`: a model that a function in a user's file makes.

The factory takes no argument and returns an `nn.Module`, or a `Classifier` with its own normalization and labels.
"""

from __future__ import annotations

from pathlib import Path

from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.diagnosis import inner_normalization
from backlight.errors import ModelError, UsageError
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source, seeded
from backlight.user_code import importable, member, run_file, split


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Run a user's file and give the blueprint of what its factory returns.

    Raises FileError for a missing file, ModelError for a missing factory, one that fails, and one that returns
    something else.

    >>> find_blueprint("missing.py:make", 0)
    Traceback (most recent call last):
    backlight.errors.FileError: missing.py: does not exist; expected file.py:function
    """
    path, factory = split(text)
    with seeded(seed):
        first = _call(path, factory)

    def build(_shape: ModelShape) -> nn.Module:
        # Anew each time but the first: what was built is then loaded into, or trained.
        with seeded(seed):
            made = _call(path, factory)
        return made.module if isinstance(made, Classifier) else made

    no_random = f"{text} decides about its weights itself"
    if not isinstance(first, Classifier):
        sources = from_one_source("assumed")
        if inner_normalization(first) is not None:
            sources |= {"mean": "given", "std": "given"}
        return Blueprint(text, build, lambda shape: first, no_random=no_random, place=str(path), sources=sources)
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
        place=str(path),
        sources=first.sources,
    )


def _call(path: Path, factory: str) -> nn.Module | Classifier:
    try:
        with importable(path):
            made = member(run_file(path), path, factory)()
    except ModelError:
        raise
    except UsageError as error:
        raise ModelError(error.found, expected=error.expected, hint=error.hint) from None
    except Exception as error:
        raise ModelError(f"{path}:{factory} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, (nn.Module, Classifier)):
        found = f"{path}:{factory} returns {type(made).__name__}"
        raise ModelError(found, expected="an nn.Module, or a Classifier")
    return made
