"""What a classifier says about pictures: the most likely classes of each file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from backlight.classifier import Classifier
from backlight.classifier.heads import UNDEFINED
from backlight.classifier.naming import match_names
from backlight.classifier.predictions import Prediction, top_classes
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.errors import Failure, InputError
from backlight.core.progress import Progress
from backlight.images import Picture
from backlight.images.cover import Square, covered
from backlight.images.intake import read_batches


@dataclass(frozen=True)
class Predicted:
    """A picture file and its most likely classes, best first.

    >>> Predicted("a.png", (Prediction("cat", 3, 0.9, 7.1),)).best.index
    3
    """

    path: str
    predictions: tuple[Prediction, ...]
    true: str | None = None
    """The class whose folder the file lies in, where all of the files lie in folders of classes."""

    @property
    def best(self) -> Prediction:
        """Return the most likely class."""
        return self.predictions[0]

    def to_json(self) -> dict[str, object]:
        """Return `{"path", "predictions": [{"label", "index", "probability", "logit"}]}`, and `"true"` where known."""
        known = {} if self.true is None else {"true": self.true}
        return {"path": self.path, **known, "predictions": [vars(one) for one in self.predictions]}


@dataclass(frozen=True)
class Predictions:
    """The pictures that could be read and those that could not, each in the order in which they were given.

    >>> Predictions((Predicted("a.png", ()),), ()).failed
    ()
    """

    done: tuple[Predicted, ...]
    failed: tuple[Failure, ...]

    def __iter__(self) -> Iterator[Predicted]:
        return iter(self.done)

    def __len__(self) -> int:
        return len(self.done)

    def to_json(self) -> list[Mapping[str, object]]:
        """Return one entry per readable picture, then one per unreadable one."""
        return [*(one.to_json() for one in self.done), *(one.to_json() for one in self.failed)]


def predict(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    *,
    top: int = 5,
    batch_size: int = 32,
    progress: Progress | None = None,
    cover: Square | None = None,
) -> Predictions:
    """Predict the `top` most likely classes of picture files.

    Each file is read by the classifier's own resize rule; `cover` hides a square of what the model sees behind the
    color that its normalization takes for nothing. At most `batch_size` pictures are in memory at a
    time, and a batch that does not fit is halved. A file that cannot be read, and one for which the
    model's output is NaN or infinite, is named in `.failed` and the others go on. Where all of them lie in folders
    named as classes are, `.true` says which.

    Raises InputError for a `top` or `batch_size` below 1.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from torch import nn
    >>> from backlight.images import write_png
    >>> path = Path(tempfile.mkdtemp()) / "grey.png"
    >>> write_png(path, torch.full((3, 2, 2), 0.5))
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 2))
    >>> classifier = Classifier.from_module(net, size=2, labels=["cat", "dog"])
    >>> len(predict(classifier, [path]).done[0].predictions)
    2
    """
    done: list[Predicted] = []
    failed: list[Failure] = []
    true = class_folders(classifier, paths)
    seen = classify_files(classifier, paths, failed, top=top, chunk=Chunk(batch_size), cover=cover, progress=progress)
    for path, classes in seen:
        done.append(Predicted(str(path), classes, true.get(folder_name(path))))
    return Predictions(tuple(done), tuple(failed))


def classify_files(
    classifier: Classifier,
    paths: Sequence[str | os.PathLike[str]],
    failed: list[Failure],
    *,
    top: int,
    chunk: Chunk,
    cover: Square | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Path, tuple[Prediction, ...]]]:
    """Yield each file that has a prediction, with its `top` most likely classes; add the others to `failed`.

    Files are read in batches of the size that `chunk` has at the start. Raises InputError for a `top` below 1.

    >>> from torch import nn
    >>> failed, classifier = [], Classifier.from_module(nn.Flatten(), size=2)
    >>> list(classify_files(classifier, ["nowhere.png"], failed, top=1, chunk=Chunk(4))), failed[0].path
    ([], 'nowhere.png')
    """
    if top < 1:
        raise InputError(f"top {top}", expected="at least 1")
    for pictures in read_batches(classifier, paths, chunk.size, failed, progress=progress, description="predict"):
        for picture, classes in zip(pictures, _classify(classifier, pictures, top, chunk, cover)):
            if classes:
                yield Path(picture.path), classes
            else:
                failed.append(Failure(str(picture.path), UNDEFINED))


def class_folders(classifier: Classifier, paths: Sequence[str | os.PathLike[str]]) -> dict[str, str]:
    """Return the class of each folder by its name, where all files lie in folders that are named as classes are.

    >>> from torch import nn
    >>> classifier = Classifier.from_module(nn.Flatten(), labels=["cat", "dog"])
    >>> class_folders(classifier, ["a/dog/1.png", "a/cat/2.png"]), class_folders(classifier, ["dog/1.png", "x/2.png"])
    ({'cat': 'cat', 'dog': 'dog'}, {})
    """
    names = sorted({folder_name(path) for path in paths})
    found = match_names(names, classifier.labels, classifier.aliases) if names and classifier.labels else None
    # A lone folder of numbers may be called anything.
    if found is None or (all(name.isdigit() for name in names) and len(names) == 1):
        return {}
    return {name: classifier.labels[index] for name, index in zip(names, found)}


def folder_name(path: str | os.PathLike[str]) -> str:
    """Return the name of the folder that a file lies in, whatever the current folder is.

    >>> folder_name("photos/cat/1.png")
    'cat'
    """
    return Path(path).resolve().parent.name


def _classify(
    classifier: Classifier, pictures: list[Picture], top: int, chunk: Chunk, square: Square | None
) -> Iterator[tuple[Prediction, ...]]:
    def look(part: slice) -> list[tuple[Prediction, ...]]:
        images = torch.stack([picture.image for picture in pictures[part]])
        if square is not None:
            images = covered(images, square, classifier.mean)
        with torch.no_grad():
            return top_classes(classifier, classifier.logits(images), top)

    return (classes for part in in_chunks(look, len(pictures), chunk) for classes in part)
