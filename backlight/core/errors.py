"""Errors that say what was found, what was expected and what to try.

BacklightError
    InputError   images, labels, targets or values handed to a function
    FileError    a file or folder on disk
    DataError    a data set: its layout, its labels, its splits
    ModelError   a model: its name, its weights, what it returns
    LayerError   a layer name inside a model
    UsageError   an option or a specification string
    OtherProcessError  another process of the group has a problem, and says so itself
"""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Iterable
from typing import NamedTuple

_python_format = warnings.formatwarning


class BacklightError(Exception):
    """Report a problem that the caller can mend.

    `found` says what is wrong, `expected` what would have been right, `hint` what to try next.

    >>> print(BacklightError("eps is 8", expected="at most 1", hint="write '8/255'"))
    eps is 8; expected at most 1; try: write '8/255'
    """

    def __init__(self, found: str, *, expected: str = "", hint: str = "") -> None:
        self.found, self.expected, self.hint = found, expected, hint
        parts = [found]
        if expected:
            parts.append(f"expected {expected}")
        if hint:
            parts.append(f"try: {hint}")
        super().__init__("; ".join(parts))


class InputError(BacklightError):
    """Images, labels, targets or values handed to a function are not usable.

    >>> print(InputError("images are int64", expected="floats in [0,1]"))
    images are int64; expected floats in [0,1]
    """


class FileError(BacklightError):
    """A file or folder cannot be used; `path` names it.

    >>> print(FileError("cat.jpg", "is empty"))
    cat.jpg: is empty
    """

    def __init__(self, path: object, found: str, *, expected: str = "", hint: str = "") -> None:
        self.path = str(path)
        self.reason = found
        super().__init__(f"{self.path}: {found}", expected=expected, hint=hint)

    def trying(self, hint: str) -> FileError:
        """Return the same error with other advice.

        >>> print(FileError("run.json", "is empty").trying("--force"))
        run.json: is empty; try: --force
        """
        return FileError(self.path, self.reason, expected=self.expected, hint=hint)


class DataError(BacklightError):
    """A data set's layout, labels or splits are not usable.

    >>> print(DataError("pets has no train part"))
    pets has no train part
    """


class ModelError(BacklightError):
    """A model's name, weights or outputs are not usable.

    >>> print(ModelError("2 rows for 3 images", expected="one row for each"))
    2 rows for 3 images; expected one row for each
    """


class LayerError(BacklightError):
    """A layer name does not fit the model.

    >>> print(LayerError("no layer 'layer9'", hint="layer4"))
    no layer 'layer9'; try: layer4
    """


class UsageError(BacklightError):
    """An option or a specification string is not understood.

    >>> print(UsageError("no attack 'pdg'", hint="pgd"))
    no attack 'pdg'; try: pgd
    """


class OtherProcessError(BacklightError):
    """Another process of a group cannot go on and says why: this one ends with it, without a word.

    >>> print(OtherProcessError("photos: there is no such folder"))
    photos: there is no such folder
    """


class Failure(NamedTuple):
    """Name an input that could not be used, a path or the id of a picture, and why.

    >>> Failure("cats/7.jpg", "the file is empty").to_json()
    {'path': 'cats/7.jpg', 'error': 'the file is empty'}
    """

    path: str
    error: str

    @staticmethod
    def of(path: str, error: FileError) -> Failure:
        """Name an input by this path alone; an error's own text begins with the path that it knows."""
        return Failure(path, str(error).removeprefix(f"{error.path}: "))

    def to_json(self) -> dict[str, str]:
        """Return `{"path", "error"}`."""
        return {"path": self.path, "error": self.error}


class PluginWarning(UserWarning):
    """An installed plug-in cannot be used; everything else goes on without it.

    >>> issubclass(PluginWarning, UserWarning)
    True
    """


def in_one_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Write a warning about a plug-in for people, and any other as Python does.

    >>> in_one_line("the plug-in 'waves' cannot be used", PluginWarning, "", 0)
    "backlight: the plug-in 'waves' cannot be used\\n"
    """
    if issubclass(category, PluginWarning):
        return f"backlight: {message}\n"
    return _python_format(message, category, filename, lineno, line)


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """List the names that hold a word, or else those closest to a mistyped one, best first.

    >>> nearest("resnet5O", ["resnet50", "resnet18", "vit"]), nearest("cat", ["coat", "Persian cat", "vat"])
    (['resnet50', 'resnet18'], ['Persian cat'])
    """
    known = list(names)
    asked = name.casefold()
    holding = [one for one in known if asked in _words(one) and one.casefold() != asked]
    return holding[:count] or difflib.get_close_matches(name, known, n=count, cutoff=0.6)


def _words(name: str) -> set[str]:
    words = name.casefold().split()
    return set(words) if len(words) > 1 else set()


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """Phrase the nearest names as a hint, or list what there is when nothing is near.

    >>> did_you_mean("salency", ["saliency", "gradcam"])
    'saliency'
    """
    known = list(names)
    close = nearest(name, known)
    if close:
        return " or ".join(close)
    return "one of " + ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")


def counted(number: int, noun: str) -> str:
    """Phrase a number of things.

    >>> counted(1, "picture"), counted(0, "class"), counted(2, "picture")
    ('1 picture', '0 classes', '2 pictures')
    """
    return f"{number} {noun}" + ("" if number == 1 else "es" if noun.endswith("s") else "s")
