"""What a classifier makes of a data set: a table with one row per image, from which every number follows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from backlight import __version__
from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.classifier.naming import match_names
from backlight.core.chunks import Chunk, in_chunks
from backlight.core.errors import DataError, Failure, ModelError
from backlight.core.grammar import normal
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.data.dataset import Dataset
from backlight.evaluate.metrics import rank_of
from backlight.sweep import Advance, Part, Task, sweep
from backlight.sweep.cost import Cost, cost_of, shape_of
from backlight.table import Table

_MOST_LOGITS = 2**26  # 256 MiB: 50,000 pictures of 1,000 classes, not of 10,000
_VIEWS = 6  # passes with test-time augmentation


class Samples(NamedTuple):
    """The table of the pictures that could be read, and those that could not."""

    table: Table
    failed: tuple[Failure, ...]


def predict_dataset(
    classifier: Classifier,
    data: Dataset,
    *,
    batch_size: int = 256,
    tta: bool = False,
    logits: bool | None = None,
    folder: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Samples:
    """Tabulate what a classifier predicts for a data set: one row per image, in the data's order.

    The columns are `id`, `label` and `prediction` (indices), `confidence` (softmax probability of the prediction),
    for labeled data `loss` (cross-entropy) and `rank` (how many classes have a higher logit than the label, equal
    ones by index), and `logits`; these are left out by default where all of them would take more than 256 MiB. With
    `tta` the logits are averaged over six views: the picture and two of its shifts by a pixel, each also mirrored, the
    unshifted two counting half (airbench). Finished blocks are kept in `folder` and read back; several processes share
    the work, and all get the whole table.

    Raises DataError when the data's labels are not the classifier's.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["a", "b"])
    >>> predict_dataset(classifier, data).table.names
    ['id', 'label', 'prediction', 'confidence', 'loss', 'rank', 'logits']
    """
    check_labels(classifier, data)
    if logits is None:
        logits = len(data) * classifier.classes <= _MOST_LOGITS
    passes = _VIEWS if tta else 1

    def work(block: Dataset, advance: Advance) -> Part:
        found, failed, chunk = list[Table](), list[Failure](), Chunk(batch_size)
        for batch in block.batches(batch_size):
            look = partial(_logits, classifier, batch.images, tta)
            if len(batch.ids):
                seen = torch.cat(list(in_chunks(look, len(batch.images), chunk)))
                # Columns that stay, between large logits that go, would keep the allocator from reusing their memory.
                found.append(tabulate(batch.ids, batch.labels, seen, logits_kept=logits).copy())
            failed += batch.failed
            advance(len(batch.ids) + len(batch.failed))
        return Part(Table.merge(found) if found else Table.of(id=[]), failed=tuple(failed))

    def cost() -> Cost:
        return cost_of(classifier, shape_of(classifier, data), passes, classifier.classes if logits else 0)

    depends = ("evaluate", classifier, batch_size, tta, logits, __version__)
    task = Task(f"evaluate {data.name}", data, work, depends, cost)
    found = sweep(task, folder=folder, engine=engine or Engine(classifier.device), progress=progress)
    return Samples(found.table, found.failed)


def tabulate(ids: Sequence[str], labels: Tensor, logits: Tensor, *, logits_kept: bool = True) -> Table:
    """Make the table of ids, labels int64 `[N]` (-1 where unknown) and logits `[N,classes]`.

    Where no prediction is well defined it is -1, and `confidence` and `loss` are NaN.

    >>> tabulate(["a"], torch.tensor([1]), torch.tensor([[0.0, 0.0]]))["loss"].round(4)
    array([0.6931], dtype=float32)
    """
    prediction = predicted_classes(logits)
    known = prediction >= 0
    confidence = logits.softmax(1).amax(1).where(known, torch.nan)
    columns = {"id": ids, "label": labels, "prediction": prediction, "confidence": confidence}
    if bool((labels >= 0).all()):
        columns["loss"] = F.cross_entropy(logits, labels, reduction="none").where(known, torch.nan)
        columns["rank"] = rank_of(logits.numpy(), labels.numpy())
    return Table.of({**columns, "logits": logits} if logits_kept else columns)


def match_labels(classifier: Classifier, data: Dataset) -> Dataset:
    """Number the data's labels as a classifier does, by name; the classifier may know more of them.

    All names are matched in one way: as labels, as aliases such as WordNet ids, as synonyms, or as numbers. Where one
    of the two has no names the data stays as it is. Raises DataError for names that the classifier lacks.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), [0, 1], ["cat", "dog"])
    >>> classifier = Classifier.from_module(nn.Flatten(), labels=["dog", "owl", "cat"])
    >>> match_labels(classifier, data).labels.tolist()
    [2, 0]
    """
    if not classifier.labels or not data.label_names or classifier.labels == data.label_names:
        return data
    found = match_names(data.label_names, classifier.labels, classifier.aliases)
    if found is None:
        known = {normal(label) for label in classifier.labels}
        unknown = [name for name in data.label_names if normal(name) not in known]
        raise DataError(
            f"{data.name} has labels {unknown[:5]} that the model does not know",
            expected=f"the labels {list(classifier.labels[:5])}..., or all as WordNet ids or numbers of classes",
        )
    renamed = replace(data, label_names=tuple(classifier.labels[index] for index in found))
    return renamed.relabeled(classifier.labels)


def fitted(classifier: Classifier, data: Dataset) -> Dataset:
    """Bring a data set to a classifier: labels numbered as its own, its channels, and its input size where it has one.

    Raises DataError for names that the classifier lacks.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(2, 1, 9, 9, dtype=torch.uint8), [0, 1], ["cat", "dog"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> fitted(Classifier.from_module(net, size=8, labels=["dog", "cat"]), data)[[0]].images.shape
    torch.Size([1, 3, 8, 8])
    """
    seen = match_labels(classifier, data).with_channels(classifier.channels)
    return seen if classifier.resize is None else seen.resized(classifier.resize)


def check_labeled(data: Dataset, hint: str = "") -> None:
    """Raise DataError unless every picture has a label; `hint` says what goes without.

    >>> check_labeled(Dataset.of(torch.zeros(1, 3, 2, 2).byte(), [0], ["cat"]))
    """
    if not data.labeled:
        raise DataError(f"{data.name} has pictures without labels", expected="all labeled", hint=hint)


def check_labels(classifier: Classifier, data: Dataset) -> None:
    """Raise DataError unless the data's label names are the classifier's, in the same order.

    A classifier without labels only needs as many classes.
    """
    match_labels(classifier, data)
    if classifier.labels and data.label_names and classifier.labels != data.label_names:
        lacking = [name for name in classifier.labels if name not in data.label_names]
        found = f"no class {lacking[0]!r}" if lacking else "its labels in another order"
        raise DataError(f"{data.name} has {found}", expected=f"the labels {list(classifier.labels[:5])}...")
    if data.label_names and len(data.label_names) != classifier.classes:
        raise DataError(f"{len(data.label_names)} classes in {data.name}", expected=f"{classifier.classes}")


def check_one_class(classifier: Classifier, data: Dataset) -> None:
    """Raise ModelError for a multi-label classifier: of several labels none is the one that is right or wrong.

    >>> data = Dataset.of(torch.zeros(1, 3, 2, 2).byte(), [0], ["cat"])
    >>> check_one_class(Classifier.from_module(torch.nn.Flatten()), data)
    """
    if classifier.multilabel:
        raise ModelError(
            f"{classifier.name} answers a question per label, and {data.name} is looked at with one label per picture",
            expected="a model of one class among all",
            hint="evaluate with several labels per picture, or one label's question: classifier.question(LABEL)",
        )


def _logits(classifier: Classifier, pictures: Tensor, tta: bool, part: slice) -> Tensor:
    images = pictures[part]
    with torch.no_grad():
        if not tta:
            return classifier.logits(images).cpu()
        padded = F.pad(images, (1, 1, 1, 1), mode="reflect")
        height, width = images.shape[2:]
        shifted = [padded[:, :, down : down + height, down : down + width] for down in (0, 2)]
        views = [(images, 0.5), *((one, 0.25) for one in shifted)]
        both = [(classifier.logits(one) + classifier.logits(one.flip(3))) / 2 * weight for one, weight in views]
        return torch.stack(both).sum(0).cpu()
