"""How a classifier fares under corruptions and small shifts: one pass over a data set, many looks at each picture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from backlight.classifier import Classifier
from backlight.classifier.heads import predicted_classes
from backlight.core.errors import Failure
from backlight.core.processes import Engine
from backlight.core.progress import Progress
from backlight.core.random import Random, Seed
from backlight.corrupt import corrupt
from backlight.corrupt.registry import CorruptionCard
from backlight.corrupt.request import CorruptionRequest, view_name
from backlight.corrupt.shifts import SHIFTS, Shift
from backlight.corrupt.study import CorruptionStudy
from backlight.data.batch import Batch
from backlight.data.dataset import Dataset
from backlight.evaluate.samples import check_labeled, check_one_class, match_labels
from backlight.images.resize import Resize
from backlight.sweep import Part, Task, sweep
from backlight.sweep.cost import cost_of
from backlight.sweep.task import Advance
from backlight.table import Table

_BATCH = 32


def evaluate_corruptions(
    classifier: Classifier,
    data: Dataset,
    request: CorruptionRequest | None = None,
    *,
    seed: Seed = 0,
    cache: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> CorruptionStudy:
    """Look at every picture of a data set as it is, under every corruption, and after small shifts where asked.

    Corruptions act on pictures at the model's input size; each is keyed by (seed, kind, severity, id), so that a
    picture's result depends on no other. Those of a request for `stored` ones are the data's views (`read_stored`).
    Labels may be missing where only stability is asked for. Finished blocks are kept in the folder `cache`, and the
    next run of the same evaluation goes on from them.

    Raises DataError for unlabeled data with kinds, and for labels that the classifier does not know.

    >>> from torch import nn
    >>> data = Dataset.of(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), [0, 1, 1, 0], ["a", "b"])
    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    >>> classifier = Classifier.from_module(net, size=8, labels=["a", "b"])
    >>> found = evaluate_corruptions(classifier, data, CorruptionRequest.of("fog", severities=[1]))
    >>> found.clean_accuracy
    0.5
    """
    start = time.perf_counter()
    request = request or CorruptionRequest.of()
    if request.kinds:
        check_labeled(data, "--kinds none --stability needs no labels")
    check_one_class(classifier, data)
    seen = (match_labels(classifier, data) if data.labeled else data).with_channels(classifier.channels)
    looker = _Looker(classifier.fast(), classifier.resize, request, seed)
    shape = _shape(classifier, seen)
    task = Task(
        f"corruptions of {data.name}",
        seen,
        looker.look,
        depends=(classifier, classifier.resize, request.describe(), [one.function for one in request.kinds], seed),
        cost=lambda: cost_of(classifier, shape, request.passes),
    )
    found = sweep(task, folder=cache, engine=engine or Engine(classifier.device), progress=progress)
    return CorruptionStudy(
        found.table,
        request,
        classifier.labels or data.label_names,
        data.split,
        (*data.failed, *found.failed, *_undefined(found.table, request)),
        shape[-2:],
        time.perf_counter() - start,
        _told(classifier.resize) if request.stability else {},
    )


def _told(resize: Resize | None) -> dict[str, tuple[str, ...]]:
    """Say in words what the other ways to resize are."""
    found = other_resizes(resize)
    methods = tuple(one.interpolation for one in found.get("resize_method", ()))
    crops = tuple(f"shorter side {one.shorter_side}" for one in found.get("crop", ()))
    return {"resize_method": methods, "crop": crops}


def _shape(classifier: Classifier, data: Dataset) -> tuple[int, ...]:
    if classifier.resize is not None:
        return (classifier.channels, *classifier.resize.size)
    return tuple(data.read([0]).shape[1:]) if len(data) else (classifier.channels, 1, 1)


class _Answer(NamedTuple):
    """The predicted classes `[B]`, -1 where none is well defined, and the probabilities `[B,classes]`."""

    prediction: Tensor
    probabilities: Tensor

    @property
    def confidence(self) -> Tensor:
        return self.probabilities.amax(1)


class _Looker:
    """Everything that one block needs: the classifier, how pictures are resized for it, what is asked, the seed."""

    def __init__(self, classifier: Classifier, resize: Resize | None, request: CorruptionRequest, seed: Seed) -> None:
        self.classifier, self.resize, self.request, self.seed = classifier, resize, request, seed

    def look(self, data: Dataset, advance: Advance) -> Part:
        """Tabulate a block."""
        sized = data.resized(self.resize) if self.resize is not None else data
        tables: list[Table] = []
        failed: list[Failure] = []
        with self.classifier.guard():  # once for all looks: to enter it costs as much as some of them
            for batch in sized.batches(_BATCH):
                table, lost = self._batch(data, sized, batch) if len(batch.ids) else (None, {})
                if table is not None and len(table):
                    tables.append(table)
                failed += [*batch.failed, *lost.values()]
                advance(len(batch.ids) + len(batch.failed))
        return Part(Table.merge(tables) if tables else Table.of(id=[]), failed=tuple(failed))

    def _batch(self, data: Dataset, sized: Dataset, batch: Batch) -> tuple[Table, dict[str, Failure]]:
        """Tabulate some pictures, without those of which a stored view cannot be read, which are named."""
        columns: dict[str, object] = {"id": batch.ids, "label": batch.labels}
        lost: dict[str, Failure] = {}
        if self.request.clean:
            clean = self._answers([batch.images])[0]
            columns |= {"prediction": clean.prediction, "confidence": clean.confidence}
        for card in self.request.kinds:
            views = []
            for severity in self.request.severities:
                images, failed = self._corrupted(sized, batch, card, severity)
                lost |= failed
                views.append(images)
            answers = self._answers(views)
            columns[f"{card.name}.prediction"] = torch.stack([one.prediction for one in answers], 1)
            columns[f"{card.name}.confidence"] = torch.stack([one.confidence for one in answers], 1)
        if self.request.stability:
            columns |= self._stability(data, batch.images, batch.ids, clean)
        found = Table.of(columns)
        return (found.where([one not in lost for one in batch.ids]) if lost else found), lost

    def _corrupted(
        self, sized: Dataset, batch: Batch, card: CorruptionCard, severity: int
    ) -> tuple[Tensor, dict[str, Failure]]:
        """Return a batch under a kind at a severity, and the pictures whose place is black as they cannot be read."""
        if not self.request.stored:
            random = Random(self.seed, batch.ids)
            return corrupt(batch.images, card, severity, random=random, table=self.request.table), {}
        name = view_name(card.name, severity)
        found = next(sized.view(name).take(batch.rows).batches(len(batch.rows)))
        if not found.failed:
            return found.images, {}
        images = batch.images.new_zeros(len(batch.rows), *(found.images if len(found.ids) else batch.images).shape[1:])
        images[found.rows] = found.images
        return images, {one.path: Failure(one.path, f"{name}: {one.error}") for one in found.failed}

    def _stability(self, data: Dataset, images: Tensor, ids: list[str], clean: _Answer) -> dict[str, Tensor]:
        random = Random(self.seed, ids)
        columns: dict[str, Tensor] = {}
        for shift in SHIFTS.values():
            views = [
                self._shifted(shift, images, amount, random) for amount in shift.amounts_for(min(images.shape[2:]))
            ]
            columns |= _changes(shift.name, self._answers(views), clean)
        place = {name: row for row, name in enumerate(data.ids)}
        block = data.take([place[one] for one in ids])
        for name, rules in other_resizes(self.resize).items():
            views = [next(iter(block.resized(rule).batches(len(ids)))).images for rule in rules]
            columns |= _changes(name, self._answers(views), clean)
        return columns

    def _shifted(self, shift: Shift, images: Tensor, amount: float, random: Random) -> Tensor:
        return shift.change(images.cpu(), amount, random.fork(("shift", shift.name, str(amount))))

    def _answers(self, views: list[Tensor]) -> list[_Answer]:
        """Look at views of the same pictures, `[B,C,H,W]` each, together: few pictures a pass leave cores idle."""
        parts = torch.cat(views).split(_BATCH)
        with torch.no_grad():
            logits = [self.classifier.logits(part.to(self.classifier.device)).cpu() for part in parts]
        return [_answer(part) for part in torch.cat(logits).split(len(views[0]))]


def _answer(logits: Tensor) -> _Answer:
    prediction = predicted_classes(logits)  # of the logits: close ones have the same probability
    # Nowhere sure where no prediction is well defined.
    return _Answer(prediction, torch.where(prediction[:, None] >= 0, logits.softmax(1), 0.0))


def _undefined(table: Table, request: CorruptionRequest) -> Iterator[Failure]:
    """Name the pictures that have no well-defined prediction, as they are or corrupted."""
    clean = [table["prediction"][:, None]] if request.clean else []
    looks = [*clean, *(table[f"{name}.prediction"] for name in request.names)]
    for row, count in enumerate((np.concatenate(looks, axis=1) < 0).sum(1).tolist()):
        if count:
            yield Failure(table.ids[row], f"no well-defined prediction in {count} of {request.looks} looks")


def _changes(name: str, views: list[_Answer], clean: _Answer) -> dict[str, Tensor]:
    rows, before = torch.arange(len(clean.prediction)), clean.prediction
    moved = [(view.probabilities[rows, before] - clean.probabilities[rows, before]).abs() for view in views]
    return {
        f"stability.{name}.prediction": torch.stack([view.prediction for view in views], 1),
        f"stability.{name}.change": torch.stack(moved, 1),
    }


def other_resizes(resize: Resize | None) -> dict[str, list[Resize]]:
    """Return other ways to bring a photograph to the same size: other interpolations, and a little more or less of it.

    >>> [one.interpolation for one in other_resizes(Resize(256, (224, 224), "bicubic"))["resize_method"]]
    ['bilinear', 'lanczos', 'box']
    >>> [one.shorter_side for one in other_resizes(Resize(8, (8, 8), "bicubic"))["crop"]]
    [9]
    """
    if resize is None:
        return {}
    methods = [one for one in ("bicubic", "bilinear", "lanczos", "box") if one != resize.interpolation][:3]
    shorter = resize.shorter_side or min(resize.size)
    less, more = min(shorter - 1, round(shorter * 0.95)), max(shorter + 1, round(shorter * 1.05))
    crops = [max(min(resize.size), one) for one in (less, more)]
    return {
        "resize_method": [replace(resize, interpolation=one) for one in methods],
        "crop": [replace(resize, shorter_side=one) for one in crops if one != shorter],
    }
