"""Names of classes: ImageNet's, offline, and those of a file."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from backlight.classifier.naming import distinct
from backlight.core.errors import FileError
from backlight.core.reading import parse_json, read_text

_WRAPPERS = ("id2label", "label2id", "class_to_idx", "class_names", "classes", "labels", "names")
_NUMBERED = re.compile(r"([0-9]{1,18})(?:\s*[,:;\t]\s*|\s+)(\S.*)")
_LARGEST_FILE = 16 * 2**20  # bytes; 21,843 ImageNet names with their definitions take 3 MB


@functools.cache
def imagenet_labels(classes: int = 1000) -> tuple[str, ...]:
    """List ImageNet's class names in words, in the order of the logits; none for an unknown number of classes.

    The 1000 are torchvision's, which are all different ("crane", "crane bird"); the larger sets (11221, 11821,
    21841, 21842, 21843 classes) are the first WordNet lemma of each class, from timm.

    >>> imagenet_labels()[207], imagenet_labels(7)
    ('golden retriever', ())
    """
    if classes == 1000:
        return tuple(label for _, label, _ in _imagenet())
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    if subset is None:
        return ()
    return distinct([lemmas.split(",")[0] for lemmas in ImageNetInfo(subset).label_descriptions()])


@functools.cache
def imagenet_aliases() -> Mapping[str, int]:
    """Name ImageNet's 1000 classes by WordNet id, and by each lemma that is no label and no other class's.

    >>> imagenet_aliases()["n02099601"], imagenet_aliases()["tabby cat"]
    (207, 281)
    """
    labels = {label.casefold() for label in imagenet_labels()}
    meant: dict[str, set[int]] = {}
    for index, (_, _, lemmas) in enumerate(_imagenet()):
        for lemma in map(str.strip, lemmas.split(",")):
            meant.setdefault(lemma, set()).add(index)
    synsets = {synset: index for index, (synset, _, _) in enumerate(_imagenet())}
    lone = {name: min(indices) for name, indices in meant.items() if len(indices) == 1}
    return synsets | {name: index for name, index in lone.items() if name.casefold() not in labels}


@functools.cache
def _imagenet() -> tuple[tuple[str, str, str], ...]:
    """Read WordNet id, label and lemmas of each of the 1000 classes, kept here because zoos take seconds to import."""
    rows = files("backlight.models").joinpath("imagenet.tsv").read_text("utf-8").splitlines()
    return tuple((synset, label, lemmas) for synset, label, lemmas in (row.split("\t") for row in rows))


def read_labels(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read class names: one per line, a JSON list, or a JSON object of index to name or of name to index.

    Lines may begin with the class's number, all of them or none. An object may hold the names among other entries, as
    `id2label`, `class_to_idx`, `classes`, `labels` or `names`.

    Raises FileError for a file that is missing, larger than 16 MiB, no UTF-8, YAML, or not such a list.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "labels.json"
    >>> _ = path.write_text('{"1": "dog", "0": "cat"}')
    >>> read_labels(path)
    ('cat', 'dog')
    """
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        raise FileError(path, "is YAML, which is not read", expected="labels, one per line, or JSON")
    text = read_text(path, limit=_LARGEST_FILE, expected="labels in UTF-8, one per line, or JSON")
    if text.lstrip().startswith(("[", "{")):
        labels = _from_json(path, text)
    else:
        labels = _without_numbers([line.strip() for line in text.rstrip().splitlines()])
    if not labels:
        raise FileError(path, "holds no labels", expected="one per line, or JSON")
    if "" in labels:
        raise FileError(path, f"label {labels.index('')} is empty", expected="a name for every class")
    return tuple(labels)


def _from_json(path: str | os.PathLike[str], text: str) -> list[str]:
    found = parse_json(text, path)
    if isinstance(found, dict):
        found = next((found[key] for key in _WRAPPERS if isinstance(found.get(key), (dict, list))), found)
    if isinstance(found, dict):
        found = _in_order(path, found)
    if not all(isinstance(name, str) for name in found):
        raise FileError(path, "holds labels that are no text", expected='["cat", "dog"]')
    return [name.strip() for name in found]


def _without_numbers(lines: list[str]) -> list[str]:
    """Take the numbers off where every line begins with one and they are those of the classes, in any order."""
    found = [_NUMBERED.fullmatch(line) for line in lines]
    names = {int(one[1]): one[2] for one in found if one}
    if sorted(names) != list(range(len(lines))):
        return lines
    return [names[index] for index in range(len(lines))]


def _in_order(path: str | os.PathLike[str], found: dict[str, Any]) -> list[Any]:
    by_name = all(isinstance(index, int) for index in found.values())
    pairs = ((index, name) for name, index in found.items()) if by_name else found.items()
    # Some lists give each class a pair, as in {"0": ["n01440764", "tench"]}: the last one is in words.
    names = {str(index): name[-1] if isinstance(name, list) and name else name for index, name in pairs}
    missing = [index for index in range(len(found)) if str(index) not in names]
    if missing:
        expected = f"every number from 0 to {len(found) - 1} once"
        raise FileError(path, f"has no label for class {missing[0]}", expected=expected)
    return [names[str(index)] for index in range(len(found))]
