"""The names of classes: what a person writes, made into an index; compared in one Unicode form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from backlight.core.errors import InputError, ModelError, UsageError, did_you_mean
from backlight.core.grammar import normal, parse_whole, shortened

_LABEL, _INDEX = "label:", "index:"


def checked_labels(labels: Iterable[str]) -> tuple[str, ...]:
    """Return labels in one Unicode form.

    Raises ModelError that names what repeats: two classes of one name cannot be told apart.

    >>> checked_labels(["crane", "heron", "crane"])
    Traceback (most recent call last):
    backlight.core.errors.ModelError: the label 'crane' is that of classes 0 and 2; expected a name of its own ...
    """
    names = tuple(map(normal, labels))
    places: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        places.setdefault(name, []).append(index)
    repeated = {name: where for name, where in places.items() if len(where) > 1}
    if not repeated:
        return names
    name, where = next(iter(repeated.items()))
    more = f", and {len(repeated) - 1} more labels repeat" if len(repeated) > 1 else ""
    raise ModelError(
        f"the label {name[:80]!r} is that of classes {_listed(where)}{more}",
        expected="a name of its own for each class",
        hint=f"{name[:80]} ({where[-1]})",
    )


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """Return published labels with the class's number behind each one that repeats.

    >>> distinct(["crane", "heron", "crane"])
    ('crane (0)', 'heron', 'crane (2)')
    """
    counts: dict[str, int] = {}
    for name in labels:
        counts[name] = counts.get(name, 0) + 1
    return tuple(f"{name} ({index})" if counts[name] > 1 else name for index, name in enumerate(labels))


def find_class(labels: Sequence[str], classes: int, asked: str | int, aliases: Mapping[str, int]) -> int:
    """Find the class that is meant: its exact label, then its number, then a synonym.

    Synonyms are labels without regard to case and underscores, their parts between commas, and `aliases`.
    `label:NAME` asks for names alone, `index:10` for a number alone.

    Raises InputError for what names no class, with the nearest names, and for what names several, with both.

    >>> find_class(["cat, small", "cat"], 2, "cat", {}), find_class(["2", "1"], 2, "1", {})
    (1, 1)
    """
    if isinstance(asked, int):
        return _number(asked, classes)
    name = normal(asked.strip())
    if name in labels:
        return _one(name, [index for index, label in enumerate(labels) if label == name], labels)
    if name.startswith(_INDEX):
        return _number(_integer(name.removeprefix(_INDEX), classes), classes)
    if re.fullmatch("-?[0-9]+", name):
        return _number(_integer(name, classes), classes)
    name = name.removeprefix(_LABEL).strip()
    if name in labels:
        return labels.index(name)
    return _synonym(name, labels, aliases)


def _synonym(name: str, labels: Sequence[str], aliases: Mapping[str, int]) -> int:
    whole: dict[str, list[int]] = {}
    part: dict[str, list[int]] = {}
    for index, label in enumerate(labels):
        whole.setdefault(_folded(label), []).append(index)
        for one in {_folded(piece) for piece in label.split(",")}:
            part.setdefault(one, []).append(index)
    for alias, index in aliases.items():
        if index not in part.setdefault(_folded(alias), []):
            part[_folded(alias)].append(index)
    for known in (whole, part):
        if _folded(name) in known:
            return _one(name, known[_folded(name)], labels)
    raise InputError(f"no class {name!r}", hint=did_you_mean(_folded(name), {**whole, **part}) if part else "")


def _one(name: str, found: Sequence[int], labels: Sequence[str]) -> int:
    if len(found) == 1:
        return found[0]
    meant = " and ".join(f"class {index} ({labels[index]!r})" for index in found[:4])
    raise InputError(f"{name!r} may be {meant}", expected="one class", hint=f"index:{found[0]}, or the whole label")


def _integer(text: str, classes: int) -> int:
    try:
        return parse_whole(text)
    except UsageError:
        raise InputError(f"index {shortened(text)}", expected=f"a number, 0 to {classes - 1}") from None


def _number(index: int, classes: int) -> int:
    if not 0 <= index < classes:
        raise InputError(f"class {index}", expected=f"0 to {classes - 1}")
    return index


def match_names(names: Sequence[str], labels: Sequence[str], aliases: Mapping[str, int]) -> list[int] | None:
    """Match all of a data set's class names with a model's classes in one way, or none of them.

    The ways are labels, aliases (such as WordNet ids), names without regard to case and underscores or their synonyms,
    and numbers; the first in which every name is a class of its own counts.

    >>> match_names(["n02123045", "n02099601"], ["cat", "dog"], {"n02123045": 0, "n02099601": 1})
    [0, 1]
    >>> match_names(["1", "0"], ["cat", "dog"], {}), match_names(["1", "cat"], ["cat", "dog"], {}) is None
    ([1, 0], True)
    >>> match_names(["Afghan_hound", "TENCH"], ["tench", "Afghan hound"], {})
    [1, 0]
    """
    exact = {label: index for index, label in enumerate(labels)}
    ways: list[dict[str, int]] = [exact, dict(aliases), _unambiguous(labels, aliases)]
    ways.append({str(index): index for index in range(len(labels))})
    for place, known in enumerate(ways):
        keys = [_folded(normal(name)) if place == 2 else normal(name) for name in names]
        found = [known[key] for key in keys if key in known]
        if len(found) == len(names) and len(set(found)) == len(found):
            return found
    return None


def _unambiguous(labels: Sequence[str], aliases: Mapping[str, int]) -> dict[str, int]:
    meant: dict[str, set[int]] = {}
    for index, label in enumerate(labels):
        for one in (label, *label.split(",")):
            meant.setdefault(_folded(one), set()).add(index)
    for alias, index in aliases.items():
        meant.setdefault(_folded(alias), set()).add(index)
    return {name: indices.pop() for name, indices in meant.items() if len(indices) == 1}


def _folded(name: str) -> str:
    """Write a name without regard to case, and folders' underscores as the blanks they stand for."""
    return name.replace("_", " ").strip().casefold()


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers[:4]))
