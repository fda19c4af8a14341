"""`file.py:function`: the one place where code from outside is run, because the user names it."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from backlight.core.errors import BacklightError, FileError, UsageError, did_you_mean
from backlight.core.files import expanded

FORM = "file.py:function"


def is_file_function(text: str) -> bool:
    """Whether a text has the form `file.py:function`.

    >>> is_file_function("mine.py:attack"), is_file_function("pgd:steps=3"), is_file_function("mine.py")
    (True, False, False)
    """
    place, colon, name = text.rpartition(":")
    return bool(colon) and place.endswith(".py") and name.isidentifier()


def function_of(text: str) -> Any:
    """Return what `file.py:NAME` names: a function or any other object. The file is run once, until it changes.

    Raises FileError for a missing file, UsageError for a missing name and for a file that fails.

    >>> function_of("missing.py:attack")
    Traceback (most recent call last):
    backlight.core.errors.FileError: missing.py: does not exist; expected file.py:function
    """
    path, name = split(text)
    stamp = path.stat()
    try:
        with importable(path):
            module = _run_once(path.resolve(), (stamp.st_mtime_ns, stamp.st_size))
    except BacklightError:
        raise
    except Exception as error:
        raise UsageError(f"{path} failed: {type(error).__name__}: {error}") from error
    return member(module, path, name)


def split(text: str) -> tuple[Path, str]:
    """Split `file.py:NAME` into a file that exists and a name; raise FileError where it does not.

    >>> split(f"{__file__}:split")[1]
    'split'
    """
    place, _, name = text.rpartition(":")
    path = expanded(place)
    if not os.path.isfile(path):
        raise FileError(place, "does not exist", expected=FORM)
    return path, name


def run_file(path: Path) -> ModuleType:
    """Run a file anew as a module of its own; whatever it raises passes through."""
    # Registered under a name of its own: dataclasses and pickle look their module up.
    name = f"backlight_user_{hashlib.blake2b(os.fsencode(path.resolve()), digest_size=6).hexdigest()}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None  # a .py file always has one
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def member(module: ModuleType, path: Path, name: str) -> Any:
    """Return a module's member; raise UsageError with the nearest names where there is none.

    >>> import backlight.core.user_code
    >>> member(backlight.core.user_code, Path(__file__), "spilt")
    Traceback (most recent call last):
    backlight.core.errors.UsageError: ... has no function 'spilt'; expected file.py:function; try: split
    """
    if hasattr(module, name):
        return getattr(module, name)
    own = [one for one, thing in vars(module).items() if inspect.isroutine(thing) or inspect.isclass(thing)]
    hint = did_you_mean(name, own) if own else f"def {name}(...): ..."
    raise UsageError(f"{path} has no function {name!r}", expected=FORM, hint=hint)


def code_of(function: Any) -> str:
    """Return the hash of the file that a function of somebody else is written in, to tell finished work apart by.

    It is empty for this program's own functions, and for those that no file holds.

    >>> import json
    >>> code_of(code_of), len(code_of(json.dumps))
    ('', 24)
    """
    plain = function
    while isinstance(plain, partial):
        plain = plain.func
    module = inspect.getmodule(plain) or inspect.getmodule(type(plain))
    file = getattr(module, "__file__", None)
    if file is None or module is None or module.__name__.partition(".")[0] == __name__.partition(".")[0]:
        return ""
    return hashlib.blake2b(Path(file).read_bytes(), digest_size=12).hexdigest()


@contextmanager
def importable(path: Path) -> Iterator[None]:
    """Make a file's folder importable while it runs, as with `python file.py`."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


@lru_cache(maxsize=32)
def _run_once(path: Path, _stamp: tuple[int, int]) -> ModuleType:
    return run_file(path)
