"""`file.py:factory`: a model that a function in a user's file makes.

The factory takes no argument and returns an `nn.Module`, or a `Classifier` with its own normalization and labels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torch import nn

from backlight.classifier import Classifier
from backlight.classifier.diagnosis import inner_normalization
from backlight.core.errors import ModelError, UsageError
from backlight.core.user_code import importable, member, run_file, split
from backlight.models.blueprint import Blueprint, ModelShape, from_one_source, seeded


def find_blueprint(text: str, seed: int) -> Blueprint:
    """Run a user's file and give the blueprint of what its factory returns.

    Raises FileError for a missing file, ModelError for a missing factory, one that fails, and one that returns
    something else.

    >>> find_blueprint("missing.py:make", 0)
    Traceback (most recent call last):
    backlight.core.errors.FileError: missing.py: does not exist; expected file.py:function
    """
    path, factory = split(text)
    return made_blueprint(text, lambda: _run(path, factory), seed, place=str(path))


def made_blueprint(text: str, make: Callable[[], nn.Module | Classifier], seed: int, *, place: str = "") -> Blueprint:
    """Return the blueprint of what a function of somebody else makes; `text` names it, `place` is where it lies.

    Raises ModelError for a function that fails or returns something else.

    >>> made_blueprint("mine:linear", lambda: nn.Linear(2, 2), 0).no_random
    'mine:linear decides about its weights itself'
    """
    with seeded(seed):
        first = _made(text, make)

    def build(_shape: ModelShape) -> nn.Module:
        # Anew each time but the first: what was built is then loaded into, or trained.
        with seeded(seed):
            made = _made(text, make)
        return made.module if isinstance(made, Classifier) else made

    no_random = f"{text} decides about its weights itself"
    if not isinstance(first, Classifier):
        sources = from_one_source("assumed")
        if inner_normalization(first) is not None:
            sources |= {"mean": "given", "std": "given"}
        return Blueprint(text, build, lambda shape: first, no_random=no_random, place=place, sources=sources)
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
        place=place,
        sources=first.sources,
    )


def _run(path: Path, factory: str) -> nn.Module | Classifier:
    with importable(path):
        made: nn.Module | Classifier = member(run_file(path), path, factory)()
    return made


def _made(text: str, make: Callable[[], nn.Module | Classifier]) -> nn.Module | Classifier:
    try:
        made = make()
    except ModelError:
        raise
    except UsageError as error:
        raise ModelError(error.found, expected=error.expected, hint=error.hint) from None
    except Exception as error:
        raise ModelError(f"{text} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, (nn.Module, Classifier)):
        raise ModelError(f"{text} returns {type(made).__name__}", expected="an nn.Module, or a Classifier")
    return made
